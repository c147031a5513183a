"""Replies that a servicer writes, as a stream that somebody reads.

A method that calls `context.write()` runs as a task of its own. Each write waits until its message
was taken, so that a servicer is never ahead of a client that reads slowly.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any

import grpc.aio

_END = object()


class Handoff:
    """Hands messages from those who write to the one who reads."""

    __slots__ = ("_ended", "_offers", "_reader")

    def __init__(self) -> None:
        self._offers: deque[tuple[Any, asyncio.Future[None]]] = deque()
        self._reader: asyncio.Future[None] | None = None
        self._ended = False

    async def write(self, message: Any) -> None:
        """Return when the message was taken.

        Raises:
            UsageError: the call has ended.
        """
        if self._ended:
            raise grpc.aio.UsageError("write() after the end of the call")
        taken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._offers.append((message, taken))
        self._wake()
        await taken

    async def replies(
        self, behaviour: Coroutine[Any, Any, object], cancel: Callable[[], None]
    ) -> AsyncGenerator[Any, None]:
        """Run a servicer's coroutine and return what it writes.

        Args:
            behaviour: the coroutine.
            cancel: called before the coroutine is cancelled, as it is when the stream is closed.

        Raises (when iterated):
            BaseException: what the coroutine raised.
        """
        task = asyncio.get_running_loop().create_task(_outcome(behaviour))
        task.add_done_callback(self._end)
        try:
            while (message := await self._take()) is not _END:
                yield message
        except BaseException:
            cancel()
            raise
        finally:
            error = await _ended(task)
            behaviour.close()
            if error is not None:
                raise error

    async def _take(self) -> Any:
        while True:
            while self._offers:
                message, taken = self._offers.popleft()
                if not taken.done():
                    taken.set_result(None)
                    return message
            if self._ended:
                return _END
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader

    def _end(self, _task: object) -> None:
        self._ended = True
        for _, taken in self._offers:
            if not taken.done():
                taken.set_exception(grpc.aio.UsageError("the call has ended"))
        self._offers.clear()
        self._wake()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)


async def _outcome(behaviour: Coroutine[Any, Any, object]) -> BaseException | None:
    # A task that raises SystemExit would end the event loop with it.
    try:
        await behaviour
    except BaseException as error:  # noqa: BLE001  it is raised to the reader of the stream
        return error
    return None


async def _ended(task: asyncio.Task[BaseException | None]) -> BaseException | None:
    """Cancel the task, unless it has ended; return what it raised, less its cancellation."""
    if task.done():
        return task.result()
    task.cancel()
    cancelled: BaseException | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
            task.cancel()
    raised = None if task.cancelled() else task.result()
    return cancelled if isinstance(raised, asyncio.CancelledError | None) else raised
