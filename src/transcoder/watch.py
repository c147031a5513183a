"""Who gives a call up: its client, its deadline, or the drain.

An ASGI server does not cancel an application whose client has gone. So somebody has to look, and
that costs a task. Most calls are over before it is worth one: a watch begins with a timer, and only
a call that outlasts it is watched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Self

from starlette.types import Receive

from transcoder.body import Disconnected
from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream import Call

PATIENCE = 0.05
"""Seconds that a call runs unwatched."""


class Watch:
    """Cancels the task that awaits a call when the call is given up; a context manager.

    Args:
        call: whose deadline counts; it learns that it is cancelled.
        gone: returns when the client has gone away.
        patience: seconds until it is looked for.

    Raises (on exit):
        StatusError: DEADLINE_EXCEEDED, or what `end` was told.
        Disconnected: the client has gone; there is nobody to answer.
    """

    __slots__ = ("_call", "_gone", "_loop", "_task", "_timer", "_watching", "ended")

    def __init__(
        self, call: Call, gone: Callable[[], Awaitable[object]], patience: float = PATIENCE
    ) -> None:
        self.ended: StatusError | Disconnected | None = None
        self._call = call
        self._gone = gone
        self._loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        self._watching: asyncio.Task[None] | None = None
        left = call.time_remaining()
        wait = patience if left is None else min(patience, left)
        self._timer = self._loop.call_later(wait, self._begin)

    def __enter__(self) -> Self:
        """Return the watch."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop watching, and say why the call was given up, if it was."""
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

    def _begin(self) -> None:
        self._watching = self._loop.create_task(self._watch())

    async def _watch(self) -> None:
        try:
            async with asyncio.timeout(self._call.time_remaining()):
                await self._gone()
        except TimeoutError:
            self.end(StatusError(Code.DEADLINE_EXCEEDED, "the deadline has passed"))
        else:
            self.end(Disconnected())


def check_deadline(call: Call) -> None:
    """Refuse a call whose deadline has passed before it begins.

    Raises:
        StatusError: DEADLINE_EXCEEDED.
    """
    if call.time_remaining() == 0:
        raise StatusError(Code.DEADLINE_EXCEEDED, "the deadline has passed")


async def disconnected(receive: Receive) -> None:
    """Return when the client has gone away; what else it sends is dropped."""
    while (await receive())["type"] != "http.disconnect":
        pass
