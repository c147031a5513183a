import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

from backend import GET, SERVICE, WATCH, Users, backend
from services.user.v1.user_service_pb2 import GetUserRequest, User, WatchUsersRequest
from toxic import Toxic, ToxicProxy, toxic
from transcoder.errors import StatusError
from transcoder.upstream import Call
from transcoder.upstream.channel import Channel
from transcoder.upstream.channel_options import Backoff, Keepalive

T = TypeVar("T")
Test = Callable[[Channel, ToxicProxy, Users], Awaitable[T]]


def run(test: Test[T], **options: Any) -> T:
    """Run a test with a channel to a backend behind a proxy."""

    async def running() -> T:
        users = Users()
        async with (
            backend(users) as target,
            toxic(target) as proxy,
            Channel(proxy.target, **options) as channel,
        ):
            channel.add(SERVICE)
            return await test(channel, proxy, users)

    return asyncio.run(running())


async def get(channel: Channel, name: str = "7", seconds: float | None = 10) -> int:
    """Call GetUser; return the HTTP status."""
    deadline = None if seconds is None else time.monotonic() + seconds
    try:
        reply = await channel.unary(Call(GET, deadline=deadline), GetUserRequest(id=name))
    except StatusError as error:
        return error.http
    assert reply == User(id=name)
    return 200


async def until_up(channel: Channel, at_most: float) -> None:
    """Wait until the backend answers."""
    async with asyncio.timeout(at_most):
        while await get(channel) != 200:  # noqa: ASYNC110  a backend tells nobody that it is back
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("fault", [Toxic.RESET, Toxic.CUT])
def test_down(fault: Toxic) -> None:
    """A backend that is down is 503 at once, and is found again soon after its return."""

    async def test(channel: Channel, proxy: ToxicProxy, users: Users) -> None:
        assert await get(channel) == 200
        proxy.toxic = fault
        proxy.kill()
        start = time.monotonic()
        statuses = [await get(channel) for _ in range(20)]

        assert set(statuses) <= {503}
        assert time.monotonic() - start < 5
        proxy.toxic = Toxic.NONE
        await until_up(channel, 6)

    run(test)


def test_refused() -> None:
    """A port that nobody listens on is 503."""

    async def running() -> None:
        async with Channel("127.0.0.1:1") as channel:
            channel.add(SERVICE)
            assert await get(channel) == 503

    asyncio.run(running())


def test_no_answer_to_the_connection() -> None:
    """A backend that accepts and says nothing is 503 when the attempt has lasted long enough."""

    async def test(channel: Channel, proxy: ToxicProxy, users: Users) -> None:
        proxy.toxic = Toxic.BLACKHOLE
        start = time.monotonic()

        assert await get(channel, seconds=None) == 503
        assert 0.9 < time.monotonic() - start < 8

    run(test, backoff=Backoff(timeout=1))


def test_slow() -> None:
    """A slow backend is 504 at the deadline; other calls on its connection go on."""

    async def test(channel: Channel, proxy: ToxicProxy, users: Users) -> None:
        assert await get(channel) == 200
        start = time.monotonic()
        slow = asyncio.ensure_future(get(channel, "hang", 1))
        others = [await get(channel) for _ in range(20)]

        assert set(others) == {200}
        assert await slow == 504
        assert 0.9 < time.monotonic() - start < 8

    run(test)


def test_latency() -> None:
    """A network that is slower than the deadline is 504, and no longer once it is faster."""

    async def test(channel: Channel, proxy: ToxicProxy, users: Users) -> None:
        assert await get(channel) == 200
        proxy.latency = 1
        assert await get(channel, seconds=0.3) == 504
        proxy.latency = 0
        await until_up(channel, 6)

    run(test)


def test_flapping() -> None:
    """A backend that comes and goes is tried about once a second, however many calls there are."""

    async def test(channel: Channel, proxy: ToxicProxy, users: Users) -> None:
        assert await get(channel) == 200
        start = time.monotonic()
        for _ in range(2):
            proxy.toxic = Toxic.RESET
            proxy.kill()
            calls = [await get(channel) for _ in range(50)]
            assert set(calls) <= {503}
            await asyncio.sleep(1)
            proxy.toxic = Toxic.NONE
            await until_up(channel, 6)

        # One at once after each loss, and then one a second.
        assert len(proxy.accepted) <= 1 + 2 + (time.monotonic() - start) + 1

    run(test)


def test_attempts_while_down() -> None:
    """A backend that stays down is tried no more than once a second."""

    async def test(channel: Channel, proxy: ToxicProxy, users: Users) -> None:
        proxy.toxic = Toxic.RESET
        until = time.monotonic() + 4
        while time.monotonic() < until:
            await get(channel)
            await asyncio.sleep(0.01)
        gaps = [b - a for a, b in zip(proxy.accepted, proxy.accepted[1:], strict=False)]

        assert 2 <= len(proxy.accepted) <= 5
        assert min(gaps) > 0.5

    run(test)


def test_half_open() -> None:
    """A connection on which nothing comes back is given up when a ping is not answered."""

    async def test(channel: Channel, proxy: ToxicProxy, users: Users) -> None:
        assert await get(channel) == 200
        proxy.toxic = Toxic.BLACKHOLE
        start = time.monotonic()

        assert await get(channel, seconds=None) == 503
        assert time.monotonic() - start < 8
        proxy.toxic = Toxic.NONE
        await until_up(channel, 8)

    run(test, keepalive=Keepalive(time=1, timeout=1))


def test_deadline_on_a_half_open_connection() -> None:
    """Until then the deadline holds."""

    async def test(channel: Channel, proxy: ToxicProxy, users: Users) -> None:
        assert await get(channel) == 200
        proxy.toxic = Toxic.BLACKHOLE

        assert await get(channel, seconds=0.5) == 504

    run(test)


@pytest.mark.parametrize("fault", [Toxic.HALF, Toxic.GARBAGE])
def test_broken_connection(fault: Toxic) -> None:
    """A connection that breaks while a call is on it ends the call, as 502 or 503."""

    async def test(channel: Channel, proxy: ToxicProxy, users: Users) -> None:
        assert await get(channel) == 200
        proxy.toxic = fault

        assert await get(channel) in {502, 503}
        proxy.toxic = Toxic.NONE
        await until_up(channel, 6)

    run(test)


def test_stream_cut() -> None:
    """A stream whose connection breaks ends with 503, after what came before."""

    async def test(channel: Channel, proxy: ToxicProxy, users: Users) -> None:
        replies = channel.stream(Call(WATCH), WatchUsersRequest(id="hang"))
        for _ in range(3):
            await anext(replies)
        proxy.kill()
        with pytest.raises(StatusError) as caught:
            await anext(replies)

        assert caught.value.http == 503

    run(test)


def test_connections_that_age() -> None:
    """A backend that ends its connections under load, each with a GOAWAY, loses no call."""

    async def running() -> None:
        aging = [("grpc.max_connection_age_ms", 200), ("grpc.max_connection_age_grace_ms", 30_000)]
        async with backend(Users(), options=aging) as target, Channel(target) as channel:
            channel.add(SERVICE)

            async def calls() -> list[int]:
                return [await get(channel, f"wait-{number % 20}") for number in range(40)]

            statuses = await asyncio.gather(*(calls() for _ in range(8)))
            assert {status for each in statuses for status in each} == {200}

    asyncio.run(running())
