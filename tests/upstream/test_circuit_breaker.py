"""A circuit breaker before a real backend, behind a proxy that fails as networks do."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import grpc.aio
import pytest

from backend import GET, SERVICE, WATCH, Users, backend
from services.user.v1.user_service_pb2 import GetUserRequest, User, WatchUsersRequest
from services.user.v1.user_service_pb2_grpc import UserServiceStub
from toxic import Toxic, ToxicProxy, toxic
from transcoder import Channel, Gateway, Listening, Server
from transcoder.errors import ConfigError, StatusError
from transcoder.measured import Metric, Reading
from transcoder.upstream import Call
from transcoder.upstream.breaker import State, Thresholds
from transcoder.upstream.channel_options import Backoff
from transcoder.upstream.circuit_breaker import CircuitBreaker

T = TypeVar("T")
Test = Callable[[CircuitBreaker, ToxicProxy, Users], Awaitable[T]]

METRIC = Metric("transcoder_breaker_state", "1 for the state in which a breaker is.")
SOON = Backoff(first=0.05, longest=0.1)


class Clock:
    """The time, which a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def run(test: Test[T], thresholds: Thresholds | None = None, **options: Any) -> T:
    """Run a test with a breaker before a backend behind a proxy."""

    async def running() -> T:
        users = Users()
        async with (
            backend(users) as target,
            toxic(target) as proxy,
            Channel(proxy.target, backoff=SOON) as channel,
        ):
            breaker = CircuitBreaker(channel, thresholds or Thresholds(), **options)
            breaker.add(SERVICE)
            return await test(breaker, proxy, users)

    return asyncio.run(running())


async def get(breaker: CircuitBreaker, name: str = "7", seconds: float = 10) -> str:
    """Call GetUser; return the name of the code."""
    call = Call(GET, deadline=time.monotonic() + seconds)
    try:
        assert await breaker.unary(call, GetUserRequest(id=name)) == User(id=name)
    except StatusError as error:
        return error.status.code.name
    return "OK"


async def until(breaker: CircuitBreaker, code: str, at_most: float = 20) -> None:
    """Wait until the backend answers so."""
    async with asyncio.timeout(at_most):
        while await get(breaker) != code:  # noqa: ASYNC110  a backend tells nobody how it is
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("name", ["none", "7"])
def test_no_fault(name: str) -> None:
    """Answers of a backend that works open nothing, errors of the client's among them."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        for _ in range(30):
            assert await get(breaker, name) in {"OK", "NOT_FOUND"}
        assert breaker.states == {"": State.CLOSED}

    run(test)


@pytest.mark.parametrize(("by", "name"), [("method", GET), ("backend", "")])
def test_readings(by: str, name: str) -> None:
    """Each state of each breaker is told, 1 for that in which it is."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        assert len(list(breaker.readings())) == (0 if name else len(State))
        assert await get(breaker) == "OK"
        assert list(breaker.readings()) == [
            Reading(METRIC, state is State.CLOSED, {"method": name, "state": state.value})
            for state in State
        ]
        assert await breaker.check() == ""

    run(test, by=by)


def test_unreachable() -> None:
    """Why a backend cannot be reached is its channel's to say, whatever the breaker's state."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        proxy.toxic = Toxic.RESET
        proxy.kill()
        async with asyncio.timeout(20):
            while not (why := await breaker.check()):  # noqa: ASYNC110  a connection tells nobody
                await asyncio.sleep(0.02)
        assert "cannot be reached" in why
        assert breaker.states == {}

    run(test)


def test_down(caplog: pytest.LogCaptureFixture) -> None:
    """A backend that is down is no longer asked, and is again as soon as it is back."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        assert await get(breaker) == "OK"
        proxy.toxic = Toxic.RESET
        proxy.kill()
        for _ in range(5):
            assert await get(breaker) == "UNAVAILABLE"
        assert breaker.states == {"": State.OPEN}
        tried = len(proxy.accepted)
        begun = time.monotonic()
        for _ in range(50):
            with pytest.raises(StatusError) as caught:
                await breaker.unary(Call(GET), GetUserRequest(id="7"))
            assert caught.value.headers == (("retry-after", "1"),)
        # Nothing waits for a connection.
        assert time.monotonic() - begun < 1
        assert len(proxy.accepted) <= tried + 20
        proxy.toxic = Toxic.NONE
        await until(breaker, "OK", 10)
        assert breaker.states == {"": State.CLOSED}

    caplog.set_level(logging.WARNING)
    run(test)
    told = [line for line in caplog.messages if line.startswith("the breaker of")]
    assert told[0] == f"the breaker of {GET} is open"
    assert told[-1] == f"the breaker of {GET} is closed"


