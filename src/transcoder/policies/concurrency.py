"""How many calls may run at once.

What comes beyond that waits, but not for long and not many of it: a queue that nobody bounds is
where an overloaded server spends its time on calls whose clients have gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable
from typing import Final

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.measured import Metric, Reading, Readings
from transcoder.policies.ceilings import Ceiling, Fixed
from transcoder.policies.policy import Denied, Now, Stage
from transcoder.status import Code

_RUNNING: Final = Metric("transcoder_concurrency_running", "Calls that run, of one reply.")
_STREAMING: Final = Metric("transcoder_concurrency_streaming", "Calls that run, with streams.")
_WAITING: Final = Metric("transcoder_concurrency_waiting", "Calls that wait until they may run.")


class ConcurrencyLimit:
    """Keeps away what is too much at once, with UNAVAILABLE (503) and `Retry-After`.

    Args:
        limit: calls of methods without streams that may run at once, or a `Ceiling` that says so.
        queue: how many more may wait.
        patience: seconds that one may wait.
        streams: calls of methods with streams that may run at once; they do not wait.
        name: of the policy, for logs and overrides.

    Raises:
        ConfigError: a number is below what it can be.
    """

    stage: Final = Stage.CONCURRENCY

    def __init__(
        self,
        limit: int | Ceiling = 256,
        *,
        queue: int = 64,
        patience: float = 0.5,
        streams: int = 1000,
        name: str = "concurrency",
    ) -> None:
        if queue < 0 or patience < 0 or streams < 0:
            raise ConfigError(f"{name}: queue, patience and streams: numbers from 0 are expected")
        self.name: Final = name
        self.running = 0
        """Calls without streams that run."""
        self.streaming = 0
        """Calls with streams that run."""
        self._ceiling: Ceiling = Fixed(limit) if isinstance(limit, int) else limit
        self._queue = queue
        self._patience = patience
        self._streams = streams
        self._waiting: deque[asyncio.Future[None]] = deque()

    @property
    def waiting(self) -> int:
        """Calls that wait."""
        return len(self._waiting)

    @property
    def limits(self) -> str:
        """What it allows."""
        waiting = f"{self._queue} more for {self._patience:g} s"
        return f"{self._ceiling.limit} calls at once, {waiting}, {self._streams} streams"

    def readings(self) -> Readings:
        """Tell how many calls run and wait; see `Measured`."""
        counts = {_RUNNING: self.running, _STREAMING: self.streaming, _WAITING: self.waiting}
        return [Reading(each, count) for each, count in counts.items()]

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Let a call pass, have it wait, or refuse it."""
        if call.streams:
            if self.streaming >= self._streams:
                raise _overloaded("streams")
            self.streaming += 1
            call.at_end(self._end_stream)
            return None
        if self.running < self._ceiling.limit and not self._waiting:
            self._begin(call, now.monotonic)
            return None
        if len(self._waiting) >= self._queue:
            raise _overloaded("queue-full")
        return self._wait(call)

    def _begin(self, call: CallDetails, now: float) -> None:
        self.running += 1
        in_flight = self.running

        def end() -> None:
            self.running -= 1
            if call.code is Code.OK:
                self._ceiling.sample(call.ended - now, in_flight)
            self._wake()

        call.at_end(end)

    async def _wait(self, call: CallDetails) -> None:
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[None] = loop.create_future()
        self._waiting.append(turn)
        try:
            async with asyncio.timeout(self._patience):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                # Its turn came just then: it is the next one's.
                self.running -= 1
                self._wake()
            else:
                # A call that ended in the same moment may have removed it.
                with contextlib.suppress(ValueError):
                    self._waiting.remove(turn)
            if isinstance(error, TimeoutError):
                raise _overloaded("queue-time") from None
            raise
        self.running -= 1
        self._begin(call, time.monotonic())

    def _wake(self) -> None:
        while self._waiting and self.running < self._ceiling.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                # The place is taken from now on, whoever comes before the other wakes.
                self.running += 1
                turn.set_result(None)

    def _end_stream(self) -> None:
        self.streaming -= 1


def _overloaded(reason: str) -> Denied:
    return Denied(
        Code.UNAVAILABLE,
        "the service is overloaded",
        reason=reason,
        headers=[("retry-after", "1")],
    )
