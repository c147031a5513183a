"""Work that would hold the event loop, on a few threads and for a few at a time."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from transcoder.errors import StatusError
from transcoder.status import Code

R = TypeVar("R")


class Offload:
    """Runs work on threads, and refuses it when too much waits.

    A thread does not make Python faster: it only lets others have their turns. So there are few
    of them, and who would wait long is told so at once.

    Args:
        threads: how many.
        waiting: how many pieces of work may wait or run in all.
    """

    def __init__(self, threads: int = 2, waiting: int = 16) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="offload")
        self._free = waiting

    async def run(self, work: Callable[..., R], *arguments: Any) -> R:
        """Return what the work returns.

        Raises:
            StatusError: UNAVAILABLE, with `Retry-After`: too much is waiting.
        """
        if self._free == 0:
            message = "too many large messages at once"
            raise StatusError(Code.UNAVAILABLE, message, headers=[("retry-after", "1")])
        self._free -= 1
        loop = asyncio.get_running_loop()
        running = contextvars.copy_context().run
        future = loop.run_in_executor(self._executor, running, work, *arguments)
        # Counted until the thread is done with it, also when nobody waits any more.
        future.add_done_callback(self._release)
        return await asyncio.shield(future)

    def _release(self, done: asyncio.Future[Any]) -> None:
        self._free += 1
        if not done.cancelled():
            done.exception()
