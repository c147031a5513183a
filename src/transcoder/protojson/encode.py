"""Messages to JSON bytes."""

from __future__ import annotations

import json
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from orjson import dumps

from transcoder.observe import Tally, encoded
from transcoder.protojson.encoder import (
    Encode,
    EncodeOptions,
    EncoderOf,
    Left,
    by_json_format,
    compile_encoder,
)
from transcoder.protojson.known_encoders import known_encoder
from transcoder.protojson.unprintable import unprintable

_Key = tuple[Descriptor, bool, bool, bool, bool, DescriptorPool | None, bool]
"""A type, and what `EncodeOptions` has."""

_LIMIT = 10_000
_encoders: dict[_Key, tuple[Encode, Tally]] = {}


def to_json(
    message: Message,
    *,
    print_defaults: bool = False,
    proto_names: bool = False,
    enum_numbers: bool = False,
    int64_numbers: bool = False,
    indent: int | None = None,
    pool: DescriptorPool | None = None,
) -> bytes:
    """Return the JSON form of a message, in UTF-8.

    Args:
        message: of any descriptor pool.
        print_defaults: print fields without presence also when they hold their default.
        proto_names: `user_id` as the proto has it, instead of `userId`.
        enum_numbers: enum values as numbers instead of names.
        int64_numbers: 64-bit integers as numbers where a double holds them, instead of strings.
        indent: spaces for each level; the default is one line without spaces.
        pool: where the types inside `google.protobuf.Any` are looked up.

    Raises:
        Unprintable: the message has no JSON form, for example an Any of an unknown type, a NaN
            in a `google.protobuf.Value` or a Timestamp after the year 9999. It is a ValueError.

    >>> from google.protobuf.duration_pb2 import Duration
    >>> to_json(Duration(seconds=1, nanos=500_000_000))
    b'"1.500s"'
    """
    descriptor: Any = type(message).DESCRIPTOR
    compact = indent is None
    key = (descriptor, print_defaults, proto_names, enum_numbers, int64_numbers, pool, compact)
    found = _encoders.get(key)
    if found is None:
        found = _compile(descriptor, EncodeOptions(*key[1:]))
    encode, tally = found
    try:
        tree = encode(message)
        data = dumps(tree) if compact else _indented(tree, indent)
    except Exception:  # noqa: BLE001  whatever it was, json_format decides
        tally.fallback += 1
        return _slowly(message, EncodeOptions(*key[1:]), indent)
    if type(tree) is not Left:
        tally.fast += 1
    return data


def find_encoder(descriptor: Descriptor, options: EncodeOptions) -> Encode:
    """Return a type's encoder, compiled at most once."""
    found = _encoders.get((descriptor, *options))
    return (_compile(descriptor, options) if found is None else found)[0]


def _compile(descriptor: Descriptor, options: EncodeOptions) -> tuple[Encode, Tally]:
    of = EncoderOf(options, lambda part: find_encoder(part, options))
    encode = known_encoder(descriptor, of) or compile_encoder(descriptor, of)
    if len(_encoders) >= _LIMIT:
        # Descriptors of pools that nobody uses any more would otherwise stay for ever.
        _encoders.clear()
    compiled = encode, encoded(descriptor.full_name)
    _encoders[descriptor, *options] = compiled
    return compiled


def _slowly(message: Message, options: EncodeOptions, indent: int | None) -> bytes:
    try:
        tree = by_json_format(message, options)
        separators = (",", ":") if indent is None else None
        text = json.dumps(tree, ensure_ascii=False, indent=indent, separators=separators)
        return text.encode()
    except Exception:  # noqa: BLE001  TypeError, DecodeError, AttributeError and more, by the input
        # Their texts repeat values, which are no log's business.
        raise unprintable(message, options) from None


def _indented(tree: Any, indent: int | None) -> bytes:
    if indent == 2:
        return orjson.dumps(tree, option=orjson.OPT_INDENT_2)
    return json.dumps(tree, ensure_ascii=False, indent=indent).encode()
