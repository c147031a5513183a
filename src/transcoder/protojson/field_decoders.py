"""What turns the JSON of one field into what the constructor takes for it.

Each converter is told the value, where to count keys, and how deep the message nests that has the
field. It never sees null.
"""

from __future__ import annotations

import marshal
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import orjson
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.protojson.encoder import is_map_entry
from transcoder.protojson.enums import custom_numbers
from transcoder.protojson.scalars import from_base64
from transcoder.values import FLOAT_MAX, NON_FINITE

Keys = Callable[[int], None]
"""Told of the number of keys of each object, and of `COLON` for colons within strings."""

Decode = Callable[[Any, Keys, int], Any]
"""A JSON value, and the depth of the message that holds it, to what a constructor takes.

Raises anything when json_format has to decide.
"""

DEPTH = 97
"""How deep messages may nest here; json_format draws the line, a little deeper."""

COLON = 1 << 40
"""What a colon within a string adds to a count of keys."""

_MANY = 32
_WHITESPACE = (" ", "\t", "\n", "\r")
_BOOLS = {"true": True, "false": False}


class Unexpected(Exception):
    """A fast path met what it does not take."""


class DecodeOptions(NamedTuple):
    """What can be chosen about JSON that is read.

    Args:
        ignore_unknown: pass over keys that name no field.
        pool: where the types inside `google.protobuf.Any` are looked up.
    """

    ignore_unknown: bool
    pool: DescriptorPool | None


class DecoderOf(NamedTuple):
    """Finds the decoders of a type's parts.

    Args:
        options: of the whole document.
        find: a descriptor to its decoder, compiled when it is first needed.
    """

    options: DecodeOptions
    find: Callable[[Descriptor], Decode]


def field_decoder(field: FieldDescriptor, of: DecoderOf) -> Decode | None:
    """Return the decoder of a field's value, None where the constructor takes JSON's value."""
    if field.message_type is not None and is_map_entry(field.message_type):
        return _map(field.message_type, of)
    if field.is_repeated:
        return _list(field, of)
    return single_decoder(field, of)