def test_defects() -> None:
    """Defects of the backend are its fault."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        for _ in range(5):
            assert await get(breaker, "defect") == "UNKNOWN"
        assert await get(breaker) == "UNAVAILABLE"
        assert users.calls == 5

    run(test)


def test_one_probe() -> None:
    """Of a hundred calls at once, one tries a backend that may have recovered."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        for _ in range(5):
            await get(breaker, "defect")
        clock.now += 1
        codes = await asyncio.gather(*(get(breaker, "wait-100") for _ in range(100)))
        assert (codes.count("OK"), codes.count("UNAVAILABLE")) == (1, 99)
        assert users.calls == 6
        assert breaker.states == {"": State.CLOSED}

    clock = Clock()
    run(test, clock=clock)


def test_slow() -> None:
    """A backend that does not answer in the time that a working one needs is at fault."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        assert await get(breaker) == "OK"
        for _ in range(5):
            assert await get(breaker, "hang", 0.1) == "DEADLINE_EXCEEDED"
        assert breaker.states == {"": State.OPEN}

    run(test, slow=0.05)


def test_no_time() -> None:
    """A client that gives a call no time opens nothing."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        assert await get(breaker) == "OK"
        for _ in range(20):
            assert await get(breaker, "hang", 0.02) == "DEADLINE_EXCEEDED"
        assert breaker.states == {"": State.CLOSED}

    run(test, slow=5)


@pytest.mark.parametrize(("left", "state"), [(0.0, State.OPEN), (10.0, State.HALF_OPEN)])
def test_given_up(left: float, state: State) -> None:
    """A probe that is given up says something only if its deadline has passed."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        for _ in range(5):
            await get(breaker, "defect")
        clock.now += 1
        call = Call(GET, deadline=time.monotonic() + 10)
        users.begun.clear()
        task = asyncio.create_task(breaker.unary(call, GetUserRequest(id="hang")))
        async with asyncio.timeout(10):
            await users.begun.wait()
        clock.now += 5
        call.deadline = time.monotonic() + left
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert breaker.states == {"": state}

    clock = Clock()
    run(test, clock=clock)


def test_stream() -> None:
    """The first reply of a stream says that the backend works; its end is the client's."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        for _ in range(5):
            await get(breaker, "defect")
        clock.now += 1
        stream = breaker.stream(Call(WATCH), WatchUsersRequest(id="endless"))
        async with contextlib.aclosing(stream) as replies:
            await anext(replies)
            assert breaker.states == {"": State.CLOSED}

    clock = Clock()
    run(test, clock=clock)


def test_stream_refused() -> None:
    """An open breaker refuses streams too, before anything is sent."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        for _ in range(5):
            await get(breaker, "defect")
        with pytest.raises(StatusError, match="the backend is unavailable"):
            await anext(breaker.stream(Call(WATCH), WatchUsersRequest()))

    run(test)


def test_by_method() -> None:
    """With a breaker for each method, one that fails does not stop the others."""

    async def test(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        for _ in range(5):
            await get(breaker, "defect")
        stream = breaker.stream(Call(WATCH), WatchUsersRequest())
        async with contextlib.aclosing(stream) as replies:
            assert len([reply async for reply in replies]) == 3
        assert breaker.states == {GET: State.OPEN, WATCH: State.CLOSED}

    run(test, by="method")


def test_both_doors() -> None:
    """A breaker that opens by calls over one door is open for the other."""

    async def fact(breaker: CircuitBreaker, proxy: ToxicProxy, users: Users) -> None:
        gateway = Gateway()
        gateway.route(SERVICE, breaker)
        ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
        server = Server(gateway, settle=0, grace=2, on_ready=ready.set_result)
        serving = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
        listening = await ready
        async with grpc.aio.insecure_channel(listening.grpc.target) as channel:
            stub: Any = UserServiceStub(channel)
            for _ in range(5):
                with pytest.raises(grpc.aio.AioRpcError):
                    await stub.GetUser(GetUserRequest(id="defect"))
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await stub.GetUser(GetUserRequest(id="7"))
        assert dict(caught.value.trailing_metadata())["retry-after"] == "1"
        reader, writer = await asyncio.open_connection(*listening.http.target.split(":"))
        writer.write(b"GET /v1/users/7 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        answer = (await reader.read()).lower()
        writer.close()
        server.stop()
        await serving
        assert answer.startswith(b"http/1.1 503 ")
        assert b"retry-after: 1\r\n" in answer
        assert users.calls == 5

    run(fact)


def test_wrong_options() -> None:
    """What breakers there are is told at start, if it is none of the two."""
    with pytest.raises(ConfigError, match="breaker: by 'host': 'backend' or 'method'"):
        CircuitBreaker(Channel("127.0.0.1:1"), by="host")  # type: ignore[arg-type]
