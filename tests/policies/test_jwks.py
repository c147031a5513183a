"""Keys as they come and go, from a real server and real files."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import tokens
from publishing import PATH, Publisher, publishing, saying, silent
from tokens import bringing, claims, jwks, mint, rsa
from transcoder import Code
from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.policies import Denied, Issuer, Jwt, Now, Published
from transcoder.policies.jwks import JWKS_LIMIT, Fetched, Given
from transcoder.policies.key_set import ASYMMETRIC, KeySet

WALL = 1_800_000_000.0
DAY = 86_400.0
OLD, NEW = rsa(), rsa("new")


def at(second: float) -> Now:
    """Return a moment, so many seconds from the beginning of the test on both clocks."""
    return Now(second, WALL + second)


def token(key: Any = OLD, **told: Any) -> str:
    """Return a token that is good for two days."""
    return mint(claims(WALL, exp=WALL + 2 * DAY, **told), key)


async def reason(policy: Jwt, text: str, now: Now) -> str:
    """Return why a token is refused; empty if it is not."""
    try:
        waiting = policy.decide(bringing(text), now)
        if waiting is not None:
            await waiting
    except Denied as denied:
        return denied.reason
    return ""


@asynccontextmanager
async def trusting(*keys: Any, **options: Any) -> AsyncIterator[tuple[Jwt, Publisher]]:
    """Run an issuer, and return a policy that believes it."""
    async with asyncio.timeout(50), publishing(*keys) as publisher:
        published = Published(publisher.url, loopback=True, **options)
        policy = Jwt(Issuer(tokens.ISSUER, audiences=["api"], keys=published))
        try:
            yield policy, publisher
        finally:
            await policy.close()


Fact = Callable[[Jwt, Publisher], Coroutine[Any, Any, None]]


def see(fact: Fact, *keys: Any, **options: Any) -> None:
    """Look at a policy and its issuer, which publishes OLD unless other keys are given."""

    async def look() -> None:
        async with trusting(*(keys or (OLD,)), **options) as (policy, publisher):
            await fact(policy, publisher)

    asyncio.run(look())


def test_herd() -> None:
    """Five hundred calls that find no keys wait for one fetch, and are let in."""

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        released = publisher.hold()
        calls = [
            asyncio.create_task(reason(policy, token(sub=f"u{number}"), at(0)))
            for number in range(500)
        ]
        await publisher.came.wait()
        assert not any(call.done() for call in calls)
        released.set()

        assert set(await asyncio.gather(*calls)) == {""}
        assert publisher.fetches == 1

    see(fact)


def test_flood() -> None:
    """Ten thousand tokens that name keys there are not have the keys fetched once in 30 seconds."""
    unknown = [
        tokens.token({"alg": "RS256", "kid": f"k{number}"}, claims(WALL), lambda _: b"signature")
        for number in range(10_000)
    ]

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        assert await reason(policy, token(), at(0)) == ""
        assert publisher.fetches == 1
        for number, text in enumerate(unknown):
            assert await reason(policy, text, at(1 + number * 0.0028)) == "unknown-key"
        assert publisher.fetches == 2
        assert {await reason(policy, text, at(30.9)) for text in unknown[:100]} == {"unknown-key"}
        assert publisher.fetches == 2
        assert await reason(policy, unknown[0], at(31)) == "unknown-key"
        assert publisher.fetches == 3
        assert await reason(policy, token(), at(31)) == ""

    see(fact)


def test_rotation() -> None:
    """The first token of a new key is good, and those of the old one until it is taken away."""

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        assert await reason(policy, token(), at(0)) == ""
        publisher.publish(OLD, NEW)
        assert await reason(policy, token(NEW), at(1)) == ""
        assert await reason(policy, token(), at(1)) == ""
        assert publisher.fetches == 2

        publisher.publish(NEW)
        assert await reason(policy, token(), at(2)) == ""
        # Remembered for a minute, but not beyond its key.
        assert await reason(policy, token(), at(301)) == ""
        await fetched(publisher, 3)
        assert await reason(policy, token(), at(302)) == "unknown-key"
        assert await reason(policy, token(NEW), at(302)) == ""

    see(fact)


async def fetched(publisher: Publisher, number: int) -> None:
    """Return once the keys were fetched so often, and whoever asked has them."""
    while publisher.fetches < number:
        publisher.came.clear()
        await publisher.came.wait()
    await idle()


async def idle() -> None:
    """Return once no fetch is under way."""
    flights = [
        task for task in asyncio.all_tasks() if getattr(task.get_coro(), "__name__", "") == "_renew"
    ]
    if flights:
        await asyncio.wait(flights)


def test_same_keys() -> None:
    """Keys that come again as they were leave the remembered tokens remembered."""

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        first, second = bringing(token()), bringing(token())
        await decided(policy, bringing(token(sub="eve")), at(0))
        await decided(policy, first, at(290))
        # Due by their age: whoever comes has them fetched, and waits for nothing.
        assert policy.decide(bringing(token(sub="eve")), at(310)) is None
        await fetched(publisher, 2)
        await decided(policy, second, at(320))
        assert first.principal is second.principal

    see(fact)


async def decided(policy: Jwt, call: CallDetails, now: Now) -> None:
    """Let a call pass."""
    waiting = policy.decide(call, now)
    if waiting is not None:
        await waiting


def test_outage(caplog: pytest.LogCaptureFixture) -> None:
    """An issuer that is down for a day keeps nobody out, and is asked once in 30 seconds."""

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        assert await reason(policy, token(), at(0)) == ""
        publisher.answers[PATH] = saying(b"down", 500)
        for second in (300, 310, 329, 331, 345, DAY / 2, DAY - 1):
            assert await reason(policy, token(sub=f"u{second}"), at(second)) == ""
            await idle()
        # At 300, 331, half a day, and a second before the day is over.
        assert publisher.fetches == 1 + 4
        assert await reason(policy, token(), at(DAY)) == "no-keys"
        assert await reason(policy, token(), at(DAY + 28)) == "no-keys"

        publisher.publish(OLD)
        assert await reason(policy, token(), at(DAY + 29)) == ""

    see(fact)
    assert caplog.text.count("no keys of https://login.example: ") == 4
    assert "answers 500" in caplog.text


def test_unknown_in_an_outage() -> None:
    """A key that cannot be looked for is unknown, and the token as bad as any."""

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        assert await reason(policy, token(), at(0)) == ""
        publisher.answers[PATH] = saying(b"<html>")
        assert await reason(policy, token(NEW), at(1)) == "unknown-key"
        assert await reason(policy, token(), at(1)) == ""

    see(fact)


BAD = {"500": saying(b"", 500), "html": saying(b"<html>"), "empty": saying(b'{"keys": []}')}


@pytest.mark.parametrize("answer", BAD.values(), ids=BAD)
def test_cold(answer: Any) -> None:
    """Without keys nobody is let in, and clients are told when to come again."""

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        publisher.answers[PATH] = answer
        with pytest.raises(Denied) as denied:
            await decided(policy, bringing(token()), at(0))
        assert denied.value.status.code is Code.UNAVAILABLE
        assert denied.value.headers == (("retry-after", "30"),)
        with pytest.raises(Denied) as denied:
            await decided(policy, bringing(token()), at(29.5))
        assert denied.value.headers == (("retry-after", "1"),)
        assert publisher.fetches == 1

        publisher.publish(OLD)
        assert await reason(policy, token(), at(30)) == ""

    see(fact)


def test_ready() -> None:
    """A policy is ready once it has keys of every issuer, which it asks for when it starts."""

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        released = publisher.hold()
        await policy.start()
        await publisher.came.wait()
        assert not policy.ready()
        assert await policy.check() == "no keys of https://login.example"
        released.set()
        await idle()

        assert policy.ready()
        assert await policy.check() == ""
        assert publisher.fetches == 1

    see(fact)


def test_gone() -> None:
    """Who goes away while keys are fetched leaves the fetch to the others."""

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        released = publisher.hold()
        going = asyncio.create_task(reason(policy, token(), at(0)))
        staying = asyncio.create_task(reason(policy, token(), at(0)))
        await publisher.came.wait()
        going.cancel()
        await asyncio.wait([going])
        released.set()

        assert going.cancelled()
        assert await staying == ""
        assert publisher.fetches == 1

    see(fact)


def test_closed() -> None:
    """A fetch ends with the application."""

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        publisher.answers[PATH] = silent
        await policy.start()
        await publisher.came.wait()
        await policy.close()
        assert [task for task in asyncio.all_tasks() if "_renew" in repr(task)] == []

    see(fact)


def test_another_loop() -> None:
    """A policy whose loop was stopped while it fetched fetches anew in the next."""
    policy = Jwt(
        Issuer(tokens.ISSUER, audiences=["api"], keys=Published("https://127.0.0.1:1/jwks"))
    )
    loop = asyncio.new_event_loop()
    loop.run_until_complete(policy.start())
    stopped = [task for task in asyncio.all_tasks(loop) if "_renew" in repr(task)]
    assert asyncio.run(reason(policy, token(), at(0))) == "no-keys"

    for task in stopped:
        task.cancel()
    loop.run_until_complete(asyncio.wait(stopped))
    loop.close()


def test_problems(caplog: pytest.LogCaptureFixture) -> None:
    """A key that cannot be used is left out, and told once."""

    async def fact(policy: Jwt, publisher: Publisher) -> None:
        weak = {**rsa("weak").as_dict(private=False), "e": "AQ"}
        body = {"keys": [*jwks(OLD)["keys"], weak]}
        publisher.answers[PATH] = saying(json.dumps(body).encode())
        assert await reason(policy, token(), at(0)) == ""
        assert await reason(policy, token(rsa("weak")), at(1)) == "unknown-key"
        assert publisher.fetches == 2

    see(fact)
    assert caplog.text.count("a key of https://login.example is left out: key 2: no such key") == 1


def test_defect(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a fetch fails by, the next one comes no sooner."""
    fetches = []

    async def failing() -> bytes:
        fetches.append(1)
        raise RuntimeError("a secret")

    async def fact() -> None:
        keys = Fetched("x", failing, lambda _: KEYS, Published())
        for second in (0, 10, 29, 30):
            assert keys.current(second) is None
            await idle()

    asyncio.run(fact())
    assert len(fetches) == 2
    assert caplog.text.count("no keys of x: RuntimeError") == 2
    assert "secret" not in caplog.text


