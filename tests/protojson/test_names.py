from __future__ import annotations

import json
import keyword
from importlib import import_module
from typing import Any

import pytest
from google.protobuf import any_pb2, descriptor_pb2, json_format
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import InvalidRequest
from transcoder.protojson import from_json, to_json

# Its stubs are not there yet.
json_enumvalue_options_pb2: Any = import_module("google.protobuf.json_enumvalue_options_pb2")
Field = descriptor_pb2.FieldDescriptorProto

NAMES = (*keyword.kwlist, "self", "m", "d", "i", "v1", "c0", "has", "encode", "str", "__class__")
JSON_NAMES = (
    '"',
    "'",
    '"""',
    "\\",
    "\n",
    "a\nimport os",
    "{x}",
    "%s",
    "\u2028",
    "é",
    " ",
    "",
    ":",
    "__builtins__",
    "@type",
)


def message_class(*fields: Field) -> type[Message]:
    """Return the class of a message with these fields, numbered in turn."""
    file = descriptor_pb2.FileDescriptorProto(name="a.proto", package="a", syntax="proto3")
    message = file.message_type.add(name="Message")
    for number, field in enumerate(fields, 1):
        field.number = number
        field.label = field.label or Field.LABEL_OPTIONAL
        message.field.append(field)
    pool = DescriptorPool()
    pool.Add(file)
    return GetMessageClass(pool.FindMessageTypeByName("a.Message"))


@pytest.mark.parametrize("kind", [Field.TYPE_STRING, Field.TYPE_INT64, Field.TYPE_DOUBLE])
@pytest.mark.parametrize("print_defaults", [True, False])
def test_field_names(kind: Field.Type.ValueType, *, print_defaults: bool) -> None:
    """Python's own names are names of fields like all others."""
    wanted = message_class(*(Field(name=name, type=kind) for name in NAMES))
    message = wanted(**dict.fromkeys(NAMES, "a" if kind == Field.TYPE_STRING else 1))
    data = to_json(message, proto_names=True, print_defaults=print_defaults)

    assert set(json.loads(data)) == set(NAMES)
    assert message == from_json(data, wanted)


def test_json_names() -> None:
    """Whatever a JSON name holds, it is a key and no source."""
    fields = [
        Field(name=f"f{index}", json_name=name, type=Field.TYPE_STRING)
        for index, name in enumerate(JSON_NAMES)
        if name
    ]
    wanted = message_class(*fields)
    message = wanted(**{field.name: "a" for field in fields})
    data = to_json(message)

    assert json.loads(data) == {name: "a" for name in JSON_NAMES if name}
    assert message == from_json(data, wanted)


def test_json_name_of_another_field() -> None:
    """A key that is one field's JSON name and another's name is the former's."""
    wanted = message_class(
        Field(name="a", json_name="b", type=Field.TYPE_STRING),
        Field(name="b", json_name="c", type=Field.TYPE_STRING),
    )

    assert wanted(a="x") == from_json(b'{"b": "x"}', wanted)
    assert wanted(b="x") == from_json(b'{"c": "x"}', wanted)


def test_names_of_enum_values_by_option() -> None:
    """A name that an option gives an enum's value is printed, and read beside its own."""
    file = descriptor_pb2.FileDescriptorProto(name="a.proto", package="a", syntax="proto3")
    file.dependency.append(json_enumvalue_options_pb2.DESCRIPTOR.name)
    enum = file.enum_type.add(name="Mode")
    enum.value.add(name="MODE_OFF", number=0)
    on = enum.value.add(name="MODE_ON", number=1)
    on.options.Extensions[json_enumvalue_options_pb2.json].string = "on!"
    field = Field(name="mode", type=Field.TYPE_ENUM, type_name=".a.Mode", number=1)
    file.message_type.add(name="Message").field.append(field)
    pool = DescriptorPool()
    pool.AddSerializedFile(descriptor_pb2.DESCRIPTOR.serialized_pb)
    pool.AddSerializedFile(json_enumvalue_options_pb2.DESCRIPTOR.serialized_pb)
    pool.Add(file)
    wanted = GetMessageClass(pool.FindMessageTypeByName("a.Message"))

    assert to_json(wanted(mode=1)) == b'{"mode":"on!"}'
    assert wanted(mode=1) == from_json(b'{"mode": "on!"}', wanted)
    assert wanted(mode=1) == from_json(b'{"mode": "MODE_ON"}', wanted)
    assert wanted(mode=1) == from_json(b'{"mode": 1}', wanted)
    with pytest.raises(InvalidRequest, match="did you mean"):
        from_json(b'{"mode": "on"}', wanted)


@pytest.mark.parametrize("text", ["", "a"])
@pytest.mark.parametrize("print_defaults", [True, False])
def test_json_name_of_the_type_url(text: str, *, print_defaults: bool) -> None:
    """In an Any, a field whose JSON name is that of the URL is printed as json_format does."""
    wanted: Any = message_class(Field(name="a", json_name="@type", type=Field.TYPE_STRING))
    pool = wanted.DESCRIPTOR.file.pool
    message = any_pb2.Any()
    message.Pack(wanted(a=text))
    data = to_json(message, print_defaults=print_defaults, pool=pool)

    assert json.loads(data) == json_format.MessageToDict(
        message, always_print_fields_with_no_presence=print_defaults, descriptor_pool=pool
    )
