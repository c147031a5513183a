"""Decoders of the well-known types, which have JSON forms of their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message_factory import GetMessageClass

from transcoder.protojson.field_decoders import (
    COLON,
    DEPTH,
    Decode,
    DecoderOf,
    Keys,
    Unexpected,
    single_decoder,
)
from transcoder.protojson.field_mask import read_paths
from transcoder.protojson.known_encoders import WRAPPERS, is_known
from transcoder.protojson.times import (
    MINUTES_OF_DAY,
    SECONDS_OF_MINUTE,
    midnight,
    read_duration,
    read_timestamp,
)

TYPE_HOST = "type.googleapis.com/"
"""What the type URL of an Any begins with; nothing is ever fetched from there."""


_TWO_COLONS = 2 * COLON
"""What a time in UTC adds to a count; times are many, and would spoil it."""


def known_decoder(descriptor: Descriptor, of: DecoderOf) -> Decode | None:
    """Return the decoder of a well-known type, None for any other type."""
    if descriptor.file.name == WRAPPERS:
        return _wrapper(descriptor, of)
    make = _KNOWN.get(descriptor.full_name)
    return None if make is None else make(descriptor, of)


def _wrapper(descriptor: Descriptor, of: DecoderOf) -> Decode:
    convert = single_decoder(descriptor.fields_by_name["value"], of)

    def decode(value: Any, keys: Keys, depth: int) -> Any:
        if value is None:
            raise Unexpected
        return {"value": value if convert is None else convert(value, keys, depth)}

    return decode


def _timestamp(descriptor: Descriptor, of: DecoderOf) -> Decode:
    return _read_timestamp


def _read_timestamp(value: Any, keys: Keys, depth: int) -> Any:
    try:
        time = MINUTES_OF_DAY[value[10:17]] + SECONDS_OF_MINUTE[value[17:]]
    except KeyError:
        seconds, nanos = read_timestamp(value)
    else:
        keys(_TWO_COLONS)
        return {"seconds": midnight(value[:10]) + time}
    return {"seconds": seconds, "nanos": nanos} if nanos else {"seconds": seconds}


def _duration(descriptor: Descriptor, of: DecoderOf) -> Decode:
    return _read_duration


def _read_duration(value: Any, keys: Keys, depth: int) -> Any:
    seconds, nanos = read_duration(value)
    return {"seconds": seconds, "nanos": nanos}


def _field_mask(descriptor: Descriptor, of: DecoderOf) -> Decode:
    return _read_field_mask


def _read_field_mask(value: Any, keys: Keys, depth: int) -> Any:
    return {"paths": read_paths(value)}


def _any(descriptor: Descriptor, of: DecoderOf) -> Decode:
    pool = Default() if of.options.pool is None else of.options.pool

    def decode(value: Any, keys: Keys, depth: int) -> Any:
        if type(value) is not dict:
            raise Unexpected
        if not value:
            return {}
        inner = fields = dict(value)
        url = fields.pop("@type")
        if not url.startswith(TYPE_HOST):
            raise Unexpected
        content = pool.FindMessageTypeByName(url.removeprefix(TYPE_HOST))
        keys(1)
        if is_known(content):
            keys(1)
            inner = fields.pop("value")
            if fields:
                raise Unexpected
        out = of.find(content)(inner, keys, depth + 1)
        made = GetMessageClass(content)(**out) if type(out) is dict else out
        return {"type_url": url, "value": type(made).SerializeToString(made)}

    return decode


def _struct(descriptor: Descriptor, of: DecoderOf) -> Decode:
    return _filled(descriptor, dict, _fill_struct)


def _list(descriptor: Descriptor, of: DecoderOf) -> Decode:
    return _filled(descriptor, list, _fill_list)


def _value(descriptor: Descriptor, of: DecoderOf) -> Decode:
    return _filled(descriptor, object, _fill)


def _filled(
    descriptor: Descriptor, kind: type, fill: Callable[[Any, Any, Keys, int], None]
) -> Decode:
    message_class = GetMessageClass(descriptor)

    def decode(value: Any, keys: Keys, depth: int) -> Any:
        if not isinstance(value, kind):
            raise Unexpected
        message = message_class()
        fill(message, value, keys, depth)
        return message

    return decode


def _fill_struct(struct: Any, value: Any, keys: Keys, depth: int) -> None:
    keys(len(value))
    fields = struct.fields
    for key, item in value.items():
        _fill(fields[key], item, keys, depth + 1)


def _fill_list(values: Any, value: Any, keys: Keys, depth: int) -> None:
    add = values.values.add
    for item in value:
        _fill(add(), item, keys, depth + 1)


def _fill(target: Any, value: Any, keys: Keys, depth: int) -> None:
    kind = type(value)
    if kind is str:
        target.string_value = value
    elif kind is float or kind is int:
        target.number_value = value
    elif kind is bool:
        target.bool_value = value
    elif value is None:
        target.null_value = 0
    elif depth > DEPTH:
        raise Unexpected
    elif kind is dict:
        target.struct_value.SetInParent()
        _fill_struct(target.struct_value, value, keys, depth + 1)
    else:
        target.list_value.SetInParent()
        _fill_list(target.list_value, value, keys, depth + 1)


_KNOWN: dict[str, Callable[[Descriptor, DecoderOf], Decode]] = {
    "google.protobuf.Any": _any,
    "google.protobuf.Duration": _duration,
    "google.protobuf.FieldMask": _field_mask,
    "google.protobuf.ListValue": _list,
    "google.protobuf.Struct": _struct,
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Value": _value,
}
