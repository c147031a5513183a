from __future__ import annotations

import asyncio
import types
from collections.abc import Callable, Coroutine, Generator
from typing import Any

import pytest

from transcoder.first_step import resumed


async def begun(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine, its first step by hand."""
    try:
        waits_for = coroutine.send(None)
    except StopIteration as done:
        return done.value
    return await resumed(coroutine, waits_for)


async def awaited(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine as anybody would."""
    return await coroutine


@types.coroutine
def bare(value: object) -> Generator[Any, Any, Any]:
    """Yield to the task what may be no future."""
    return (yield value)


def failing() -> asyncio.Future[str]:
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    future.set_exception(ValueError("failed"))
    return future


async def returns() -> str:
    return "at once"


async def raises() -> None:
    raise ValueError("at once")


async def waits_twice() -> list[Any]:
    first = await asyncio.sleep(0.001, "first")
    return [first, await asyncio.sleep(0, "second")]


async def waits_for_a_task() -> Any:
    return await asyncio.create_task(asyncio.sleep(0, "task"))


async def waits_for_all() -> Any:
    return await asyncio.gather(asyncio.sleep(0, "a"), asyncio.sleep(0.001, "b"))


async def waits_for_what_fails() -> Any:
    try:
        await failing()
    except ValueError as error:
        return [str(error), await asyncio.sleep(0, "goes on")]


async def lets_fail() -> None:
    await failing()


async def yields_nonsense() -> Any:
    try:
        await bare("nonsense")
    except RuntimeError as error:
        return str(error)


async def times_out() -> str:
    try:
        async with asyncio.timeout(0.001):
            await asyncio.Event().wait()
    except TimeoutError:
        return "timed out"
    return "not timed out"


async def cancels_itself() -> str:
    task: Any = asyncio.current_task()
    task.cancel()
    try:
        await asyncio.sleep(1)
    except asyncio.CancelledError:
        task.uncancel()
        return await asyncio.sleep(0, "cancelled itself")
    return "not cancelled"


async def cancels_itself_late() -> str:
    await asyncio.sleep(0)
    return await cancels_itself()


WORK = [
    returns,
    raises,
    waits_twice,
    waits_for_a_task,
    waits_for_all,
    waits_for_what_fails,
    lets_fail,
    yields_nonsense,
    times_out,
    cancels_itself,
    cancels_itself_late,
]


def outcome(
    run: Callable[[Coroutine[Any, Any, Any]], Coroutine[Any, Any, Any]],
    work: Callable[[], Coroutine[Any, Any, Any]],
) -> Any:
    try:
        return asyncio.run(run(work()))
    except ValueError as error:
        return repr(error)


@pytest.mark.parametrize("work", WORK)
def test_no_difference(work: Callable[[], Coroutine[Any, Any, Any]]) -> None:
    """A coroutine cannot tell whether its first step was made by hand."""
    assert outcome(begun, work) == outcome(awaited, work)


@pytest.mark.parametrize("run", [begun, awaited])
@pytest.mark.parametrize("steps", [1, 2])
def test_cancelled(run: Callable[[Any], Coroutine[Any, Any, Any]], steps: int) -> None:
    """A cancellation reaches the coroutine, at its first wait and later; it may take its time."""
    seen = []

    async def work() -> None:
        try:
            for _ in range(steps - 1):
                await asyncio.sleep(0)
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0)
            seen.append("cleaned up")
            raise

    async def main() -> bool:
        task = asyncio.create_task(run(work()))
        for _ in range(5):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert asyncio.run(main())
    assert seen == ["cleaned up"]


@pytest.mark.parametrize("steps", [1, 2])
def test_closed(steps: int) -> None:
    """A coroutine whose task is gone is closed, wherever it waits."""
    closed = []

    async def work() -> None:
        try:
            for _ in range(steps):
                await bare(None)
        finally:
            closed.append(True)

    running = begun(work())
    for _ in range(steps):
        running.send(None)
    running.close()

    assert closed == [True]
