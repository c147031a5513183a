"""How long calls on a gRPC port may take, through a real one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest

from services.user.v1.user_service_pb2 import User
from transcoder.handlers import GuardedHandlers
from transcoder.timeouts import Timeout, Timeouts

SHORT = Timeouts(methods={"tests.Service.Do": 0.2})
PASSED = (grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline has passed")


class Hanging:
    """Methods that take too long, and note how they end."""

    def __init__(self) -> None:
        self.cancelled = False

    async def one(self, request: Any, context: Any) -> User:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            self.cancelled = context.cancelled()
            raise
        return User()

    async def stream(self, request: Any, context: Any) -> AsyncIterator[User]:
        yield User()
        yield await self.one(request, context)

    async def write(self, request: Any, context: Any) -> None:
        await context.write(await self.one(request, context))

    async def collect(self, requests: AsyncIterator[Any], context: Any) -> User:
        async for request in requests:
            await self.one(request, context)
        return User()

    def plain(self, request: Any, context: Any) -> User:
        while context.is_active():
            time.sleep(0.01)
        self.cancelled = True
        return User()

    def plain_stream(self, request: Any, context: Any) -> Iterator[User]:
        yield User()
        yield self.plain(request, context)

    async def goes_on(self, request: Any, context: Any) -> User:
        try:
            return await self.one(request, context)
        except asyncio.CancelledError:
            return User()

    async def fails(self, request: Any, context: Any) -> User:
        try:
            return await self.one(request, context)
        finally:
            raise ValueError


def call(
    kind: str, behaviour: Callable[..., Any], timeouts: Timeouts, timeout: float | None = None
) -> tuple[grpc.StatusCode, str | None]:
    """Call a method, with a deadline or without; return how that ended."""

    async def run() -> tuple[grpc.StatusCode, str | None]:
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        handler = make(behaviour, User.FromString, User.SerializeToString)
        generic = grpc.method_handlers_generic_handler("tests.Service", {"Do": handler})
        server, executor = grpc.aio.server(), ThreadPoolExecutor(2)
        server.add_generic_rpc_handlers([GuardedHandlers(generic, executor, timeouts=timeouts)])
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
                request = iter([b""]) if kind.startswith("stream") else b""
                made = getattr(channel, kind)("/tests.Service/Do")(request, timeout=timeout)
                with contextlib.suppress(grpc.aio.AioRpcError):
                    # A status is told behind the replies, when they are read.
                    if kind.endswith("stream"):
                        _ = [reply async for reply in made]
                return await made.code(), await made.details()
        finally:
            await server.stop(1)
            await asyncio.to_thread(executor.shutdown)

    return asyncio.run(run())


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        ("unary_unary", "one"),
        ("unary_stream", "stream"),
        ("unary_stream", "write"),
        ("stream_unary", "collect"),
        ("unary_unary", "plain"),
        ("unary_stream", "plain_stream"),
        ("unary_unary", "goes_on"),
        ("unary_unary", "fails"),
    ],
)
@pytest.mark.parametrize("timeout", [None, 20])
def test_passed(
    kind: str, method: str, timeout: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    """A call without a deadline, or with one too far away, ends when its method's time is over."""
    hanging = Hanging()
    timeouts = Timeouts(methods={"tests.Service.Do": Timeout(0.2, maximum=0.2)})

    assert call(kind, getattr(hanging, method), timeouts, timeout) == PASSED
    assert hanging.cancelled
    assert [each for each in caplog.records if each.levelno >= logging.ERROR] == []


def test_default() -> None:
    """Of who sets no deadline the default holds, for calls without a stream."""
    timeouts = Timeouts(default=0.2)

    assert call("unary_unary", Hanging().one, timeouts) == PASSED


def test_stream_without_end() -> None:
    """A stream may last as long as it likes."""

    async def stream(request: Any, context: Any) -> AsyncIterator[User]:
        assert context.time_remaining() is None
        await asyncio.sleep(0.3)
        yield User()

    assert call("unary_stream", stream, Timeouts(default=0.1))[0] is grpc.StatusCode.OK


@pytest.mark.parametrize(
    ("timeout", "least", "most"),
    [(None, 10, 20), (15, 5, 15), (1000, 200, 300)],
)
def test_time_remaining(timeout: float | None, least: float, most: float) -> None:
    """The servicer is told of the deadline that holds."""
    seen: list[float] = []

    async def one(request: Any, context: Any) -> User:
        seen.append(context.time_remaining())
        return User()

    def plain(request: Any, context: Any) -> User:
        seen.append(context.time_remaining())
        return User()

    timeouts = Timeouts(default=20)
    for method in (one, plain):
        assert call("unary_unary", method, timeouts, timeout)[0] is grpc.StatusCode.OK

    assert len(seen) == 2
    # gRPC rounds what it tells up.
    assert all(least < each < most + 0.1 for each in seen)


def test_own_timeout() -> None:
    """A timeout of the servicer's own is a defect like any, before the time is over."""

    async def one(request: Any, context: Any) -> User:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(1)
        return User()

    assert call("unary_unary", one, Timeouts())[0] is grpc.StatusCode.INTERNAL


def test_abort_at_the_end() -> None:
    """A servicer that aborts when its time is over says how the call ended."""

    async def one(request: Any, context: Any) -> User:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            await context.abort(grpc.StatusCode.ABORTED, "in the midst")
        return User()

    assert call("unary_unary", one, SHORT) == (grpc.StatusCode.ABORTED, "in the midst")
