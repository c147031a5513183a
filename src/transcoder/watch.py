"""Who gives a call up: its client, its deadline, or the drain.

An ASGI server does not cancel an application whose client has gone. So somebody has to look, and
that costs a task. Most calls are over before it is worth one: `rest` makes no watch for a call that
never waits, and a watch looks only after a while. Even a timer for each is dear: the calls of an
event loop share one.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from typing import Self

from starlette.types import Receive

from transcoder.body import Disconnected
from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream import Call

PATIENCE = 0.05
"""Seconds that a call runs unwatched, at most."""

PASSED = "the deadline has passed"

_ROUND = PATIENCE / 2


class Watch:
    """Cancels the task that awaits a call when the call is given up; a context manager.

    Args:
        call: whose deadline counts; it learns that it is cancelled.
        gone: returns when the client has gone away.
        patience: seconds until it is looked for, at most.

    Raises (on exit):
        StatusError: DEADLINE_EXCEEDED, or what `end` was told.
        Disconnected: the client has gone; there is nobody to answer.
    """

    __slots__ = ("_call", "_gone", "_rounds", "_task", "_timer", "_watching", "ended")

    def __init__(
        self, call: Call, gone: Callable[[], Awaitable[object]], patience: float = PATIENCE
    ) -> None:
        self.ended: StatusError | Disconnected | None = None
        self._call = call
        self._gone = gone
        self._watching: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        rounds = self._rounds = _rounds()
        self._task = asyncio.current_task(rounds.loop)
        left = call.time_remaining()
        if patience == PATIENCE and (left is None or left > PATIENCE):
            rounds.add(self)
        else:
            wait = patience if left is None else min(patience, left)
            self._timer = rounds.loop.call_later(wait, self.begin)

    def __enter__(self) -> Self:
        """Return the watch."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching, and say why the call was given up, if it was."""
        if self._timer is None:
            self._rounds.discard(self)
        else:
            self._timer.cancel()
        if self._watching is not None:
            self._watching.cancel()
        if self.ended is not None:
            if self._task is not None:
                self._task.uncancel()
            raise self.ended from None

    def end(self, why: StatusError | Disconnected) -> None:
        """Give the call up; only the first reason counts."""
        if self.ended is None:
            self.ended = why
            self._call.cancelled = True
            if self._task is not None:
                self._task.cancel()

    def check(self) -> None:
        """Refuse to go on with a call that was given up: its servicer may not heed it.

        Raises:
            StatusError, Disconnected: why it was.
        """
        if self.ended is not None:
            raise self.ended

    def begin(self) -> None:
        """Look for what gives the call up from now on."""
        self._watching = self._rounds.loop.create_task(self._watch())

    async def _watch(self) -> None:
        try:
            async with asyncio.timeout(self._call.time_remaining()):
                await self._gone()
        except TimeoutError:
            self.end(StatusError(Code.DEADLINE_EXCEEDED, PASSED))
        else:
            self.end(Disconnected())


class _Rounds:
    """Begins the watches of one event loop, each at the second round after it came."""

    __slots__ = ("_is_due", "_newer", "_older", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._newer: dict[Watch, None] = {}
        self._older: dict[Watch, None] = {}
        self._is_due = False

    def add(self, watch: Watch) -> None:
        self._newer[watch] = None
        if not self._is_due:
            self._is_due = True
            self.loop.call_later(_ROUND, self._go)

    def discard(self, watch: Watch) -> None:
        self._newer.pop(watch, None)
        self._older.pop(watch, None)

    def _go(self) -> None:
        for watch in self._older:
            watch.begin()
        self._older, self._newer = self._newer, {}
        self._is_due = bool(self._older)
        if self._is_due:
            self.loop.call_later(_ROUND, self._go)


class _OfThread(threading.local):
    rounds: _Rounds | None = None


_of_thread = _OfThread()


def _rounds() -> _Rounds:
    """Return the rounds of the running loop, without asking for it: that costs a system call."""
    rounds = _of_thread.rounds
    if rounds is None or not rounds.loop.is_running():
        rounds = _of_thread.rounds = _Rounds(asyncio.get_running_loop())
    return rounds


def check_time(call: Call) -> None:
    """Refuse a call that has no time left, before it begins.

    Raises:
        StatusError: DEADLINE_EXCEEDED.
    """
    if call.time_remaining() == 0:
        raise StatusError(Code.DEADLINE_EXCEEDED, PASSED)


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone away; what else it sends is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
