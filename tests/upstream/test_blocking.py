from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from typing import Any

import grpc
import grpc.aio
import pytest
from google.rpc import status_pb2
from grpc_status import rpc_status

from transcoder.handlers import GuardedHandlers


async def serve(kind: str, behaviour: Callable[..., Any], use: Callable[[Any], Any]) -> Any:
    """Serve one plain behaviour on a real port and hand a method of a real channel to it."""
    handler = getattr(grpc, f"{kind}_rpc_method_handler")(behaviour)
    generic = grpc.method_handlers_generic_handler("tests.Service", {"Do": handler})
    server = grpc.aio.server()
    executor = ThreadPoolExecutor(1)
    server.add_generic_rpc_handlers([GuardedHandlers(generic, executor)])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            return await use(getattr(channel, kind)("/tests.Service/Do"))
    finally:
        await server.stop(None)
        await asyncio.to_thread(executor.shutdown)


def once(behaviour: Callable[..., Any]) -> grpc.aio.UnaryUnaryCall[Any, Any]:
    """Call a behaviour of one request and one reply once; return the ended call."""

    async def use(method: Any) -> Any:
        call = method(b"request", metadata=(("x-a", "1"),))
        await call.code()
        await call.initial_metadata()
        await call.trailing_metadata()
        return call

    call: grpc.aio.UnaryUnaryCall[Any, Any] = asyncio.run(serve("unary_unary", behaviour, use))
    return call


def told(call: grpc.aio.UnaryUnaryCall[Any, Any]) -> tuple[grpc.StatusCode, str]:
    """Return how a call ended."""

    async def ask() -> tuple[grpc.StatusCode, str]:
        return await call.code(), await call.details()

    return asyncio.run(ask())


def test_context_is_grpcs() -> None:
    """The context is gRPC's, and answers what gRPC's answers."""
    seen: list[Any] = []

    def behaviour(request: bytes, context: Any) -> bytes:
        seen.append(isinstance(context, grpc.ServicerContext))
        seen.append(dict(context.invocation_metadata())["x-a"])
        seen.append(context.is_active())
        seen.append(context.peer().startswith("ipv4:127.0.0.1:"))
        context.set_code(grpc.StatusCode.OK)
        seen.append(context.code())
        return request

    once(behaviour)

    assert seen == [True, "1", True, True, grpc.StatusCode.OK]


def test_context_is_complete() -> None:
    """Every public method of gRPC's context is there."""
    missing: list[str] = []

    def behaviour(request: bytes, context: Any) -> bytes:
        wanted = {name for name in dir(grpc.ServicerContext) if not name.startswith("_")}
        missing.extend(name for name in wanted if not hasattr(context, name))
        return request

    once(behaviour)

    assert missing == []


def test_metadata_out() -> None:
    """Metadata may be any sequence of pairs, before the reply and after it."""

    def behaviour(request: bytes, context: Any) -> bytes:
        context.send_initial_metadata([("x-first", "1")])
        context.set_trailing_metadata([("x-last", "2")])
        return request

    async def use(method: Any) -> tuple[str, str]:
        call = method(b"")
        first, last = dict(await call.initial_metadata()), dict(await call.trailing_metadata())
        return first["x-first"], last["x-last"]

    assert asyncio.run(serve("unary_unary", behaviour, use)) == ("1", "2")


def test_swallowed_abort() -> None:
    """An abort ends the call although the servicer catches its exception."""

    def behaviour(request: bytes, context: Any) -> bytes:
        try:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
        except Exception:  # noqa: BLE001  as servicers do
            return request
        raise AssertionError

    assert told(once(behaviour)) == (grpc.StatusCode.NOT_FOUND, "no such user")


def test_rich_status() -> None:
    """A status with details arrives with them."""

    def behaviour(request: bytes, context: Any) -> bytes:
        context.abort_with_status(rpc_status.to_status(status_pb2.Status(code=5, message="gone")))
        raise AssertionError

    assert told(once(behaviour)) == (grpc.StatusCode.NOT_FOUND, "gone")


def test_cancel() -> None:
    """A servicer may cancel its own call."""

    def behaviour(request: bytes, context: Any) -> bytes:
        assert context.cancel()
        assert not context.is_active()
        return request

    assert told(once(behaviour))[0] is grpc.StatusCode.CANCELLED


def test_callback() -> None:
    """A callback runs once the call has ended."""
    ended = threading.Event()

    def behaviour(request: bytes, context: Any) -> bytes:
        assert context.add_callback(ended.set)
        assert not ended.is_set()
        return request

    once(behaviour)

    assert ended.wait(5)


def test_one_context_of_variables() -> None:
    """All steps of a stream see the same context variables, and no other call does."""
    number = contextvars.ContextVar("number", default=0)

    def behaviour(request: bytes, context: Any) -> Iterator[bytes]:
        for _ in range(3):
            number.set(number.get() + 1)
            yield b"%d" % number.get()

    async def use(method: Any) -> list[list[bytes]]:
        return [[reply async for reply in method(b"")] for _ in range(2)]

    assert asyncio.run(serve("unary_stream", behaviour, use)) == [[b"1", b"2", b"3"]] * 2


def test_freed_when_the_client_goes() -> None:
    """A thread that waits for the next request is free when the client has cancelled."""
    waiting, freed = threading.Event(), threading.Event()

    def behaviour(requests: Iterator[bytes], context: Any) -> bytes:
        try:
            next(requests)
            waiting.set()
            next(requests)
        except CancelledError:
            assert not context.is_active()
            assert not context.add_callback(freed.set)
            freed.set()
        return b""

    async def use(method: Any) -> None:
        call = method()
        await call.write(b"1")
        await asyncio.to_thread(waiting.wait, 5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call

    asyncio.run(serve("stream_unary", behaviour, use))

    assert freed.wait(5)


def test_stream_is_closed_on_a_thread() -> None:
    """When the client goes, a plain generator is closed soon, and not on the loop's thread."""
    closed: list[str] = []
    done = threading.Event()

    def behaviour(request: bytes, context: Any) -> Iterator[bytes]:
        try:
            while True:
                yield b""
        finally:
            closed.append(threading.current_thread().name)
            done.set()

    async def use(method: Any) -> None:
        call = method(b"")
        await call.read()
        call.cancel()
        assert await asyncio.to_thread(done.wait, 5)

    asyncio.run(serve("unary_stream", behaviour, use))

    assert closed != [threading.main_thread().name]


def test_nothing_is_asked_after_the_end() -> None:
    """What a thread asks of a call that has ended is refused at once."""
    gone, asked = threading.Event(), threading.Event()

    def behaviour(request: bytes, context: Any) -> bytes:
        gone.wait(5)
        try:
            context.send_initial_metadata(())
        except CancelledError:
            asked.set()
        return b""

    async def use(method: Any) -> None:
        call = method(b"")
        await asyncio.sleep(0.1)
        call.cancel()
        await asyncio.sleep(0.1)
        gone.set()
        await asyncio.to_thread(asked.wait, 5)

    asyncio.run(serve("unary_unary", behaviour, use))

    assert asked.is_set()