KEYS = KeySet.of(jwks(OLD), ASYMMETRIC)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file of keys."""
    path = tmp_path / "keys.json"
    path.write_text(json.dumps(jwks(OLD)))
    return path


def filed(path: Path) -> Jwt:
    """Return a policy with keys in a file."""
    return Jwt(Issuer(tokens.ISSUER, audiences=["api"], keys=path))


def refused(policy: Jwt, text: str, second: float) -> str:
    """Return why a token is refused; empty if it is not."""
    return asyncio.run(reason(policy, text, at(second)))


def test_file(path: Path) -> None:
    """A file that changes is read again, and tokens of keys that are gone are forgotten."""
    policy = filed(path)
    assert refused(policy, token(), 0) == ""
    assert refused(policy, token(NEW), 0) == "unknown-key"
    path.write_text(json.dumps(jwks(NEW)))
    assert refused(policy, token(NEW), 0.5) == "unknown-key"
    assert refused(policy, token(NEW), 1) == ""
    assert refused(policy, token(), 1) == "unknown-key"


def test_replaced(tmp_path: Path, path: Path) -> None:
    """So is one in whose place another is put, as mounted secrets are."""
    policy = filed(path)
    other = tmp_path / "other"
    other.write_bytes(NEW.as_pem(private=False))
    other.replace(path)
    assert refused(policy, token(NEW), 1) == ""


@pytest.mark.parametrize("content", ["{", '{"keys": []}', "x" * (JWKS_LIMIT + 1), None])
def test_broken_file(path: Path, content: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """A file that is broken, or gone, leaves the keys as they were, until it is mended."""
    policy = filed(path)
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    for second in (1, 2, 3):
        assert refused(policy, token(), second) == ""
    assert caplog.text.count("its keys stay as they were") == 1

    path.write_text(json.dumps(jwks(NEW, OLD)))
    assert refused(policy, token(NEW), 4) == ""


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        (Path("/nowhere/keys.json"), "/nowhere/keys.json: No such file"),
        (Path("/"), "/: Is a directory"),
        ("/etc/keys.json", "https://login.example: keys: neither a JSON Web Key Set nor PEM"),
        ({}, "https://login.example: keys: a JSON Web Key Set has a list of keys"),
        ({"keys": []}, "https://login.example: keys: no key can be used: there is none"),
        ({"keys": [*jwks(OLD)["keys"], {"kty": "x"}]}, "keys: key 2: kty is none of RSA"),
        (OLD.as_pem(private=True).decode(), "keys: no key can be used: key 1: it is private"),
    ],
)
def test_no_keys(keys: Any, problem: str) -> None:
    """Keys that cannot be used are an error at start, where they are given."""
    with pytest.raises(ConfigError, match=f"{problem}"):
        Jwt(Issuer(tokens.ISSUER, audiences=["api"], keys=keys))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"name": ""}, "an issuer needs a name"),
        ({"audiences": []}, "https://login.example: audiences: at least one"),
        ({"audiences": "api"}, "audiences 'api': a sequence is expected"),
        ({"algorithms": ["none"]}, "algorithms: 'none': one of"),
        ({"algorithms": ["RS256", "HS256"]}, "algorithms: who publishes secrets has none"),
        ({"types": "at"}, "types 'at': a sequence is expected"),
    ],
)
def test_issuers(options: dict[str, Any], problem: str) -> None:
    """An issuer that cannot be believed safely is an error at start."""
    with pytest.raises(ConfigError, match=problem):
        Issuer(**{"name": tokens.ISSUER, "audiences": ["api"], **options})


def test_any_audience() -> None:
    """No `aud` is looked at where that is said."""
    policy = Jwt(Issuer(tokens.ISSUER, audiences=None, keys=jwks(OLD)))
    assert refused(policy, token(aud=None), 0) == ""
    assert refused(policy, token(aud=7), 0) == ""


@pytest.mark.parametrize(
    "keys", [json.dumps(jwks(OLD)), OLD.as_pem(private=False).decode(), OLD.as_dict(private=False)]
)
def test_given(keys: Any) -> None:
    """Keys are given as JSON, as PEM, or as one key."""
    policy = Jwt(Issuer(tokens.ISSUER, audiences=["api"], keys=keys))
    assert refused(policy, token(), 0) == ""
    assert policy.ready()
    assert Given(KEYS).retry_after(0) == 1
