"""One function for each message type that turns what JSON had into what its constructor takes.

A type's function goes over the keys of an object and looks each up in a table of the type's own.
What comes out is a dict of field names, which upb's constructor takes with all that is nested in
it: one call makes the whole message. The constructor refuses wrong numbers and strings by itself,
and passes over None; what it lets through and JSON forbids is checked here: 1 for a boolean, a
boolean for a double, a double beyond float32, a string for a list of its letters, two members of
a oneof.

A function takes less than json_format does, never more. Whatever it does not expect, it raises
on, and json_format decides.
"""

from __future__ import annotations

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from transcoder.protojson.field_decoders import (
    DEPTH,
    Decode,
    DecoderOf,
    Keys,
    Unexpected,
    field_decoder,
    takes_null,
)

Table = dict[str, tuple[str, Decode | None]]
"""Keys in both spellings to field names, and None where the constructor takes JSON's value."""


def compile_decoder(descriptor: Descriptor, of: DecoderOf) -> Decode:
    """Return the decoder of a type that has no JSON form of its own."""
    nulls = {field.name: _of_null(field) for field in descriptor.fields if takes_null(field)}
    oneofs = [
        frozenset(field.name for field in oneof.fields)
        for oneof in descriptor.oneofs
        if len(oneof.fields) > 1
    ]
    table = _table(descriptor, of)
    strict = _strict(table, nulls, oneofs)
    return _lenient(table, strict) if of.options.ignore_unknown else strict


def _table(descriptor: Descriptor, of: DecoderOf) -> Table:
    table: Table = {}
    fields = list(descriptor.fields)
    for spelling in ("name", "json_name"):
        for field in fields:
            table[getattr(field, spelling)] = (field.name, None)
    for field in fields:
        _fill_in(table, field, of)
    return table


def _fill_in(table: Table, field: FieldDescriptor, of: DecoderOf) -> None:
    """Put a field's decoder into its type's table."""
    name = field.name
    spellings = [key for key in {name, field.json_name} if table[key][0] == name]

    def put(convert: Decode | None) -> None:
        for key in spellings:
            table[key] = (name, convert)

    def first(value: Any, keys: Keys, depth: int) -> Any:
        convert = field_decoder(field, of)
        put(convert)
        return value if convert is None else convert(value, keys, depth)

    # What takes other types with it waits until it is needed.
    put(field_decoder(field, of) if field.message_type is None else first)


def _strict(table: Table, nulls: dict[str, Any], oneofs: list[frozenset[str]]) -> Decode:
    def decode(value: Any, keys: Keys, depth: int) -> Any:
        if type(value) is not dict or depth > DEPTH:
            raise Unexpected
        depth += 1
        size = len(value)
        keys(size)
        out = {}
        for key, item in value.items():
            name, convert = table[key]
            if convert is None:
                out[name] = item
            elif item is not None:
                out[name] = convert(item, keys, depth)
            elif (null := nulls.get(name)) is not Unexpected:
                out[name] = null
            else:
                raise Unexpected
        if len(out) != size:
            raise Unexpected  # One field in both spellings.
        for members in oneofs:
            if not out.keys().isdisjoint(members) and len(members & out.keys()) > 1:
                raise Unexpected
        return out

    return decode


def _lenient(table: Table, strict: Decode) -> Decode:
    def decode(value: Any, keys: Keys, depth: int) -> Any:
        if type(value) is not dict:
            raise Unexpected
        known = {key: item for key, item in value.items() if key in table}
        if len(known) < len(value):
            for key, item in value.items():
                if key not in table:
                    # json_format takes [brackets] for an extension, known or not.
                    if key.startswith("["):
                        raise Unexpected
                    keys(1 + keys_within(item, depth))
        return strict(known, keys, depth)

    return decode


def keys_within(value: Any, depth: int) -> int:
    """Return how many keys all objects within a JSON value have."""
    if depth > DEPTH:
        raise Unexpected
    depth += 1
    if type(value) is dict:
        return len(value) + sum(keys_within(item, depth) for item in value.values())
    if type(value) is list:
        return sum(keys_within(item, depth) for item in value)
    return 0


def _of_null(field: FieldDescriptor) -> Any:
    """Return what null is for a field to which it is a value, `Unexpected` for a list of these."""
    if field.is_repeated:
        return Unexpected
    return 0 if field.message_type is None else {"null_value": 0}
