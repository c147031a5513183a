"""A backend that gets only so many calls at once.

    gateway.route(service, Limited(Channel("reports:50051"), calls=20))

One that has become slow then holds up its own calls, and not those that go elsewhere: what waits
for it is bounded, and what comes beyond is told to come again.
"""

from __future__ import annotations

import contextlib
from collections.abc import AsyncGenerator
from typing import Any, Final

from transcoder.errors import ConfigError, StatusError
from transcoder.measured import Metric, Reading, Readings
from transcoder.status import Code
from transcoder.upstream import Call, Request
from transcoder.upstream.around import Around
from transcoder.upstream.failures import UNAVAILABLE
from transcoder.upstream.proxy import Remote

_RUNNING: Final = Metric("transcoder_upstream_running", "Calls that a backend has, by kind.")


class Limited(Around):
    """Passes calls on to a backend, unless it has as many as it may have.

    The others get UNAVAILABLE (503) and `Retry-After` at once; none waits.

    Args:
        upstream: the backend.
        calls: of methods without streams that it may have at once.
        streams: of methods with streams.

    Raises:
        ConfigError: a number is below 1.
    """

    def __init__(self, upstream: Remote, *, calls: int = 256, streams: int = 256) -> None:
        for name, number in (("calls", calls), ("streams", streams)):
            if number < 1:
                raise ConfigError(f"limit: {name} {number}: 1 or more is expected")
        super().__init__(upstream)
        self._calls = calls
        self._streams = streams
        self.running = 0
        """Calls without streams that the backend has."""
        self.streaming = 0
        """Calls with streams that it has."""

    def readings(self) -> Readings:
        """Tell how many calls the backend has, and what it counts; see `Measured`."""
        yield Reading(_RUNNING, self.running, {"kind": "calls"})
        yield Reading(_RUNNING, self.streaming, {"kind": "streams"})
        yield from super().readings()

    async def unary(self, call: Call, request: Request) -> Any:
        """Return the backend's reply; see `Upstream`."""
        if self.running >= self._calls:
            raise _full(call, self._calls)
        self.running += 1
        try:
            return await self._upstream.unary(call, request)
        finally:
            self.running -= 1

    async def stream(self, call: Call, request: Request) -> AsyncGenerator[Any, None]:
        """Return the backend's replies; see `Upstream`."""
        if self.streaming >= self._streams:
            raise _full(call, self._streams)
        self.streaming += 1
        try:
            async with contextlib.aclosing(self._upstream.stream(call, request)) as replies:
                async for reply in replies:
                    yield reply
        finally:
            self.streaming -= 1


def _full(call: Call, limit: int) -> StatusError:
    refusal = StatusError(Code.UNAVAILABLE, UNAVAILABLE, headers=[("retry-after", "1")])
    refusal.log = f"the backend of {call.method} has {limit} calls at once"
    return refusal
