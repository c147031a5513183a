"""A limit before a real backend."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest

from backend import GET, SERVICE, WATCH, Users, backend
from services.user.v1.user_service_pb2 import GetUserRequest, User, WatchUsersRequest
from transcoder import Channel, Limited
from transcoder.errors import ConfigError, StatusError
from transcoder.measured import Reading
from transcoder.status import Code
from transcoder.upstream import Call

T = TypeVar("T")


def run(test: Callable[[Limited, Users], Awaitable[T]]) -> T:
    """Run a test with a backend that may have one call and one stream at once."""

    async def running() -> T:
        users = Users()
        async with backend(users) as target, Channel(target) as channel:
            limited = Limited(channel, calls=1, streams=1)
            limited.add(SERVICE)
            return await test(limited, users)

    return asyncio.run(running())


def call(method: str = GET) -> Call:
    return Call(method, deadline=time.monotonic() + 30)


def test_calls() -> None:
    """What comes beyond the limit is refused before the backend has it; what ends makes room."""

    async def test(limited: Limited, users: Users) -> tuple[StatusError, User, int]:
        hanging = asyncio.create_task(limited.unary(call(), GetUserRequest(id="hang")))
        await users.begun.wait()
        with pytest.raises(StatusError) as refused:
            await limited.unary(call(), GetUserRequest(id="7"))
        seen = users.calls
        hanging.cancel()
        await asyncio.wait([hanging])
        return refused.value, await limited.unary(call(), GetUserRequest(id="8")), seen

    refused, reply, seen = run(test)

    assert refused.status.code is Code.UNAVAILABLE
    assert ("retry-after", "1") in refused.headers
    assert seen == 1
    assert reply.id == "8"


def test_streams() -> None:
    """Streams have a limit of their own, and end with it."""

    async def test(limited: Limited, users: Users) -> list[float]:
        async def watch() -> None:
            async for _ in limited.stream(call(WATCH), WatchUsersRequest()):
                pass

        stream = limited.stream(call(WATCH), WatchUsersRequest(id="hang"))
        await anext(stream)
        await limited.unary(call(), GetUserRequest(id="7"))
        with pytest.raises(StatusError):
            await watch()
        told = [reading.value for reading in limited.readings() if isinstance(reading, Reading)]
        await stream.aclose()
        await watch()
        return told

    assert run(test) == [0, 1]


@pytest.mark.parametrize("options", [{"calls": 0}, {"streams": -1}])
def test_none(options: dict[str, int]) -> None:
    """A limit below 1 is none."""
    with pytest.raises(ConfigError, match="1 or more"):
        Limited(Channel("localhost:1"), **options)
