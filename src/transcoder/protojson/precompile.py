"""Compiling before the first request, so that none waits for it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from transcoder.protojson.decode import find_decoder
from transcoder.protojson.encode import find_encoder
from transcoder.protojson.encoder import EncodeOptions, is_map_entry
from transcoder.protojson.field_decoders import DecodeOptions


def precompile_encoder(
    message_class: type[Message],
    *,
    print_defaults: bool = False,
    proto_names: bool = False,
    enum_numbers: bool = False,
    int64_numbers: bool = False,
    pool: DescriptorPool | None = None,
) -> None:
    """Compile what `to_json` needs for a type and all types within it.

    The options are those of the calls that will follow, without `indent`.

    >>> from google.protobuf.api_pb2 import Api
    >>> precompile_encoder(Api)
    """
    options = EncodeOptions(
        print_defaults, proto_names, enum_numbers, int64_numbers, pool, compact=True
    )
    for descriptor in types_within(message_class.DESCRIPTOR):
        find_encoder(descriptor, options)


def precompile_decoder(
    message_class: type[Message],
    *,
    ignore_unknown: bool = False,
    pool: DescriptorPool | None = None,
) -> None:
    """Compile what `from_json` needs for a type and all types within it.

    The options are those of the calls that will follow.
    """
    for descriptor in types_within(message_class.DESCRIPTOR):
        find_decoder(descriptor, DecodeOptions(ignore_unknown, pool))


def types_within(descriptor: Any) -> Iterator[Descriptor]:
    """Yield a type and those of its fields, of theirs and so on, each once and without maps' pairs.

    >>> from google.protobuf.type_pb2 import EnumValue
    >>> [each.name for each in types_within(EnumValue.DESCRIPTOR)]
    ['EnumValue', 'Option', 'Any']
    """
    seen = {descriptor}
    waiting = [descriptor]
    while waiting:
        found = waiting.pop(0)
        if not is_map_entry(found):
            yield found
        for field in found.fields:
            inner = field.message_type
            if inner is not None and inner not in seen:
                seen.add(inner)
                waiting.append(inner)
