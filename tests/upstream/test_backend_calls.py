from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc.aio
import pytest

from backend import GET, SERVICE, WATCH, Users, backend
from services.user.v1.user_service_pb2 import GetUserRequest, WatchUsersRequest
from services.user.v1.user_service_pb2_grpc import UserServiceStub
from transcoder.errors import StatusError
from transcoder.measured import Spread
from transcoder.upstream import Call, channel
from transcoder.upstream.backend_calls import LIMIT, BackendCalls
from transcoder.upstream.channel import Channel

Make = Callable[[Channel, str], Awaitable[Any]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> BackendCalls:
    """What a process calls that has called nothing yet."""
    fresh = BackendCalls()
    monkeypatch.setattr(channel, "CALLS", fresh)
    return fresh


def counted(calls: BackendCalls) -> dict[tuple[str, str], int]:
    """Return how many calls there were, by service and outcome, of all targets."""
    found: dict[tuple[str, str], int] = {}
    for each in calls.readings():
        assert isinstance(each, Spread)
        key = each.labels["service"], each.labels["outcome"]
        found[key] = found.get(key, 0) + sum(each.counts)
    return found


async def passed_on(channel: Channel, name: str) -> None:
    """Make a call as the gateway does that passes it on."""
    await channel.unary(Call(GET), GetUserRequest(id=name))


async def through_a_stub(channel: Channel, name: str) -> None:
    """Make a call as a servicer does."""
    stub: Any = UserServiceStub(channel)
    await stub.GetUser(GetUserRequest(id=name))


def made(make: Make, *names: str) -> None:
    """Make calls to a backend, however they end."""

    async def making() -> None:
        async with backend(Users()) as target, Channel(target) as channel:
            channel.add(SERVICE)
            for name in names:
                with contextlib.suppress(StatusError, grpc.aio.AioRpcError):
                    await make(channel, name)

    asyncio.run(making())


@pytest.mark.parametrize("make", [passed_on, through_a_stub])
def test_outcomes(make: Make, calls: BackendCalls) -> None:
    """A call that the backend answers is no failure, whatever the answer; a defect of it is."""
    made(make, "7", "none", "defect", "7")

    service = "services.user.v1.UserService"
    assert counted(calls) == {(service, "answered"): 3, (service, "failed"): 1}


def test_unreachable(calls: BackendCalls) -> None:
    """A backend that is not there fails."""

    async def making() -> None:
        async with Channel("127.0.0.1:1") as channel:
            channel.add(SERVICE)
            with pytest.raises(StatusError):
                await passed_on(channel, "7")

    asyncio.run(making())
    assert counted(calls)["services.user.v1.UserService", "failed"] >= 1


def test_streams(calls: BackendCalls) -> None:
    """A stream is one call."""

    async def watch(channel: Channel, name: str) -> None:
        async for _ in channel.stream(Call(WATCH), WatchUsersRequest(id=name)):
            pass

    made(watch, "7")
    assert counted(calls)["services.user.v1.UserService", "answered"] == 1


def test_time_that_is_up(calls: BackendCalls) -> None:
    """Who is given up at the deadline has failed; who is given up before has not."""

    async def cut(channel: Channel, users: Users, deadline: float | None) -> None:
        call = Call(GET)
        users.begun.clear()
        making = asyncio.create_task(channel.unary(call, GetUserRequest(id="hang")))
        await users.begun.wait()
        call.deadline = deadline
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making

    async def both() -> None:
        users = Users()
        async with backend(users) as target, Channel(target) as channel:
            channel.add(SERVICE)
            await cut(channel, users, None)
            await cut(channel, users, 0.0)

    asyncio.run(both())
    service = "services.user.v1.UserService"
    assert counted(calls) == {(service, "answered"): 1, (service, "failed"): 1}


def test_bounded() -> None:
    """Of many backends those that came first are told apart."""
    calls = BackendCalls()
    for number in range(3 * LIMIT):
        calls.to(GET, f"host-{number}:1").answered.add(0.1)

    found = [each for each in calls.readings() if isinstance(each, Spread)]
    assert len({(each.labels["service"], each.labels["target"]) for each in found}) == LIMIT + 1
    assert sum(sum(each.counts) for each in found) == 3 * LIMIT
