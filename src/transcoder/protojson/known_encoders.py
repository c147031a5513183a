"""Encoders of the well-known types, which have JSON forms of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass

from transcoder.protojson.encoder import Encode, EncoderOf, single_encoder
from transcoder.protojson.field_mask import paths_text
from transcoder.protojson.times import duration_text, timestamp_text

WRAPPERS = "google/protobuf/wrappers.proto"


def known_encoder(descriptor: Descriptor, of: EncoderOf) -> Encode | None:
    """Return the encoder of a well-known type, None for any other type."""
    if descriptor.file.name == WRAPPERS:
        return _wrapper(descriptor, of)
    make = _KNOWN.get(descriptor.full_name)
    return None if make is None else make(of)


def is_known(descriptor: Descriptor) -> bool:
    """Say whether a type has a JSON form of its own, which `Any` puts under `value`."""
    return descriptor.file.name == WRAPPERS or descriptor.full_name in _KNOWN


def _wrapper(descriptor: Descriptor, of: EncoderOf) -> Encode:
    encode = single_encoder(descriptor.fields_by_name["value"], of)
    return lambda message: encode(message.value)


def _timestamp(of: EncoderOf) -> Encode:
    return timestamp_text


def _duration(of: EncoderOf) -> Encode:
    return duration_text


def _field_mask(of: EncoderOf) -> Encode:
    return lambda message: paths_text(message.paths)


def _any(of: EncoderOf) -> Encode:
    pool = Default() if of.options.pool is None else of.options.pool

    def encode(message: Any) -> Any:
        if not message.ListFields():
            return {}
        url = message.type_url
        descriptor = pool.FindMessageTypeByName(url.rpartition("/")[2])
        content = of.find(descriptor)(GetMessageClass(descriptor).FromString(message.value))
        if is_known(descriptor):
            return {"@type": url, "value": content}
        if "@type" in content:
            raise ValueError("a field has the name of the URL")
        return {"@type": url, **content}

    return encode


def _struct(of: EncoderOf) -> Encode:
    return _struct_tree


def _list(of: EncoderOf) -> Encode:
    return _list_tree


def _value(of: EncoderOf) -> Encode:
    return _value_tree


def _struct_tree(struct: Any) -> Any:
    fields = struct.fields
    return {key: _value_tree(fields[key]) for key in fields}


def _list_tree(values: Any) -> Any:
    return [_value_tree(value) for value in values.values]


def _value_tree(value: Any) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "string_value":
        return value.string_value
    if kind == "number_value":
        return _number(value.number_value)
    if kind == "struct_value":
        return _struct_tree(value.struct_value)
    if kind == "list_value":
        return _list_tree(value.list_value)
    # A Value that holds nothing prints as null too.
    return value.bool_value if kind == "bool_value" else None


def _number(value: float) -> float:
    if value - value != 0.0:
        raise ValueError("NaN and the infinities would read back as strings")
    return value


_KNOWN: dict[str, Callable[[EncoderOf], Encode]] = {
    "google.protobuf.Any": _any,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _field_mask,
    "google.protobuf.ListValue": _list,
    "google.protobuf.Struct": _struct,
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Value": _value,
}
