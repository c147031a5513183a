"""The gateway that serves now, and those before it whose calls are not over.

A server asks for the current one at each call and for nothing else, so that another takes its place
between two calls, on both ports at once. A call ends in the generation in which it began: whatever
stands before its method, and who answers it, is of that one. A generation is closed when its last
call has ended, or when its grace is over.

What is of the server rather than of a configuration is given to each generation: checks of the
listeners, what the server counts, observers of the admin port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Coroutine, Iterable
from typing import Any, Final, Protocol, TypeAlias

from starlette.types import Receive, Scope, Send

from transcoder.events import Observer
from transcoder.gateway import Gateway
from transcoder.lifespan import Lifespan
from transcoder.measured import Measured
from transcoder.policies.policy import Check

GRACE: Final = 300.0
"""Seconds that calls of an earlier generation get."""

_LINGER: Final = 0.5

_Call: TypeAlias = "asyncio.Task[Any]"


class Listener(Protocol):
    """Whose calls are waited for."""

    @property
    def running(self) -> Collection[_Call]:
        """The tasks of the calls that run; without those that are of no configuration."""
        ...

    def end_streams(self, tasks: Iterable[_Call]) -> None:
        """End those of some calls that are streams, in words that their clients understand."""
        ...


class Generations:
    """Serves one gateway after another.

    Args:
        first: the gateway that begins.
        stop_grace: seconds that each of them gets to stop.
        grace: seconds that the calls of one get when another has taken its place.
        changing: whether another ever will.
    """

    def __init__(
        self,
        first: Gateway,
        *,
        stop_grace: float = 30.0,
        grace: float = GRACE,
        changing: bool = False,
    ) -> None:
        self.current = first
        """The gateway that gets the next call."""
        self.changing: Final = changing
        self.number = 1
        """How many there were, with the current one."""
        self._grace = grace
        self._stop_grace = stop_grace
        self._lifespan = Lifespan(first, stop_grace)
        self._draining = False
        self._checks: list[Check] = []
        self._measured: list[Measured] = []
        self._observers: list[Observer] = []
        self._listeners: list[Listener] = []
        self._leaving: dict[asyncio.Task[bool], Gateway] = {}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Answer one connection, as ASGI has it, by the current gateway."""
        return self.current(scope, receive, send)

    @property
    def state(self) -> dict[str, Any]:
        """What the first gateway put into its lifespan's state."""
        return self._lifespan.state

    @property
    def draining(self) -> bool:
        """Whether the server is about to end; it is told to every gateway that still has calls."""
        return self._draining

    @draining.setter
    def draining(self, value: bool) -> None:
        self._draining = value
        for each in self._all:
            each.draining = value

    @property
    def leaving(self) -> int:
        """How many earlier ones still have calls."""
        return len(self._leaving)

    def add_check(self, check: Check) -> None:
        """Have readiness ask a check of the server."""
        self._checks.append(check)
        self.current.readiness.add(check)

    def remove_check(self, check: Check) -> None:
        """Have it ask no longer."""
        self._checks = [each for each in self._checks if each is not check]
        self.current.readiness.remove(check)

    def measure(self, measured: Measured) -> None:
        """Tell what the server counts, beside what gateways do."""
        self._measured.append(measured)
        self.current.measure(measured)

    def unmeasure(self, measured: Measured) -> None:
        """Tell it no longer."""
        self._measured = [each for each in self._measured if each is not measured]
        self.current.unmeasure(measured)

    def observe(self, observer: Observer) -> None:
        """Tell an observer of the calls of all gateways; one of the current one may be such."""
        self._observers.append(observer)
        _observe(self.current, observer)

    def listen(self, listener: Listener) -> None:
        """Wait for the calls of a listener too, before a gateway is closed."""
        self._listeners.append(listener)

    def end_streams(self) -> None:
        """End the streams that are open over HTTP, with UNAVAILABLE; the server calls this."""
        for each in self._all:
            each.end_streams()

    async def start(self) -> None:
        """Start the first; as `Lifespan.start`."""
        await self._lifespan.start()

    async def follow(self, gateway: Gateway) -> None:
        """Start another, and have it serve in the place of the current one.

        Raises:
            ConfigError: it does not start; the current one goes on.
        """
        for check in self._checks:
            gateway.readiness.add(check)
        for measured in self._measured:
            gateway.measure(measured)
        for observer in self._observers:
            _observe(gateway, observer)
        lifespan = Lifespan(gateway, self._stop_grace)
        try:
            await lifespan.start()
        except BaseException:
            await lifespan.stop()
            raise
        # No step of the loop between these lines: a call is of the one or of the other.
        gateway.draining = self._draining
        before, past = self.current, self._lifespan
        self.current, self._lifespan = gateway, lifespan
        self.number += 1
        running = {task for each in self._listeners for task in each.running}
        leaving = asyncio.create_task(self._leave(before, past, running))
        self._leaving[leaving] = before
        leaving.add_done_callback(self._left)

    async def stop(self) -> bool:
        """Stop all; whether they went in time and without an error, as `Lifespan.stop`."""
        stopped = await self._lifespan.stop()
        leaving = set(self._leaving)
        if leaving:
            # Their calls are over when the listeners are closed.
            _, late = await asyncio.wait(leaving, timeout=self._stop_grace)
            for each in late:
                each.cancel()
            stopped = stopped and not late
        return stopped

    @property
    def _all(self) -> list[Gateway]:
        return [self.current, *self._leaving.values()]

    def _left(self, leaving: asyncio.Task[bool]) -> None:
        del self._leaving[leaving]

    async def _leave(self, gateway: Gateway, lifespan: Lifespan, calls: set[_Call]) -> bool:
        """Close a gateway when some calls have ended, or when they are ended."""
        late = await _over(calls, self._grace)
        if late:
            gateway.draining = True
            gateway.end_streams()
            for each in self._listeners:
                each.end_streams(late)
            late = await _over(late, _LINGER)
            for call in late:
                call.cancel()
            await _over(late, _LINGER)
        return await lifespan.stop()


def _observe(gateway: Gateway, observer: Observer) -> None:
    if not any(each is observer for each in gateway.chain.observers):
        gateway.observe(observer)


async def _over(calls: Iterable[_Call], seconds: float) -> set[_Call]:
    """Wait for the end of some calls; return those that did not end."""
    waiting = {call for call in calls if not call.done()}
    if waiting:
        _, waiting = await asyncio.wait(waiting, timeout=seconds)
    return waiting
