"""What becomes of calls when what policies depend on fails, and when a flood comes."""

from __future__ import annotations

import asyncio
import http.client
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from entrances import ENTRANCES, Running, call_each, known, over_http, run, serving
from publishing import PATH, publishing, saying
from stores import Store
from streams import POOL
from tokens import claims, issuers, mint, rsa
from transcoder import Code, Gateway
from transcoder.observers import AccessLog
from transcoder.policies import (
    ApiKeys,
    CallDetails,
    Issuer,
    Jwt,
    Now,
    Published,
    RateLimit,
    SharedLimiter,
    Stage,
)
from transcoder.policies.key_file import create_key
from transcoder.policies.shared_limit import PAUSE


async def codes(running: Running, headers: dict[str, str] | None = None) -> set[Code]:
    """Return the codes of a call through each entrance."""
    return {(await enter(running, headers or {})).code for enter in ENTRANCES.values()}


def test_store_goes_and_comes(tmp_path: Path) -> None:
    """While the store of a limit is away every call goes on; when it is back, it counts again."""
    store = Store(tmp_path)
    limiter = SharedLimiter(store.url, "100/hour", patience=2.0)

    async def fact() -> tuple[list[set[Code]], list[int], bytes]:
        found, failures = [], []
        gateway = Gateway(pool=POOL, policies=[RateLimit("100/hour", limiter=limiter)])
        async with serving(gateway) as running:
            for change in (store.start, store.stop, store.start):
                await asyncio.to_thread(change)
                # A store that has failed is left alone for a moment.
                await asyncio.sleep(PAUSE if limiter.failures else 0)
                found.append(await codes(running))
                failures.append(limiter.failures)
            return found, failures, await asyncio.to_thread(store.say, "KEYS", "*")

    try:
        found, failures, keys = asyncio.run(fact())
    finally:
        store.stop()

    assert found == [{Code.OK}] * 3
    assert failures == [0, 1, 1]
    assert b"transcoder" in keys


@pytest.mark.parametrize(
    "answer", [saying(b"", 500), saying(b"<html>"), None], ids=["fails", "nonsense", "silent"]
)
def test_issuer_goes(answer: Any) -> None:
    """Once there are keys, an issuer that fails, says nonsense or is silent keeps nobody out."""

    async def fact() -> tuple[set[Code], bool, bool]:
        async with publishing(rsa()) as publisher:
            keys = Published(publisher.url, loopback=True, refresh=0.2, timeout=10)
            policy = Jwt(Issuer(publisher.issuer, audiences=["api"], keys=keys), kept=0)
            token = mint(claims(time.time(), iss=publisher.issuer))
            headers = {"authorization": f"Bearer {token}"}
            async with serving(Gateway(pool=POOL, policies=[policy])) as running:
                assert await codes(running, headers) == {Code.OK}
                released = publisher.hold() if answer is None else None
                if answer is not None:
                    publisher.answers[PATH] = answer
                publisher.came.clear()
                await asyncio.sleep(keys.refresh)
                found = await codes(running, headers)
                await asyncio.wait_for(publisher.came.wait(), 20)
                found |= await codes(running, headers)
                if released is not None:
                    released.set()
                return found, publisher.fetches > 1, policy.ready()

    assert asyncio.run(fact()) == ({Code.OK}, True, True)


def test_cold_start() -> None:
    """A server that has no keys yet is not ready, and is once it has them."""

    async def fact() -> list[tuple[Code, bool]]:
        async with publishing(rsa()) as publisher:
            good = publisher.answers[PATH]
            publisher.answers[PATH] = saying(b"", 500)
            keys = Published(publisher.url, loopback=True, cool_down=0.2)
            policy = Jwt(Issuer(publisher.issuer, audiences=["api"], keys=keys))
            token = mint(claims(time.time(), iss=publisher.issuer))
            headers = {"authorization": f"Bearer {token}"}
            async with serving(Gateway(pool=POOL, policies=[policy])) as running:
                found = [((await over_http(running, headers)).code, await is_ready(running))]
                publisher.answers[PATH] = good
                await asyncio.sleep(keys.cool_down)
                called = (await over_http(running, headers)).code
                async with asyncio.timeout(20):
                    while not (ready := await is_ready(running)):  # noqa: ASYNC110  over HTTP
                        await asyncio.sleep(0.05)
                return [*found, (called, ready)]

    assert asyncio.run(fact()) == [(Code.UNAVAILABLE, False), (Code.OK, True)]


async def is_ready(running: Running) -> bool:
    """Say whether the server says that it is ready."""

    def ask() -> int:
        connection = http.client.HTTPConnection(running.listening.http.target, timeout=20)
        connection.request("GET", "/readyz")
        status = connection.getresponse().status
        connection.close()
        return status

    return await asyncio.to_thread(ask) == 200