def single_decoder(field: FieldDescriptor, of: DecoderOf) -> Decode | None:
    """Return the decoder of one value, None where the constructor takes JSON's value."""
    if field.message_type is not None:
        return of.find(field.message_type)
    if field.enum_type is not None:
        return _enum(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return _bytes
    return _SCALARS.get(field.cpp_type)


def takes_null(field: FieldDescriptor) -> bool:
    """Say whether null is a value of a field's type, where it is no value to all others."""
    kind = field.message_type or field.enum_type
    return kind is not None and kind.full_name in {
        "google.protobuf.Value",
        "google.protobuf.NullValue",
    }


def _enum(enum: EnumDescriptor) -> Decode | None:
    """Return None for enums without names of JSON's own: the constructor knows the others.

    It refuses what is beyond 32 bits, and unknown numbers of closed enums.
    """
    numbers = custom_numbers(enum)
    if not numbers:
        # A converter of its own keeps null from being passed to the constructor, as no value.
        return _itself if enum.full_name == "google.protobuf.NullValue" else None
    numbers |= {name: value.number for name, value in enum.values_by_name.items()}

    def decode(value: Any, keys: Keys, depth: int) -> Any:
        return value if type(value) is int else numbers[value]

    return decode


def _itself(value: Any, keys: Keys, depth: int) -> Any:
    return value


def _bytes(value: Any, keys: Keys, depth: int) -> Any:
    return from_base64(value)


def _bool(value: Any, keys: Keys, depth: int) -> Any:
    if value is True or value is False:
        return value
    raise Unexpected


def _integer64(value: Any, keys: Keys, depth: int) -> Any:
    if type(value) is not str:
        return value
    number = int(value)
    if str(number) != value:
        raise Unexpected
    return number


def _double(value: Any, keys: Keys, depth: int) -> Any:
    if type(value) is float or type(value) is int:
        return value
    return NON_FINITE[value]


def _float(value: Any, keys: Keys, depth: int) -> Any:
    if type(value) is float or type(value) is int:
        if -FLOAT_MAX <= value <= FLOAT_MAX:
            return value
        raise Unexpected
    return NON_FINITE[value]


_SCALARS: dict[int, Decode] = {
    FieldDescriptor.CPPTYPE_BOOL: _bool,
    FieldDescriptor.CPPTYPE_DOUBLE: _double,
    FieldDescriptor.CPPTYPE_FLOAT: _float,
    FieldDescriptor.CPPTYPE_INT64: _integer64,
    FieldDescriptor.CPPTYPE_UINT64: _integer64,
}


def _list(field: FieldDescriptor, of: DecoderOf) -> Decode:
    whole = None if field.enum_type is not None else _LISTS.get(field.cpp_type)
    if whole is not None and field.type != FieldDescriptor.TYPE_BYTES:
        return whole
    one = single_decoder(field, of)
    if one is None:
        return _as_it_is

    def decode(value: Any, keys: Keys, depth: int) -> Any:
        if type(value) is not list:
            raise Unexpected
        return [one(item, keys, depth) for item in value]

    return decode


def _as_it_is(value: Any, keys: Keys, depth: int) -> Any:
    if type(value) is not list:
        raise Unexpected
    return value


def _bools(value: Any, keys: Keys, depth: int) -> Any:
    if type(value) is not list or not set(map(type, value)) <= {bool}:
        raise Unexpected
    return value


def _doubles(value: Any, keys: Keys, depth: int) -> Any:
    if type(value) is list and (are_floats(value) or set(map(type, value)) <= {float, int}):
        return value
    raise Unexpected


def _floats(value: Any, keys: Keys, depth: int) -> Any:
    _doubles(value, keys, depth)
    if value and not (min(value) >= -FLOAT_MAX and max(value) <= FLOAT_MAX):
        raise Unexpected
    return value


def are_floats(values: list[Any]) -> bool:
    """Say whether all values of a list are floats, sooner than by asking each.

    Marshalled, a float is the letter g and 8 bytes. If the letter stands at each ninth byte, then
    by induction so does a float; nothing that JSON knows other than a float begins with it.
    """
    if len(values) < _MANY:
        return False
    return marshal.dumps(values, 2)[5::9] == b"g" * len(values)


def _integers64(value: Any, keys: Keys, depth: int) -> Any:
    if type(value) is not list:
        raise Unexpected
    if not value or type(value[0]) is not str:
        return value
    if len(value) < _MANY:
        return [_integer64(item, keys, depth) for item in value]
    text = ",".join(value)
    # orjson reads many at once, and refuses what is no JSON; whitespace is all it would pass
    # over. Of other things than integers, and of two in one string, there would be fewer or more.
    if any(space in text for space in _WHITESPACE):
        raise Unexpected
    numbers = orjson.loads(f"[{text}]")
    if len(numbers) != len(value):
        raise Unexpected
    return numbers


_LISTS: dict[int, Decode] = {
    FieldDescriptor.CPPTYPE_BOOL: _bools,
    FieldDescriptor.CPPTYPE_DOUBLE: _doubles,
    FieldDescriptor.CPPTYPE_FLOAT: _floats,
    FieldDescriptor.CPPTYPE_INT64: _integers64,
    FieldDescriptor.CPPTYPE_UINT64: _integers64,
}


def _map(entry: Descriptor, of: DecoderOf) -> Decode:
    key, value = (entry.fields_by_name[name] for name in ("key", "value"))
    read_key = _key(key)
    one = single_decoder(value, of)

    def pairs(value: dict[str, Any], keys: Keys, depth: int) -> Iterator[tuple[Any, Any]]:
        for name, item in value.items():
            if item is None:
                raise Unexpected
            yield read_key(name), item if one is None else one(item, keys, depth)

    def decode(value: Any, keys: Keys, depth: int) -> Any:
        if type(value) is not dict:
            raise Unexpected
        keys(len(value))
        return dict(pairs(value, keys, depth))

    def as_it_is(value: Any, keys: Keys, depth: int) -> Any:
        if type(value) is not dict:
            raise Unexpected
        keys(len(value))
        return value

    if one is None and key.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return as_it_is
    return decode


def _key(field: FieldDescriptor) -> Callable[[str], Any]:
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return str
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _BOOLS.__getitem__
    return _canonical


def _canonical(text: str) -> int:
    number = int(text)
    if str(number) != text:
        raise Unexpected
    return number
