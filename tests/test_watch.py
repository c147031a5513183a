from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from transcoder.body import Disconnected
from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream import Call
from transcoder.watch import Watch, check_time, disconnected


async def never() -> None:
    """Be a client that stays."""
    await asyncio.Event().wait()


def called(
    work: Callable[[Watch], Awaitable[Any]],
    *,
    left: float | None = None,
    gone: Callable[[], Awaitable[object]] = never,
    patience: float | None = None,
) -> tuple[Any, Call]:
    """Return what watched work returned or raised, and its call."""
    call = Call("/a.B/C", deadline=None if left is None else time.monotonic() + left)

    async def main() -> Any:
        told = {} if patience is None else {"patience": patience}
        async with asyncio.timeout(10):
            with Watch(call, gone, **told) as watch:
                return await work(watch)

    try:
        return asyncio.run(main()), call
    except (StatusError, Disconnected) as error:
        return error, call


async def forever(_: Watch) -> None:
    """Wait without an end."""
    await asyncio.Event().wait()


def test_done() -> None:
    """Work that ends is let alone."""

    async def work(_: Watch) -> str:
        return "done"

    result, call = called(work, left=30)

    assert result == "done"
    assert not call.cancelled


@pytest.mark.parametrize("left", [0.001, 0.1])
def test_deadline(left: float) -> None:
    """Work is cancelled at the deadline, near or far, and not before it."""
    start = time.monotonic()
    result, call = called(forever, left=left)

    assert result.status.code == Code.DEADLINE_EXCEEDED
    assert call.cancelled
    assert time.monotonic() - start >= left


def test_no_time_left() -> None:
    """Work whose deadline passed before it was watched is cancelled."""
    result, call = called(forever, left=-1)

    assert result.status.code == Code.DEADLINE_EXCEEDED
    assert call.cancelled


def test_check_time() -> None:
    """A call without time left is refused, and no other."""
    check_time(Call("/a.B/C"))
    check_time(Call("/a.B/C", deadline=time.monotonic() + 30))

    with pytest.raises(StatusError, match="the deadline has passed"):
        check_time(Call("/a.B/C", deadline=time.monotonic() - 1))


@pytest.mark.parametrize("patience", [None, 0.0])
def test_client_goes(patience: float | None) -> None:
    """Work is cancelled when its client goes."""

    async def gone() -> None:
        """Be a client that goes."""

    result, call = called(forever, gone=gone, patience=patience)

    assert isinstance(result, Disconnected)
    assert call.cancelled


def test_first_reason_counts() -> None:
    """Work that is given up twice ends for the first reason, even if it swallows that."""

    async def work(watch: Watch) -> str:
        watch.end(StatusError(Code.UNAVAILABLE, "first"))
        watch.end(Disconnected())
        try:
            await asyncio.sleep(1)
        except asyncio.CancelledError:
            return "swallowed"
        return "not cancelled"

    result, _ = called(work)

    assert result.status.message == "first"


def test_other_cancellations_pass() -> None:
    """A cancellation of the task itself stays one."""

    async def main() -> bool:
        async def watched() -> None:
            with Watch(Call("/a.B/C"), never):
                await asyncio.Event().wait()

        task = asyncio.create_task(watched())
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())


def test_many_share_a_timer() -> None:
    """Calls of one loop that outlast their patience are all watched, whenever they came."""

    async def gone() -> None:
        """Be a client that goes."""

    async def main() -> list[Any]:
        async def watched(wait: float) -> None:
            await asyncio.sleep(wait)
            with Watch(Call("/a.B/C"), gone):
                await asyncio.Event().wait()

        tasks = [watched(number / 100) for number in range(10)]
        return await asyncio.gather(*tasks, return_exceptions=True)

    assert all(isinstance(ended, Disconnected) for ended in asyncio.run(main()))


def test_what_a_client_sends_is_dropped() -> None:
    """A client is gone when the channel says so, whatever comes before."""
    messages: list[Any] = [{"type": "http.request"}, {"type": "http.disconnect"}, {}]

    async def receive() -> Any:
        return messages.pop(0)

    asyncio.run(disconnected(receive))

    assert messages == [{}]
