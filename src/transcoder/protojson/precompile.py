"""Compiling before the first request, so that none waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from transcoder.protojson.decode import find_decoder
from transcoder.protojson.encode import find_encoder
from transcoder.protojson.encoder import EncodeOptions, is_map_entry
from transcoder.protojson.field_decoders import DecodeOptions
from transcoder.protojson.weight import find_plan


class Precompiled:
    """What was compiled ahead, for a type and all types within it; it stays as long as this does.

    The options are those of the calls that will follow.

    >>> from google.protobuf.api_pb2 import Api
    >>> ahead = Precompiled()
    >>> ahead.encoder(Api, print_defaults=True)
    >>> len(ahead)  # Api, Method, Option, Any, SourceContext and Mixin
    6
    """

    __slots__ = ("_held", "_plans")

    def __init__(self) -> None:
        # A type that is here has all types within it here.
        self._held: dict[tuple[Descriptor, tuple[object, ...]], object] = {}
        self._plans: dict[tuple[object, ...], object] = {}

    def __len__(self) -> int:
        """Return how many encoders and decoders there are."""
        return len(self._held)

    def encoder(
        self,
        message_class: type[Message],
        *,
        print_defaults: bool = False,
        proto_names: bool = False,
        enum_numbers: bool = False,
        int64_numbers: bool = False,
        pool: DescriptorPool | None = None,
    ) -> None:
        """Compile what `to_json` needs without `indent`."""
        options = EncodeOptions(
            print_defaults, proto_names, enum_numbers, int64_numbers, pool, compact=True
        )
        self._hold(message_class.DESCRIPTOR, options, find_encoder)

    def decoder(
        self,
        message_class: type[Message],
        *,
        ignore_unknown: bool = False,
        pool: DescriptorPool | None = None,
    ) -> None:
        """Compile what `from_json` needs."""
        self._hold(message_class.DESCRIPTOR, DecodeOptions(ignore_unknown, pool), find_decoder)

    def weight(
        self,
        message_class: type[Message],
        *,
        print_defaults: bool = False,
        pool: DescriptorPool | None = None,
    ) -> None:
        """Compile what `weight` needs."""
        descriptor: Any = message_class.DESCRIPTOR
        if (descriptor, print_defaults, pool) not in self._plans:
            plan = find_plan(descriptor, print_defaults=print_defaults, pool=pool)
            self._plans[descriptor, print_defaults, pool] = plan

    def _hold(self, descriptor: Any, options: Any, find: Callable[[Descriptor, Any], Any]) -> None:
        waiting = [descriptor]
        while waiting:
            found = waiting.pop()
            if (found, options) in self._held:
                continue
            if is_map_entry(found):
                inner = found.fields_by_name["value"].message_type
                waiting += [] if inner is None else [inner]
                continue
            self._held[found, options] = find(found, options)
            waiting += {field.message_type for field in found.fields if field.message_type}
