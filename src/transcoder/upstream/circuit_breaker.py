"""A backend behind a circuit breaker.

gateway.route(service, CircuitBreaker(Channel("users:50051")))
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import time
from collections.abc import AsyncGenerator, Callable, Mapping
from typing import Any, Final, Literal, Self

from transcoder.errors import ConfigError, StatusError
from transcoder.measured import Metric, Reading, Readings
from transcoder.status import FAULTS, Code
from transcoder.upstream import Call, Request
from transcoder.upstream.around import Around
from transcoder.upstream.breaker import DEFAULT_THRESHOLDS, Breaker, State, Thresholds
from transcoder.upstream.failures import UNAVAILABLE
from transcoder.upstream.proxy import Remote

_log = logging.getLogger(__name__)

_STATE: Final = Metric("transcoder_breaker_state", "1 for the state in which a breaker is.")


# Its `check` is not of the breaker: one that is open closes by calls, which would go elsewhere.
class CircuitBreaker(Around):
    """Passes calls on to a backend, unless it fails.

    The backend's fault is UNAVAILABLE, UNKNOWN, INTERNAL, DATA_LOSS, and a deadline that passed,
    if the call had at least `slow` seconds: a client that gives no time opens nothing.

    Args:
        upstream: the backend.
        thresholds: when the breaker opens, and when it closes.
        by: one breaker for the whole `backend`, or one for each `method`.
        slow: seconds within which a backend that works has answered.
        clock: the time in seconds; it must not be one that is set.

    Raises:
        ConfigError: an option is none.
    """

    def __init__(
        self,
        upstream: Remote,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
        *,
        by: Literal["backend", "method"] = "backend",
        slow: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(upstream)
        self._breakers = Breakers(thresholds, by=by, slow=slow, clock=clock)

    @property
    def states(self) -> Mapping[str, State]:
        """The state of each breaker that has seen a call, by its method; one alone by ""."""
        return self._breakers.states

    def readings(self) -> Readings:
        """Tell the state of each breaker, and what the backend counts; see `Measured`."""
        yield from self._breakers.readings()
        yield from super().readings()

    async def unary(self, call: Call, request: Request) -> Any:
        """Return the backend's reply; see `Upstream`."""
        with self._breakers.passing(call) as passage:
            reply = await self._upstream.unary(call, request)
            passage.work()
            return reply

    async def stream(self, call: Call, request: Request) -> AsyncGenerator[Any, None]:
        """Return the backend's replies; see `Upstream`. The first of them says that it works."""
        with self._breakers.passing(call) as passage:
            async with contextlib.aclosing(self._upstream.stream(call, request)) as replies:
                async for reply in replies:
                    passage.work()
                    yield reply
            passage.work()


class Breakers:
    """The breakers of one backend; arguments are those of `CircuitBreaker`."""

    def __init__(
        self,
        thresholds: Thresholds = DEFAULT_THRESHOLDS,
        *,
        by: Literal["backend", "method"] = "backend",
        slow: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if by not in {"backend", "method"}:
            raise ConfigError(f"breaker: by {by!r}: 'backend' or 'method' is expected")
        self._thresholds = thresholds
        self._by_method = by == "method"
        self._slow = slow
        self._clock = clock
        self._breakers: dict[str, Breaker] = {}

    @property
    def states(self) -> Mapping[str, State]:
        """The state of each breaker that has seen a call, by its method; one alone by ""."""
        return {name: breaker.state for name, breaker in self._breakers.items()}

    def readings(self) -> Readings:
        """Tell the state of each breaker; see `Measured`."""
        states = self.states or ({} if self._by_method else {"": State.CLOSED})
        for method, current in states.items():
            for state in State:
                labels = {"method": method, "state": state.value}
                yield Reading(_STATE, float(state is current), labels)

    def passing(self, call: Call) -> Passage:
        """Return the passage of a call, a context manager.

        Raises (on entering):
            StatusError: UNAVAILABLE, the breaker is open.
        """
        name = call.method if self._by_method else ""
        breaker = self._breakers.get(name)
        if breaker is None:
            breaker = self._breakers[name] = Breaker(self._thresholds)
        return Passage(breaker, call, self._clock, self._slow)


class Passage:
    """One call through a breaker."""

    __slots__ = ("_begun", "_breaker", "_call", "_clock", "_slow", "_told", "_turn")

    def __init__(
        self, breaker: Breaker, call: Call, clock: Callable[[], float], slow: float
    ) -> None:
        self._breaker = breaker
        self._call = call
        self._clock = clock
        self._slow = slow
        self._told = False
        self._begun = clock()
        self._turn: int | None = None

    def __enter__(self) -> Self:
        self._turn = self._breaker.admit(self._begun)
        if self._turn is None:
            seconds = max(1, math.ceil(self._breaker.retry_after(self._begun)))
            headers = [("retry-after", str(seconds))]
            refusal = StatusError(Code.UNAVAILABLE, UNAVAILABLE, headers=headers)
            refusal.log = f"the breaker of {self._call.method} is {self._breaker.state.value}"
            raise refusal
        return self

    def __exit__(self, _type: object, error: BaseException | None, _tb: object) -> None:
        if self._told:
            return
        if error is None or isinstance(error, GeneratorExit):
            self._breaker.gave_up(self._turn)
        elif isinstance(error, StatusError):
            self._tell(works=not self._is_fault(error))
        elif isinstance(error, asyncio.CancelledError):
            if self._call.time_remaining() == 0 and self._took_long():
                self._tell(works=False)
            else:
                self._breaker.gave_up(self._turn)
        else:
            self._tell(works=False)

    def work(self) -> None:
        """Take note that the backend works."""
        if not self._told:
            self._tell(works=True)

    def fail(self) -> None:
        """Take note that it fails, though the call has an answer."""
        if not self._told:
            self._tell(works=False)

    def _is_fault(self, error: StatusError) -> bool:
        code = error.status.code
        if code is Code.DEADLINE_EXCEEDED:
            return self._took_long()
        return code in FAULTS

    def _took_long(self) -> bool:
        return self._clock() - self._begun >= self._slow

    def _tell(self, *, works: bool) -> None:
        self._told = True
        breaker = self._breaker
        before = breaker.state
        report = breaker.worked if works else breaker.failed
        report(self._turn, self._clock())
        if breaker.state is not before:
            _log.warning("the breaker of %s is %s", self._call.method, breaker.state.value)
