"""What bounds a stream over HTTP, which has no length of its own."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamLimits:
    """The limits of streams over HTTP and WebSocket.

    Args:
        message: bytes of one message from the client.
        count: streams at once in one process; one more is answered 503.
        idle: seconds without a message in either direction while the client may still send; None
            for no end.
        stall: seconds for which a client may not read while there is something to send.
        life: seconds of a whole stream; None for no end.
        heartbeat: seconds of silence after which a client is sent something that means nothing,
            where the framing has such a thing.
    """

    message: int = 1 << 20
    count: int = 1000
    idle: float | None = 300.0
    stall: float = 30.0
    life: float | None = None
    heartbeat: float = 15.0


DEFAULT_STREAM_LIMITS = StreamLimits()