@pytest.mark.parametrize("jump", [3600.0, -3600.0, 864_000.0, -864_000.0])
def test_clock_jumps(jump: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the wall clock is set, limits hold on, tokens go by their dates, nothing took negative.

    A token that is good for five minutes is over where the clock goes forward, and not yet issued
    where it goes back, on every door alike.
    """
    real, log = time.time, tmp_path / "access.log"
    header = {"authorization": f"Bearer {mint(claims(time.time()))}"}
    limit = RateLimit("5/hour", burst=5, name="five")
    jwt = Jwt(*issuers())

    async def fact(running: Running) -> list[Code]:
        before = [(await over_http(running, header)).code for _ in range(2)]
        monkeypatch.setattr(time, "time", lambda: real() + jump)
        later = mint(claims(time.time()))
        fresh = {"authorization": f"Bearer {later}"}
        after = [
            (await over_http(running, header)).code,
            (await ENTRANCES["grpc"](running, header)).code,
            (await ENTRANCES["grpc"](running, fresh)).code,
            (await over_http(running, fresh)).code,
        ]
        return before + after

    found = run(fact, policies=[limit, jwt], observers=[AccessLog(log)])
    assert found == [
        *[Code.OK] * 2,
        *[Code.UNAUTHENTICATED] * 2,
        Code.OK,
        Code.RESOURCE_EXHAUSTED,
    ]
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    durations = [value for line in lines for name, value in line.items() if "duration" in name]
    assert len(lines) == len(found)
    assert durations
    assert all(0 <= value < 60_000 for value in durations)


class Defective:
    """Raises when its name is said."""

    def __init__(self, stage: Stage) -> None:
        self.name = stage.name.lower().replace("_", "-")
        self.stage = stage

    def decide(self, call: CallDetails, now: Now) -> None:
        """Let a call pass, or have a defect."""
        if call.one(b"x-defect") == self.name.encode():
            raise ZeroDivisionError("a secret of the inside")
        if self.stage is Stage.AUTHENTICATION:
            call.principal = known()


@pytest.fixture(scope="module")
def defects() -> dict[str, Any]:
    """What each entrance says of a defect in each stage, and then of none."""
    policies = [Defective(stage) for stage in Stage]
    headers = [{"x-defect": each.name} for each in policies]
    return call_each(*headers, {}, policies=policies)


@pytest.mark.parametrize("entrance", ENTRANCES)
def test_defects(defects: dict[str, Any], entrance: str) -> None:
    """A defect of whatever stage lets nobody in, tells nothing, and troubles no other call."""
    *failed, after = defects[entrance]

    assert {(each.code, each.message) for each in failed} == {(Code.INTERNAL, "internal error")}
    assert [each.seen for each in failed] == [{}] * len(Stage)
    assert after.code is Code.OK


def test_flood_of_tokens() -> None:
    """A flood of bad tokens is limited at both doors together, before any is looked at."""
    asked: list[str] = []

    class Noting(Jwt):
        def decide(self, call: CallDetails, now: Now) -> Any:
            asked.append(call.door)
            return super().decide(call, now)

    async def fact(running: Running) -> list[Code]:
        header = {"authorization": f"Bearer {mint(claims(time.time()), rsa('other'))}"}
        doors = ["http", "grpc", "websocket"] * 10
        return [(await ENTRANCES[door](running, header)).code for door in doors]

    found = run(fact, policies=[RateLimit("5/hour", burst=5), Noting(*issuers())])
    assert found == [Code.UNAUTHENTICATED] * 5 + [Code.RESOURCE_EXHAUSTED] * 25
    assert len(asked) == 5


@pytest.mark.parametrize(
    "guess",
    ["", "a", "a.b", "a" * 10_000, "é.b", f"{'0' * 16}.{'a' * 43}"],
    ids=["empty", "no-dot", "short", "long", "foreign", "well-formed"],
)
def test_flood_of_keys(tmp_path: Path, guess: str) -> None:
    """Guesses at API keys are limited, whoever they say that they come from."""
    create_key(tmp_path / "keys.json", "billing", [], datetime.now(UTC))

    async def fact(running: Running) -> list[Code]:
        return [
            (
                await over_http(
                    running,
                    {"x-api-key": guess, "x-forwarded-for": f"198.51.100.{index}", "x-a": "b"},
                )
            ).code
            for index in range(8)
        ]

    policies = [RateLimit("5/hour", burst=5), ApiKeys(tmp_path / "keys.json")]
    found = run(fact, policies=policies)
    assert found == [Code.UNAUTHENTICATED] * 5 + [Code.RESOURCE_EXHAUSTED] * 3
