"""Rate limits in a real Redis server."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import pytest

from entrances import call_each
from stores import Store
from transcoder import Code
from transcoder.errors import ConfigError
from transcoder.policies import Denied
from transcoder.policies.rate_limit import RateLimit
from transcoder.policies.rates import Rate, Taken
from transcoder.policies.shared_limit import PAUSE, SharedLimiter, Window

LONG = 30.0
"""Seconds of patience where a test is not about it."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A store that answers."""
    with Store(tmp_path) as store:
        yield store


def take(limiter: SharedLimiter, times: int, key: bytes = b"a") -> list[Taken]:
    """Return what a limiter says of some calls at once."""

    async def all_of_them() -> list[Taken]:
        async with _closing(limiter):
            taken = [limiter.take(key, time.monotonic()) for _ in range(times)]
            return list(await asyncio.gather(*taken))

    return asyncio.run(all_of_them())


@contextlib.asynccontextmanager
async def _closing(limiter: SharedLimiter) -> AsyncGenerator[None, None]:
    try:
        yield
    finally:
        await limiter.close()


@pytest.mark.parametrize("window", ["fixed", "sliding", "moving"])
def test_exact(store: Store, window: Window) -> None:
    """Of 200 calls at once exactly as many go on as the limit says."""
    limiter = SharedLimiter(store.url, "100/hour", window=window, patience=LONG)
    taken = take(limiter, 200)
    assert sum(each.allowed for each in taken) == 100
    assert all(each.retry_after > 0 for each in taken if not each.allowed)


def test_shared(store: Store) -> None:
    """Two limiters of one prefix count together."""
    limiters = [SharedLimiter(store.url, "10/hour", patience=LONG) for _ in range(2)]
    passed = [sum(each.allowed for each in take(limiter, 8)) for limiter in limiters]
    assert passed == [8, 2]


def test_prefixes(store: Store) -> None:
    """Limiters of different prefixes do not."""
    limiters = [
        SharedLimiter(store.url, "10/hour", patience=LONG, prefix=prefix) for prefix in "ab"
    ]
    assert [sum(each.allowed for each in take(limiter, 8)) for limiter in limiters] == [8, 8]


def test_every_entrance(store: Store) -> None:
    """Calls through all entrances are counted together in the store."""
    limiter = SharedLimiter(store.url, "3/hour", patience=LONG)
    outcomes = call_each({}, policies=[RateLimit("3/hour", limiter=limiter)])
    codes = [each.code for calls in outcomes.values() for each in calls]
    assert codes == [Code.OK] * 3 + [Code.RESOURCE_EXHAUSTED] * 2


def test_workers(store: Store, start: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two processes that serve one port share a limit to within one in a hundred."""
    monkeypatch.setenv("STORE", store.url)
    served = start("policed:shared", workers=2)
    codes = [served.get("/v1/a/single")[0] for _ in range(260)]
    assert abs(codes.count(200) - 200) <= 2
    assert codes.count(200) + codes.count(429) == 260


def test_down_local(tmp_path: Path) -> None:
    """Without a store that answers, each process counts alone, and waits for it once."""
    store = Store(tmp_path)

    async def fact() -> list[bool]:
        async with _closing(limiter):
            return [(await limiter.take(b"a", time.monotonic())).allowed for _ in range(10)]

    limiter = SharedLimiter(store.url, Rate(100, 3600, burst=5), patience=LONG)
    assert sum(asyncio.run(fact())) == 5
    assert limiter.failures == 1


def test_down_closed(tmp_path: Path) -> None:
    """Or everything is refused."""
    limiter = SharedLimiter(Store(tmp_path).url, "10/hour", when_down="closed")
    with pytest.raises(Denied) as caught:
        take(limiter, 1)
    assert caught.value.status.code is Code.UNAVAILABLE
    assert caught.value.reason == "store-down"


def test_slow() -> None:
    """A store that takes a connection and never answers is waited for once, and not for long."""

    async def fact() -> tuple[float, int]:
        async def silent(_reader: Any, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            await asyncio.Event().wait()

        writers: list[asyncio.StreamWriter] = []
        server = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        limiter = SharedLimiter(f"redis://127.0.0.1:{port}", Rate(100, 3600, burst=50))
        begun = time.monotonic()
        for _ in range(20):
            assert (await limiter.take(b"a", time.monotonic())).allowed
        took = time.monotonic() - begun
        await limiter.close()
        for writer in writers:
            writer.close()
        server.close()
        return took, limiter.failures

    took, failures = asyncio.run(fact())
    # Twenty times the patience would be a second.
    assert took < 0.8
    assert failures == 1


def test_back_again(tmp_path: Path) -> None:
    """A store that comes back is counted in again."""

    async def fact() -> list[int]:
        limiter = SharedLimiter(redis.url, Rate(100, 3600, burst=50), patience=LONG)
        now = time.monotonic()
        redis.start()
        failures = [await _failures(limiter, now)]
        redis.stop()
        failures.append(await _failures(limiter, now))
        redis.start()
        later = time.monotonic() + PAUSE
        failures.append(await _failures(limiter, later))
        assert b"transcoder" in await asyncio.to_thread(redis.say, "KEYS", "*")
        await limiter.close()
        return failures

    redis = Store(tmp_path)
    try:
        assert asyncio.run(fact()) == [0, 1, 1]
    finally:
        redis.stop()


async def _failures(limiter: SharedLimiter, now: float) -> int:
    await limiter.take(b"a", now)
    return limiter.failures


def test_garbage(store: Store) -> None:
    """What somebody else wrote under the keys makes the store one that fails."""

    async def fact() -> int:
        limiter = SharedLimiter(store.url, Rate(100, 3600, burst=5), window="moving", patience=LONG)
        await limiter.take(b"a", time.monotonic())
        keys = (await asyncio.to_thread(store.say, "KEYS", "*")).split(b"\r\n")[2::2]
        for key in keys:
            await asyncio.to_thread(store.say, "SET", key.decode(), "garbage")
        assert (await limiter.take(b"a", time.monotonic())).allowed
        await limiter.close()
        return limiter.failures

    assert asyncio.run(fact()) == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "http://localhost"}, "limiter: url: one such as redis://localhost:6379 is"),
        ({"url": "redis://:secret@localhost:x"}, "limiter: url: one such as redis://"),
        ({"url": "redis://"}, "limiter: url: one such as redis://"),
        ({"window": "round"}, "limiter: window 'round'"),
        ({"when_down": "open"}, "limiter: window 'sliding', when_down 'open': unknown"),
        ({"patience": 0}, "limiter: patience and connections"),
        ({"rate": Rate(1, 0.5)}, "limiter: the rate is per whole seconds"),
    ],
)
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    """What is wrong with an option is told when the limiter is made."""
    given = {"url": "redis://localhost", "rate": "1/second", **options}
    with pytest.raises(ConfigError) as caught:
        SharedLimiter(**given)
    assert "secret" not in str(caught.value)
    assert str(caught.value).startswith(problem)


@pytest.mark.parametrize(
    ("url", "port"),
    [("redis://localhost", 6379), ("redis://:a@localhost/1", 6379), ("redis://localhost:7", 7)],
)
def test_port(url: str, port: int) -> None:
    """A URL without a port is of the port that stores have."""
    limiter = SharedLimiter(url, "1/second")
    assert limiter._pool.connection_kwargs["port"] == port
