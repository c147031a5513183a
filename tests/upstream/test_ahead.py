"""How far a plain generator is ahead of who reads it, in process."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import grpc
import grpc.aio
import pytest

from services.user.v1.user_service_pb2 import User
from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream import Call
from transcoder.upstream.ahead import BYTES, MESSAGES
from transcoder.upstream.local import Local

T = TypeVar("T")
PATH = "/tests.Service/Do"


class Reading:
    """Reads streams of one behaviour that runs on one thread."""

    def __init__(self, behaviour: Callable[..., Any], executor: ThreadPoolExecutor) -> None:
        self._local = Local(executor)
        self._local.add(PATH, grpc.unary_stream_rpc_method_handler(behaviour), User)
        self._executor = executor

    def stream(self, name: str = "") -> contextlib.aclosing[AsyncGenerator[Any, None]]:
        """Call the method."""
        return contextlib.aclosing(self._local.stream(Call(PATH), User(name=name)))

    async def rested(self) -> None:
        """Return when the thread has done what it was given so far."""
        await asyncio.wrap_future(self._executor.submit(int))


def read(behaviour: Callable[..., Any], use: Callable[[Reading], Awaitable[T]]) -> T:
    """Have somebody read streams of a behaviour, within ten seconds."""

    async def run() -> T:
        with ThreadPoolExecutor(1) as executor:
            async with asyncio.timeout(10):
                return await use(Reading(behaviour, executor))

    return asyncio.run(run())


async def names(reading: Reading) -> tuple[list[str], Exception | None]:
    """Return the names of all replies, and the error behind them."""
    found: list[str] = []
    try:
        async with reading.stream() as replies:
            async for each in replies:
                found.append(each.name)  # noqa: PERF401  those before an error count
    except Exception as error:  # noqa: BLE001  whatever a servicer raises
        return found, error
    return found, None


def test_nothing_waits_for_later_replies() -> None:
    """What was yielded is read while the generator works on the next reply."""
    seen = [threading.Event() for _ in range(3)]

    def behaviour(request: User, context: Any) -> Iterator[User]:
        for event in seen:
            yield User(name="a")
            yield User(name="b")
            assert event.wait(5)

    async def use(reading: Reading) -> int:
        async with reading.stream() as replies:
            for event in seen:
                await anext(replies)
                await anext(replies)
                event.set()
            return len([each async for each in replies])

    assert read(behaviour, use) == 0


def test_order() -> None:
    """All replies come, in their order, however many a thread pulls at once."""

    def behaviour(request: User, context: Any) -> Iterator[User]:
        for number in range(10 * MESSAGES + 1):
            yield User(name=str(number))

    assert read(behaviour, names) == ([str(each) for each in range(10 * MESSAGES + 1)], None)


def test_one_message_again_and_again() -> None:
    """A servicer may yield one message and change it: what was read is what it yielded."""

    def behaviour(request: User, context: Any) -> Iterator[User]:
        reply = User()
        for number in range(3 * MESSAGES):
            reply.name = str(number)
            yield reply

    assert read(behaviour, names) == ([str(each) for each in range(3 * MESSAGES)], None)


@pytest.mark.parametrize(
    ("size", "most"),
    [
        (0, MESSAGES),
        (BYTES // 4, 4),
        (BYTES, 1),
        # More than fits is yielded once.
        (4 * BYTES, 1),
    ],
)
def test_bounds(size: int, most: int) -> None:
    """Of a client that does not read, no more is pulled than some messages, and some bytes."""
    yielded = itertools.count(1)
    last = 0

    def behaviour(request: User, context: Any) -> Iterator[User]:
        nonlocal last
        reply = User(name="x" * size)
        while True:
            last = next(yielded)
            yield reply

    async def use(reading: Reading) -> list[int]:
        seen = []
        async with reading.stream() as replies:
            for read_ in range(1, 2 * MESSAGES):
                await anext(replies)
                await reading.rested()
                seen.append(last - read_)
        return seen

    assert 0 <= max(read(behaviour, use)) < most


def test_streams_take_turns() -> None:
    """Streams without end share one thread."""

    def behaviour(request: User, context: Any) -> Iterator[User]:
        while True:
            yield request

    async def use(reading: Reading) -> tuple[str, ...]:
        async with reading.stream("a") as first, reading.stream("b") as second:
            for _ in range(3 * MESSAGES):
                await anext(first)
                await anext(second)
            return (await anext(first)).name, (await anext(second)).name

    assert read(behaviour, use) == ("a", "b")


def fails(context: Any) -> None:
    raise ValueError("secret")


def aborts(context: Any) -> None:
    context.abort(grpc.StatusCode.NOT_FOUND, "no more")


def cancels(context: Any) -> None:
    context.cancel()


def refuses(context: Any) -> None:
    raise StopIteration


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (fails, ValueError("secret")),
        (aborts, StatusError(Code.NOT_FOUND, "no more")),
        (cancels, StatusError(Code.CANCELLED, "cancelled by the servicer")),
        # A generator makes that of it.
        (refuses, RuntimeError("generator raised StopIteration")),
    ],
)
def test_end_behind_replies(end: Callable[[Any], None], expected: Exception) -> None:
    """What ends a stream comes behind the replies that were yielded before, and nothing after."""

    def behaviour(request: User, context: Any) -> Iterator[User]:
        yield User(name="a")
        yield User(name="b")
        end(context)
        yield User(name="c")

    found, error = read(behaviour, names)

    assert found == ["a", "b"]
    assert repr(error) == repr(expected)


def test_end_before_replies() -> None:
    """A method that fails before it returns its replies ends the call."""

    def behaviour(request: User, context: Any) -> Iterator[User]:
        raise ValueError("secret")

    found, error = read(behaviour, names)

    assert (found, repr(error)) == ([], "ValueError('secret')")


def test_reply_of_another_type() -> None:
    """A reply of another type ends the stream where it stands."""

    def behaviour(request: User, context: Any) -> Iterator[Any]:
        yield User(name="a")
        yield "b"
        yield User(name="c")

    found, error = read(behaviour, names)

    assert found == ["a"]
    assert isinstance(error, TypeError)


def test_client_that_leaves() -> None:
    """Who leaves in the midst has the generator closed, and no more asked of it."""
    closed = threading.Event()
    after: list[bool] = []

    def behaviour(request: User, context: Any) -> Iterator[User]:
        try:
            while True:
                after.append(context.is_active())
                yield User()
        finally:
            closed.set()

    async def use(reading: Reading) -> bool:
        async with reading.stream() as replies:
            await anext(replies)
        return await asyncio.to_thread(closed.wait, 5)

    assert read(behaviour, use)
    # One may be on its way when the client leaves.
    assert after.count(False) <= 1


def test_failing_behind_who_left(caplog: pytest.LogCaptureFixture) -> None:
    """An exception that nobody came to read is none of the event loop's."""
    caplog.set_level(logging.ERROR, "asyncio")

    def behaviour(request: User, context: Any) -> Iterator[User]:
        yield User()
        raise ValueError

    async def use(reading: Reading) -> None:
        async with reading.stream() as replies:
            await anext(replies)
            await reading.rested()
            # The loop has heard of the end, too.
            await asyncio.sleep(0)

    read(behaviour, use)

    assert caplog.records == []
