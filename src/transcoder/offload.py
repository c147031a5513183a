"""Work that would hold the event loop, on a few threads and for a few at a time."""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from transcoder.errors import StatusError
from transcoder.status import Code

R = TypeVar("R")


class Offload:
    """Runs work on threads, and refuses it when too much waits.

    A thread does not make Python faster: it only lets others have their turns. So there are few
    of them, and who would wait long is told so at once. A stream waits for its turn instead, for
    its client waits with it; streams have room of their own.

    Args:
        threads: how many.
        waiting: how many pieces of work may wait or run in all; half as many of streams run beside
            them, and the others take turns.
    """

    def __init__(self, threads: int = 2, waiting: int = 16) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="offload")
        self._free = waiting
        self._free_for_streams = max(1, waiting // 2)
        self._queue: deque[asyncio.Future[None]] = deque()

    async def run(self, work: Callable[..., R], *arguments: Any) -> R:
        """Return what the work returns.

        Raises:
            StatusError: UNAVAILABLE, with `Retry-After`: too much is waiting.
        """
        if self._free == 0:
            message = "too many large messages at once"
            raise StatusError(Code.UNAVAILABLE, message, headers=[("retry-after", "1")])
        self._free -= 1
        return await self._begun(self._release, work, *arguments)

    async def in_turn(self, work: Callable[..., R], *arguments: Any) -> R:
        """Return what the work returns, of a stream: whatever else waits, it has its turn."""
        if self._free_for_streams == 0:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._queue.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if not turn.cancelled():
                    self._next()
                raise
        else:
            self._free_for_streams -= 1
        return await self._begun(self._next, work, *arguments)

    async def _begun(self, ended: Callable[[], None], work: Callable[..., R], *arguments: Any) -> R:
        running = contextvars.copy_context().run
        loop = asyncio.get_running_loop()
        future = loop.run_in_executor(self._executor, running, work, *arguments)

        def done(done: asyncio.Future[Any]) -> None:
            ended()
            if not done.cancelled():
                done.exception()

        # Counted until the thread is done with it, also when nobody waits any more.
        future.add_done_callback(done)
        return await asyncio.shield(future)

    def _release(self) -> None:
        self._free += 1

    def _next(self) -> None:
        while self._queue:
            turn = self._queue.popleft()
            if not turn.done():
                turn.set_result(None)
                return
        self._free_for_streams += 1
