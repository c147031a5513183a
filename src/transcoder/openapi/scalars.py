"""Schemas of what is one value in JSON: scalars and the well-known types.

They are as strict as the gateway where it reads, and as open as it where it writes: a double may be
printed as `"NaN"`, and base64 is checked by whoever decodes it.
"""

from __future__ import annotations

import enum
import re
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

Schema: TypeAlias = dict[str, Any]


class View(enum.Enum):
    """From where a message is looked at."""

    ANSWER = ""
    REQUEST = "-Request"
    CHANGE = "-Change"
    """A request with those fields alone that change."""


BASE64: Final = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
DURATION: Final = r"^-?(?:0|[1-9][0-9]{0,10})(?:\.[0-9]{1,9})?s$"
INT64: Final = r"^-?(?:0|[1-9][0-9]{0,17})$"
UINT64: Final = r"^(?:0|[1-9][0-9]{0,17})$"
_LONG_INT64: Final = r"^-?[0-9]{1,19}$"
_LONG_UINT64: Final = r"^[0-9]{1,20}$"
_LONG_DURATION: Final = r"^-?[0-9]{1,12}(?:\.[0-9]{1,9})?s$"
_MASK_PATH = r"[a-z][a-zA-Z0-9]*(?:\.[a-z][a-zA-Z0-9]*)*"
FIELD_MASK: Final = rf"^(?:{_MASK_PATH}(?:,{_MASK_PATH})*)?$"
_SYNTAX = re.compile(r"[\^$\\.*+?()\[\]{}|]")
_FLOAT_MAX = 3.4028234663852886e38

_KINDS = {
    FieldDescriptor.CPPTYPE_INT32: "int32",
    FieldDescriptor.CPPTYPE_INT64: "int64",
    FieldDescriptor.CPPTYPE_UINT32: "uint32",
    FieldDescriptor.CPPTYPE_UINT64: "uint64",
    FieldDescriptor.CPPTYPE_FLOAT: "float",
    FieldDescriptor.CPPTYPE_DOUBLE: "double",
    FieldDescriptor.CPPTYPE_BOOL: "bool",
    FieldDescriptor.CPPTYPE_STRING: "string",
}
_BOTH: dict[str, Schema] = {
    "bool": {"type": "boolean"},
    "string": {"type": "string"},
    "int32": {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1},
    "uint32": {"type": "integer", "format": "uint32", "minimum": 0, "maximum": 2**32 - 1},
    "time": {"type": "string", "format": "date-time"},
    "struct": {"type": "object", "additionalProperties": True},
    "value": {"description": "Any JSON value."},
    "list": {"type": "array", "items": {}},
}
_NAMED_NUMBERS: Schema = {"type": "string", "enum": ["NaN", "Infinity", "-Infinity"]}
_ANY: Schema = {
    "type": "object",
    "properties": {
        "@type": {
            "type": "string",
            "description": "The type of the message, as `type.googleapis.com/google.rpc.Status`.",
        }
    },
    "additionalProperties": True,
}
_READ: dict[str, Schema] = {
    "int64": {"type": "string", "format": "int64", "pattern": INT64},
    "uint64": {"type": "string", "format": "uint64", "pattern": UINT64},
    "float": {
        "type": "number",
        "format": "float",
        "minimum": -_FLOAT_MAX,
        "maximum": _FLOAT_MAX,
    },
    "double": {"type": "number", "format": "double"},
    "bytes": {"type": "string", "contentEncoding": "base64", "pattern": BASE64},
    "duration": {"type": "string", "pattern": DURATION},
    "mask": {"type": "string", "pattern": FIELD_MASK},
    "any": {**_ANY, "required": ["@type"]},
    "empty": {"type": "object", "additionalProperties": False},
}
_WRITTEN: dict[str, Schema] = {
    "int64": {"type": "string", "format": "int64", "pattern": _LONG_INT64},
    "uint64": {"type": "string", "format": "uint64", "pattern": _LONG_UINT64},
    "float": {"anyOf": [{"type": "number", "format": "float"}, _NAMED_NUMBERS]},
    "double": {"anyOf": [{"type": "number", "format": "double"}, _NAMED_NUMBERS]},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "duration": {"type": "string", "pattern": _LONG_DURATION},
    "mask": {"type": "string"},
    "any": _ANY,
    "empty": {"type": "object"},
}
_WELL_KNOWN = {
    "google.protobuf.Timestamp": "time",
    "google.protobuf.Duration": "duration",
    "google.protobuf.FieldMask": "mask",
    "google.protobuf.Struct": "struct",
    "google.protobuf.Value": "value",
    "google.protobuf.ListValue": "list",
    "google.protobuf.Any": "any",
    "google.protobuf.Empty": "empty",
}
_WRAPPED = {
    f"google.protobuf.{kind}Value": kind.lower()
    for kind in ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
}
JSON_TEXT: Final = frozenset(
    {"google.protobuf.Value", "google.protobuf.Struct", "google.protobuf.ListValue"}
)
"""What a query says as JSON text."""


def scalar(field: FieldDescriptor, view: View) -> Schema:
    """Return the schema of one value of a field that is neither message nor enum.

    >>> from google.protobuf.descriptor_pb2 import FieldDescriptorProto
    >>> scalar(FieldDescriptorProto.DESCRIPTOR.fields_by_name["proto3_optional"], View.ANSWER)
    {'type': 'boolean'}
    """
    is_bytes = field.type == FieldDescriptor.TYPE_BYTES
    return _schema("bytes" if is_bytes else _KINDS[field.cpp_type], view)


def well_known(message: Descriptor, view: View) -> Schema | None:
    """Return the schema of a well-known type; None for messages that are objects of fields."""
    name = message.full_name
    kind = _WELL_KNOWN.get(name) or _WRAPPED.get(name)
    return None if kind is None else _schema(kind, view)


def literal(text: str) -> str:
    r"""Return the regular expression of a text, for ECMAScript: it escapes less than Python does.

    >>> print(literal("a-b.c"))
    a-b\.c
    """
    return _SYNTAX.sub(r"\\\g<0>", text)


def is_wrapper(message: Descriptor) -> bool:
    """Say whether a message is one of the wrappers of scalars."""
    return message.full_name in _WRAPPED


def key_names(key: FieldDescriptor, view: View) -> Schema | None:
    """Return the schema of the names that the keys of a map become; None when any is one."""
    if key.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {"enum": ["true", "false"]}
    if key.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return None
    kind = _KINDS[key.cpp_type]
    if kind.endswith("64"):
        return {"pattern": _schema(kind, view)["pattern"]}
    sign = "" if kind == "uint32" else "-?"
    digits = 8 if view is not View.ANSWER else 9
    return {"pattern": rf"^{sign}(?:0|[1-9][0-9]{{0,{digits}}})$"}


def _schema(kind: str, view: View) -> Schema:
    found = _BOTH.get(kind) or (_WRITTEN if view is View.ANSWER else _READ)[kind]
    return dict(found)
