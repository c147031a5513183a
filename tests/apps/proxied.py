"""A gateway behind a proxy of the same machine: its unary method answers whom it takes for whom."""

from __future__ import annotations

from typing import Any

from streams import POOL, Streams, Told, register
from transcoder import Gateway


class Seen(Streams):
    """The servicer; a call of `Single` is answered with the addresses and the scheme it came by."""

    async def Single(self, request: Any, context: Any) -> Any:
        metadata = dict(context.invocation_metadata())
        names = ("x-forwarded-for", "x-forwarded-proto")
        return Told(text=" ".join([request.topic, *(metadata.get(name, "-") for name in names)]))


def create() -> Gateway:
    """Return the gateway; it notes nothing."""
    gateway = Gateway(pool=POOL, trusted_proxies=["127.0.0.1"])
    register(Seen(lambda _: None), gateway)
    return gateway
