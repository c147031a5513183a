"""Calls that are given up, at every point: nothing of them is left."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import random
import threading
import warnings
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from doors import DOORS, KINDS, PATH, Ended, Trial
from services.user.v1.user_service_pb2 import User
from transcoder.upstream import Call
from transcoder.upstream.local import Local


async def hang() -> None:
    """Wait for ever."""
    await asyncio.Event().wait()


class Servicer:
    """Methods that never end by themselves, and note how they are ended."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.seen: list[Any] = []

    def begin(self, context: Any) -> None:
        """Have the client give the call up, now that it is at a point where it waits."""
        context.add_done_callback(lambda given: self.seen.append(("done", given.cancelled())))
        self.gone.set()

    def end(self, context: Any) -> None:
        """Note what is seen at the end."""
        self.seen.append(("end", context.cancelled()))

    async def waits(self, request: Any, context: Any) -> User:
        """Wait for something."""
        self.begin(context)
        try:
            await hang()
        finally:
            self.end(context)
        return User()

    async def waits_yielding(self, request: Any, context: Any) -> AsyncIterator[User]:
        """Wait for something between two replies."""
        try:
            yield User(name="first")
            self.begin(context)
            await hang()
        finally:
            self.end(context)

    async def waits_writing(self, request: Any, context: Any) -> None:
        """Wait for something between two writes."""
        try:
            await context.write(User(name="first"))
            self.begin(context)
            await hang()
        finally:
            self.end(context)

    async def reads(self, requests: Any, context: Any) -> User:
        """Wait for the next request."""
        try:
            async for _ in requests:
                self.begin(context)
        finally:
            self.end(context)
        return User()

    async def reads_and_writes(self, requests: Any, context: Any) -> None:
        """Wait for the next request, by `read()`."""
        try:
            await context.write(User(name="first"))
            await context.read()
            self.begin(context)
            await context.read()
        finally:
            self.end(context)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("unary_unary", "waits"),
        ("unary_stream", "waits"),
        ("unary_stream", "waits_yielding"),
        ("unary_stream", "waits_writing"),
        ("stream_unary", "waits"),
        ("stream_unary", "reads"),
        ("stream_stream", "reads"),
        ("stream_stream", "waits_yielding"),
        ("stream_stream", "reads_and_writes"),
    ],
)
def test_the_servicer_is_cancelled(door: str, kind: str, method: str) -> None:
    """The servicer is cancelled where it waits, sees that it is, and its callbacks run."""

    async def run() -> tuple[Ended, list[Any]]:
        servicer = Servicer()
        trial = Trial(kind, getattr(servicer, method), names=("a",), gone=servicer.gone)
        ended = await DOORS[door](trial)
        return ended, servicer.seen

    ended, seen = asyncio.run(run())

    assert ended.code is grpc.StatusCode.CANCELLED
    assert seen == [("end", True), ("done", True)]


