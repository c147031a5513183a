"""JSON bytes to messages."""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from orjson import loads

from transcoder.observe import Tally, decoded
from transcoder.protojson.cache import RECENT, Cache, Compiled
from transcoder.protojson.decoder import compile_decoder
from transcoder.protojson.document import names_a_key_twice
from transcoder.protojson.field_decoders import (
    COLON,
    Decode,
    DecodeOptions,
    DecoderOf,
    Unexpected,
)
from transcoder.protojson.known_decoders import known_decoder
from transcoder.protojson.refusal import problem_in, refusal

M = TypeVar("M", bound=Message)

_Key = tuple[Descriptor, bool, DescriptorPool | None]
"""A type, and what `DecodeOptions` has."""

_documents: dict[_Key, tuple[Decode, Tally]] = {}
"""Of the types that were whole documents."""


def from_json(
    data: bytes | bytearray | memoryview | str,
    message_class: type[M],
    *,
    ignore_unknown: bool = False,
    pool: DescriptorPool | None = None,
) -> M:
    """Return the message that JSON says.

    Args:
        data: one JSON document, as text or in UTF-8.
        message_class: of any descriptor pool.
        ignore_unknown: pass over keys that name no field, instead of refusing them.
        pool: where the types inside `google.protobuf.Any` are looked up.

    Raises:
        InvalidRequest: it is not JSON, or not of this message; `field` is the JSON path.

    >>> from google.protobuf.duration_pb2 import Duration
    >>> from_json(b'"1.5s"', Duration).nanos
    500000000
    """
    if type(data) is not bytes:
        # A lone surrogate makes bytes that are no UTF-8, and are refused as such.
        data = data.encode(errors="surrogatepass") if isinstance(data, str) else bytes(data)
    descriptor: Any = message_class.DESCRIPTOR
    key = (descriptor, ignore_unknown, pool)
    found = _documents.get(key)
    decode, tally = _document(key) if found is None else found
    try:
        counts: list[int] = []
        out = decode(loads(data), counts.append, 0)
        colons, keys = divmod(sum(counts), COLON)
        if names_a_key_twice(data, keys, colons):
            raise Unexpected  # noqa: TRY301  a helper would cost every request a call
        message = message_class(**out) if type(out) is dict else out
    except Exception:  # noqa: BLE001  whatever it was, json_format decides
        tally.fallback += 1
        return by_json_format(data, message_class, ignore_unknown=ignore_unknown, pool=pool)
    tally.fast += 1
    return message


def by_json_format(
    data: bytes, message_class: type[M], *, ignore_unknown: bool, pool: DescriptorPool | None
) -> M:
    """Return the message that json_format reads, unless it is wrong to.

    Raises:
        InvalidRequest: it reads none, or the document is on the list of refusals in docs/json.md.
    """
    problem = problem_in(data, message_class, ignore_unknown=ignore_unknown, pool=pool)
    if problem is not None:
        raise problem
    message = message_class()
    try:
        json_format.Parse(
            data.decode(),
            message,
            ignore_unknown_fields=ignore_unknown,
            descriptor_pool=pool,
        )
    except Exception:  # noqa: BLE001  json_format lets TypeError, AttributeError and more through
        # Its own texts list all fields and repeat the value; the client is told less, and better.
        raise refusal(data, message_class, ignore_unknown=ignore_unknown, pool=pool) from None
    return message


def find_decoder(descriptor: Descriptor, options: DecodeOptions) -> Compiled[Decode]:
    """Return a type's decoder, compiled at most once while it is held."""
    return _decoders.find((descriptor, *options))


def _compile(key: _Key) -> Decode:
    descriptor, options = key[0], DecodeOptions(*key[1:])
    of = DecoderOf(options, lambda part: find_decoder(part, options).value)
    return known_decoder(descriptor, of) or compile_decoder(descriptor, of)


_decoders: Cache[_Key, Decode] = Cache(_compile)


def _document(key: _Key) -> tuple[Decode, Tally]:
    if len(_documents) >= RECENT:
        _documents.clear()
    found = _documents[key] = _decoders.find(key).value, decoded(key[0].full_name)
    return found
