"""Calls sent more than once, of which the first good reply is taken (gRFC A6)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from transcoder.errors import StatusError
from transcoder.upstream.method_config import Hedging

T = TypeVar("T")


async def hedged(attempt: Callable[[], Awaitable[T]], policy: Hedging) -> T:
    """Return the outcome of the first attempt that replies or fails for good.

    Another attempt begins when the delay is over, or at once when one has failed with a code that
    is not fatal. What is still under way at the end is cancelled.

    Args:
        attempt: begins one.
        policy: how many, and when.
    """
    running: set[asyncio.Task[T]] = set()
    begun = 0
    try:
        while True:
            if begun < policy.attempts:
                begun += 1
                running.add(asyncio.ensure_future(_awaited(attempt())))
            wait = policy.delay if begun < policy.attempts else None
            done, _ = await asyncio.wait(running, timeout=wait, return_when=asyncio.FIRST_COMPLETED)
            running -= done
            last = begun == policy.attempts and not running
            # Replies first; and whoever is asked for an exception does not log it as never seen.
            for task in sorted(done, key=lambda task: task.exception() is not None):
                if last or not _may_be_tried_again(task.exception(), policy):
                    return task.result()
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)


async def _awaited(attempt: Awaitable[T]) -> T:
    return await attempt


def _may_be_tried_again(error: BaseException | None, policy: Hedging) -> bool:
    return isinstance(error, StatusError) and error.status.code in policy.non_fatal
