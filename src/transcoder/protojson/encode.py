"""Messages to JSON bytes."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from orjson import dumps

from transcoder.observe import encoded
from transcoder.protojson.cache import RECENT, Cache, Compiled
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

Print = Callable[[Message], bytes]
"""A message of one type to its JSON, with some options.

Raises:
    Unprintable: as `to_json` does.
"""

_Key = tuple[Descriptor, bool, bool, bool, bool, DescriptorPool | None, bool]
"""A type, and what `EncodeOptions` has."""

_documents: dict[_Key, Print] = {}
"""Of the types that were whole documents."""


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
    if not compact:
        return _printer(key, indent)(message)
    found = _documents.get(key)
    return _document(key)(message) if found is None else found(message)


def printer(
    descriptor: Descriptor,
    *,
    print_defaults: bool = False,
    proto_names: bool = False,
    enum_numbers: bool = False,
    pool: DescriptorPool | None = None,
) -> Print:
    """Return what does as `to_json`, for messages of one type."""
    return _document((descriptor, print_defaults, proto_names, enum_numbers, False, pool, True))


def find_encoder(descriptor: Descriptor, options: EncodeOptions) -> Compiled[Encode]:
    """Return a type's encoder, compiled at most once while it is held."""
    return _encoders.find((descriptor, *options))


def _compile(key: _Key) -> Encode:
    descriptor, options = key[0], EncodeOptions(*key[1:])
    of = EncoderOf(options, lambda part: find_encoder(part, options).value)
    return known_encoder(descriptor, of) or compile_encoder(descriptor, of)


_encoders: Cache[_Key, Encode] = Cache(_compile)


def _document(key: _Key) -> Print:
    found = _documents.get(key)
    if found is None:
        if len(_documents) >= RECENT:
            _documents.clear()
        found = _documents[key] = _printer(key)
    return found


def _printer(key: _Key, indent: int | None = None) -> Print:
    encode, tally, options = _encoders.find(key).value, encoded(key[0].full_name), key[1:]
    write = dumps if indent is None else functools.partial(_indented, indent=indent)

    def printed(message: Message) -> bytes:
        try:
            tree = encode(message)
            data = write(tree)
        except Exception:  # noqa: BLE001  whatever it was, json_format decides
            tally.fallback += 1
            return _slowly(message, EncodeOptions(*options), indent)
        if type(tree) is not Left:
            tally.fast += 1
        return data

    return printed


def _slowly(message: Message, options: EncodeOptions, indent: int | None) -> bytes:
    try:
        tree = by_json_format(message, options)
        separators = (",", ":") if indent is None else None
        text = json.dumps(tree, ensure_ascii=False, indent=indent, separators=separators)
        return text.encode()
    except Exception:  # noqa: BLE001  TypeError, DecodeError, AttributeError and more, by the input
        # Their texts repeat values, which are no log's business.
        raise unprintable(message, options) from None


def _indented(tree: Any, indent: int) -> bytes:
    if indent == 2:
        return orjson.dumps(tree, option=orjson.OPT_INDENT_2)
    return json.dumps(tree, ensure_ascii=False, indent=indent).encode()
