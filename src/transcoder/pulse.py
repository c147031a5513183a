"""A look at the clock, now and then, for a stream: it has no length that would end it."""

from __future__ import annotations

import asyncio
from typing import Protocol

from google.protobuf.message import Message

from transcoder.body import Disconnected
from transcoder.errors import StatusError
from transcoder.request_stream import RequestStream
from transcoder.response import Payload
from transcoder.status import Code
from transcoder.stream_limits import StreamLimits
from transcoder.upstream import Request
from transcoder.watch import Watch

TICK = 1.0
"""Seconds between two looks at the clock."""


class Answer(Protocol):
    """An answer that is sent message by message."""

    count: int
    """How many messages were sent."""
    waiting_since: float | None
    """Since when the client has not read what there is; None while there is nothing."""
    last: float
    """When something was sent."""

    @property
    def media_type(self) -> str:
        """What `message` takes: JSON, serialized messages, or nothing for raw bytes."""
        ...

    def beat(self) -> None:
        """Send something that means nothing, if there is such a thing."""
        ...

    async def message(self, reply: Message, printed: Payload) -> None:
        """Send one message."""
        ...

    def cut(self, *, at_once: bool = False) -> None:
        """End the connection, so that the client sees that the answer is not whole."""
        ...


class Pulse:
    """Looks at the clock for a stream: silence, a client that does not read, a long life.

    Args:
        watch: told what is over its limit.
        limits: seconds of each.
        request: whose messages end the silence, if it is a stream.
        answer: whose messages do, if it is one.
    """

    def __init__(
        self, watch: Watch, limits: StreamLimits, request: Request, answer: Answer | None
    ) -> None:
        self._watch = watch
        self._limits = limits
        self._requests = request if isinstance(request, RequestStream) else None
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._began = self._active = self._loop.time()
        self._seen = (0, 0)
        self._timer = self._loop.call_later(self._interval(), self._look)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _interval(self) -> float:
        limits = self._limits
        times = (limits.stall, limits.heartbeat, limits.idle, limits.life)
        return min(TICK, *(seconds / 2 for seconds in times if seconds is not None))

    def _look(self) -> None:
        self._timer = self._loop.call_later(self._interval(), self._look)
        now = self._loop.time()
        limits, answer = self._limits, self._answer
        if limits.life is not None and now - self._began > limits.life:
            self._end("the stream has lasted as long as it may", 504)
        if self._is_silent(now):
            self._end(f"no message for {limits.idle:g} seconds", 408)
        if answer is None:
            return
        if answer.waiting_since is not None:
            if now - answer.waiting_since > limits.stall:
                self._watch.end(Disconnected())
                answer.cut(at_once=True)
        elif now - max(answer.last, self._began) >= limits.heartbeat:
            answer.beat()

    def _is_silent(self, now: float) -> bool:
        requests = self._requests
        if requests is None or requests.complete or self._limits.idle is None:
            return False
        seen = requests.count, 0 if self._answer is None else self._answer.count
        if seen != self._seen:
            self._seen, self._active = seen, now
        return now - self._active > self._limits.idle

    def _end(self, problem: str, http: int) -> None:
        self._watch.end(StatusError(Code.DEADLINE_EXCEEDED, problem, http=http))