class PlainServicer:
    """Plain methods that wait for the client, and note how they are ended."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()
        self.loop = asyncio.get_running_loop()
        self.ended = threading.Event()
        self.seen: list[Any] = []

    def begin(self, context: Any) -> None:
        """Have the client give the call up."""
        context.add_callback(lambda: self.seen.append("done"))
        self.loop.call_soon_threadsafe(self.gone.set)

    def end(self, context: Any) -> None:
        """Note what is seen at the end."""
        self.seen.append(context.is_active())
        self.ended.set()

    def reads(self, requests: Iterator[User], context: Any) -> User:
        """Wait for the next request."""
        try:
            next(requests)
            self.begin(context)
            next(requests)
        except CancelledError:
            self.seen.append("raised")
            raise
        finally:
            self.end(context)
        return User()

    def reads_and_yields(self, requests: Iterator[User], context: Any) -> Iterator[User]:
        """Wait for the next request between two replies."""
        try:
            yield User(name="first")
            next(requests)
            self.begin(context)
            next(requests)
        except CancelledError:
            self.seen.append("raised")
            raise
        finally:
            self.end(context)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    ("kind", "method"),
    [("stream_unary", "reads"), ("stream_stream", "reads_and_yields")],
)
def test_a_plain_servicer_is_freed(door: str, kind: str, method: str) -> None:
    """A thread that waits for the client is freed, and sees that the call is no longer active."""

    async def run() -> tuple[Ended, list[Any]]:
        servicer = PlainServicer()
        trial = Trial(kind, getattr(servicer, method), names=("a",), gone=servicer.gone)
        ended = await DOORS[door](trial)
        assert await asyncio.to_thread(servicer.ended.wait, 5)
        return ended, servicer.seen

    ended, seen = asyncio.run(run())

    assert ended.code is grpc.StatusCode.CANCELLED
    assert sorted(seen, key=str) == [False, "done", "raised"]


def test_a_reader_that_stops() -> None:
    """A stream that is closed before its end ends the servicer, which sees that it is cancelled."""
    seen: list[Any] = []

    async def yielding(request: User, context: Any) -> AsyncIterator[User]:
        context.add_done_callback(lambda given: seen.append(given.cancelled()))
        try:
            while True:
                yield User()
        finally:
            seen.append(context.cancelled())

    async def writing(request: User, context: Any) -> None:
        context.add_done_callback(lambda given: seen.append(given.cancelled()))
        try:
            while True:
                await context.write(User())
        finally:
            seen.append(context.cancelled())

    async def run(local: Local) -> None:
        for behaviour in (yielding, writing):
            local.add(PATH, grpc.unary_stream_rpc_method_handler(behaviour), User)
            async with contextlib.aclosing(local.stream(Call(PATH), User())) as replies:
                await anext(replies)

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(run(Local(executor)))

    assert seen == [True] * 4


def test_an_error_of_the_cleanup() -> None:
    """What a servicer raises while it is cancelled reaches who cancelled it."""

    async def behaviour(request: User, context: Any) -> None:
        try:
            await context.write(User())
            await hang()
        finally:
            raise ValueError("in the cleanup")

    async def run(local: Local) -> None:
        local.add(PATH, grpc.unary_stream_rpc_method_handler(behaviour), User)
        replies = local.stream(Call(PATH), User())
        await anext(replies)
        with pytest.raises(ValueError, match="in the cleanup"):
            await replies.aclose()

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(run(Local(executor)))


def test_a_slow_cleanup() -> None:
    """A servicer that takes its time to clean up is waited for, and cancelled again if need be."""
    seen: list[str] = []

    async def behaviour(request: User, context: Any) -> None:
        await context.write(User())
        try:
            await hang()
        finally:
            try:
                await hang()
            finally:
                seen.append("cleaned up")

    async def run(local: Local) -> None:
        local.add(PATH, grpc.unary_stream_rpc_method_handler(behaviour), User)

        async def read() -> None:
            async for _ in local.stream(Call(PATH), User()):
                pass

        reader = asyncio.create_task(read())
        for _ in range(2):
            await settle()
            reader.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reader

    with ThreadPoolExecutor(1) as executor:
        asyncio.run(run(Local(executor)))

    assert seen == ["cleaned up"]


async def settle(turns: int = 20) -> None:
    """Let the loop run until whatever is ready has run."""
    for _ in range(turns):
        await asyncio.sleep(0)


class Wandering:
    """Methods that pass many points to be cancelled at, and count those that are inside."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.inside = 0

    @contextlib.contextmanager
    def counted(self) -> Iterator[None]:
        """Count the call for as long as it is in the servicer."""
        self.inside += 1
        try:
            yield
        finally:
            self.inside -= 1

    async def point(self) -> None:
        """Wait, or not, for a little."""
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)

    async def single(self, request: Any, context: Any) -> User:
        """Read what there is to be read, and return."""
        with self.counted():
            await context.send_initial_metadata([("x-a", "1")])
            while await context.read() is not grpc.aio.EOF:
                await self.point()
            await self.point()
            return User()

    async def yielding(self, request: Any, context: Any) -> AsyncIterator[User]:
        """Yield for each that is read."""
        with self.counted():
            yield User()
            while await context.read() is not grpc.aio.EOF:
                await self.point()
                yield User()
            yield User()

    async def writing(self, request: Any, context: Any) -> None:
        """Write for each that is read, from two tasks."""
        with self.counted():
            while await context.read() is not grpc.aio.EOF:
                async with asyncio.TaskGroup() as group:
                    for _ in range(2):
                        group.create_task(context.write(User()))
                await self.point()
            await context.write(User())

    def plain(self, requests: Any, context: Any) -> User:
        """Read what there is to be read, and return, on a thread."""
        with self.counted():
            for _ in requests if hasattr(requests, "__next__") else ():
                context.is_active()
            return User()

    def plain_yielding(self, requests: Any, context: Any) -> Iterator[User]:
        """Yield for each that is read, on a thread."""
        with self.counted():
            yield User()
            for _ in requests if hasattr(requests, "__next__") else ():
                yield User()


SINGLE, SEVERAL = ("single", "plain"), ("yielding", "writing", "plain_yielding")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(10))
def test_every_point(kind: str, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Wherever calls are given up, no task, no thread that waits and no open stream is left."""
    chance = random.Random(seed)
    problems: list[Any] = []

    async def run(local: Local, servicer: Wandering) -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, told: problems.append(told))
        for method in SINGLE if kind.endswith("unary") else SEVERAL:
            handler = getattr(grpc, f"{kind}_rpc_method_handler")(getattr(servicer, method))
            local.add(PATH, handler, User)
            for _ in range(10):
                await give_up(local, kind, chance)
            gc.collect()
            await settle()
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with warnings.catch_warnings(), ThreadPoolExecutor(4) as executor:
        warnings.simplefilter("error")
        servicer = Wandering(chance)
        asyncio.run(run(Local(executor), servicer))

    assert servicer.inside == 0
    assert problems == []
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def requests(chance: random.Random) -> AsyncGenerator[User, None]:
    """Return a client's stream that comes irregularly."""
    for _ in range(3):
        await settle(chance.randrange(3))
        yield User()


async def call(local: Local, kind: str, chance: random.Random) -> None:
    """Make a call and read some of its replies."""
    request: Any = requests(chance) if kind.startswith("stream") else User()
    if kind.endswith("unary"):
        await local.unary(Call(PATH), request)
        return
    async with contextlib.aclosing(local.stream(Call(PATH), request)) as replies:
        limit = chance.randrange(1, 8)
        async for _ in replies:
            limit -= 1
            if not limit:
                return
            await settle(chance.randrange(3))


async def give_up(local: Local, kind: str, chance: random.Random) -> None:
    """Make a call and give it up after a number of turns of the loop, or let it end."""
    task = asyncio.create_task(call(local, kind, chance))
    turns = chance.randrange(40)
    while turns and not task.done():
        turns -= 1
        # A thread needs more than turns of the loop.
        await asyncio.sleep(chance.choice((0, 0, 0, 0.0002)))
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
