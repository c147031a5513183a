from __future__ import annotations

import asyncio
import contextvars
import threading
from typing import Any

import pytest

from transcoder.errors import StatusError
from transcoder.offload import Offload


def test_runs_elsewhere() -> None:
    """Work runs on a thread, with the caller's context variables."""
    tenant = contextvars.ContextVar("tenant", default="")

    def work(number: int) -> tuple[int, str, bool]:
        return number, tenant.get(), threading.current_thread() is threading.main_thread()

    async def run() -> Any:
        tenant.set("acme")
        return await Offload().run(work, 5)

    assert asyncio.run(run()) == (5, "acme", False)


def test_raises() -> None:
    """What the work raises is raised to who waits for it."""

    def work() -> None:
        raise KeyError

    async def run() -> None:
        await Offload().run(work)

    with pytest.raises(KeyError):
        asyncio.run(run())


def test_sheds() -> None:
    """Work over what may wait is refused at once, and taken again when there is room."""
    gate = threading.Event()

    async def run() -> list[str]:
        offload = Offload(threads=1, waiting=2)
        tasks = [asyncio.create_task(offload.run(gate.wait, 5)) for _ in range(2)]
        await asyncio.sleep(0)
        told = []
        with pytest.raises(StatusError) as caught:
            await offload.run(gate.wait, 5)
        told.append(dict(caught.value.headers)["retry-after"])
        gate.set()
        await asyncio.gather(*tasks)
        told.append(str(await offload.run(lambda: "taken")))
        return told

    assert asyncio.run(run()) == ["1", "taken"]


def test_abandoned_work_counts_until_it_ends() -> None:
    """Who stops waiting does not make room: the thread is still busy."""
    gate = threading.Event()

    async def run() -> None:
        offload = Offload(threads=1, waiting=1)
        task = asyncio.create_task(offload.run(gate.wait, 5))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(StatusError):
            await offload.run(gate.wait, 5)
        gate.set()

    asyncio.run(run())


def test_streams_have_their_turn() -> None:
    """Work of streams is never refused: it waits, unless nobody waits for it any more."""
    gate = threading.Event()
    done: list[int] = []

    async def run() -> None:
        offload = Offload(threads=1, waiting=2)
        first = asyncio.create_task(offload.in_turn(gate.wait, 5))
        others = [asyncio.create_task(offload.in_turn(done.append, each)) for each in range(9)]
        full = [asyncio.create_task(offload.run(gate.wait, 5)) for _ in range(2)]
        await asyncio.sleep(0)
        for left in (others[0], others[4]):
            left.cancel()
        gate.set()
        await asyncio.gather(first, *full, *others, return_exceptions=True)
        await offload.in_turn(done.append, 9)

    asyncio.run(run())

    assert done == [1, 2, 3, 5, 6, 7, 8, 9]


def test_a_turn_that_is_given_up_is_the_next_ones() -> None:
    """Who goes in the moment that its turn comes hands it on."""
    gate = threading.Event()
    done: list[str] = []

    async def run() -> None:
        offload = Offload(threads=1, waiting=2)
        first = asyncio.create_task(offload.in_turn(gate.wait, 5))
        given_up = asyncio.create_task(offload.in_turn(done.append, "given up"))
        last = asyncio.create_task(offload.in_turn(done.append, "last"))
        await asyncio.sleep(0)
        first.add_done_callback(lambda _: given_up.cancel())
        gate.set()
        await asyncio.wait_for(last, 5)

    asyncio.run(run())

    assert done[-1] == "last"
