"""Tokens about which a real server is asked."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import time
import urllib.parse
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, TypeVar

import pytest

from entrances import ENTRANCES, Outcome, Running, over_grpc, over_http, run, serving
from introspected import GOOD, Issuer
from listening import serving as listening
from streams import POOL
from transcoder import Code, Gateway
from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.policies.introspection import Introspection
from transcoder.policies.policy import Denied, Now
from transcoder.policies.requirement import Requirement

T = TypeVar("T")

TOLD = {"the token is not valid", "callers cannot be made sure of now"}
"""All that clients are told, whatever is wrong."""

NOW = Now(1000.0, time.time())


@contextlib.asynccontextmanager
async def issuing(issuer: Issuer) -> AsyncGenerator[None, None]:
    """Let an issuer answer."""
    async with listening(issuer.serve) as target:
        issuer.url = f"http://{target}/introspect"
        yield


def policy(url: str, **options: Any) -> Introspection:
    """Return a policy that asks there."""
    given = {"client_id": "gate", "client_secret": "s%cret", "loopback": True, **options}
    return Introspection(url, **given)


def asking(fact: Callable[[Introspection], Awaitable[T]], issuer: Issuer, **options: Any) -> T:
    """Return what becomes of a fact about a policy before an issuer."""

    async def whole() -> T:
        async with issuing(issuer), asyncio.timeout(40):
            made = policy(issuer.url, **options)
            try:
                return await fact(made)
            finally:
                await made.close()

    return asyncio.run(whole())


async def enter(made: Introspection, brought: str = "good", now: Now = NOW) -> CallDetails:
    """Return a call that was let in."""
    call = CallDetails("http", headers=[(b"authorization", f"Bearer {brought}".encode())])
    waiting = made.decide(call, now)
    if waiting is not None:
        await waiting
    return call


async def reason(made: Introspection, brought: str = "good", now: Now = NOW) -> str:
    """Return why a token is refused; empty if it is not."""
    try:
        await enter(made, brought, now)
    except Denied as denied:
        return denied.reason if denied.status.message in TOLD else denied.status.message
    return ""


def test_entrances() -> None:
    """Through every entrance: a token that is active lets in, and others do not."""
    issuer = Issuer({"good": GOOD})

    async def fact(made: Introspection) -> dict[str, list[Outcome]]:
        gateway = Gateway(pool=POOL, policies=[made])
        async with serving(gateway) as running:
            asked: list[dict[str, str]] = [
                {},
                {"authorization": "Bearer good"},
                {"authorization": "Bearer bad"},
            ]
            return {
                name: [await each(running, headers) for headers in asked]
                for name, each in ENTRANCES.items()
            }

    outcomes = asking(fact, issuer, forward={"sub": "x-user"})
    for none, good, bad in outcomes.values():
        assert none.code is bad.code is Code.UNAUTHENTICATED
        assert good.code is Code.OK
        assert good.seen["x-user"] == ["ann"]
        assert "authorization" not in good.seen
        assert bad.headers["www-authenticate"] == 'Bearer error="invalid_token"'
        assert bad.seen == {}
    # Each token was asked about once.
    assert [each["token"] for each in issuer.asked] == ["good", "bad"]


def test_question() -> None:
    """The issuer is asked as RFC 7662 has it, by somebody whom it knows."""
    issuer = Issuer({"good": GOOD})
    asking(enter, issuer)
    assert issuer.asked == [{"token": "good", "token_type_hint": "access_token"}]
    head = issuer.heads[0]
    secret = head.partition("Basic ")[2].partition("\r")[0]
    assert head.startswith("POST /introspect ")
    assert urllib.parse.unquote(base64.b64decode(secret).decode()) == "gate:s%cret"


def test_question_by_post() -> None:
    """Or with the secret in the form."""
    issuer = Issuer({"good": GOOD})
    asking(enter, issuer, authentication="client_secret_post")
    assert issuer.asked[0]["client_id"] == "gate"
    assert issuer.asked[0]["client_secret"] == "s%cret"


def test_principal() -> None:
    """The caller is who the issuer says."""
    told = {**GOOD, "iss": "https://issuer.example", "roles": ["clerk", 7]}
    principal = asking(enter, Issuer({"good": told})).principal
    assert principal is not None
    assert (principal.subject, principal.issuer) == ("ann", "https://issuer.example")
    assert (set(principal.scopes), set(principal.roles)) == ({"a", "b"}, {"clerk"})


@pytest.mark.parametrize(
    ("told", "wanted"),
    [
        ({"active": False}, "inactive"),
        ({**GOOD, "active": "true"}, "inactive"),
        ({**GOOD, "active": 1}, "inactive"),
        ({key: value for key, value in GOOD.items() if key != "active"}, "inactive"),
        ({}, "inactive"),
        ({**GOOD, "exp": 1}, "expired"),
        ({**GOOD, "exp": "4000000000"}, "claim"),
        ({**GOOD, "exp": True}, "claim"),
        ({**GOOD, "nbf": 4_000_000_000}, "not-yet"),
        ({**GOOD, "sub": ""}, "claim"),
        ({**GOOD, "sub": 7}, "claim"),
        ({**GOOD, "sub": "a\r\nx-internal: 1"}, "untellable"),
        ({**GOOD, "aud": "other"}, "audience"),
        ({**GOOD, "aud": ["other", 7]}, "audience"),
        (b"[]", "issuer-down"),
        (b"<html>", "issuer-down"),
        (b"", "issuer-down"),
        (b'{"active":false,"active":true,"sub":"ann"}', "issuer-down"),
        (b" " * 70_000 + json.dumps(GOOD).encode(), "issuer-down"),
    ],
)
def test_bad_answers(told: Any, wanted: str) -> None:
    """An answer that does not plainly say who is active lets nobody in."""
    if isinstance(told, dict):
        told.setdefault("aud", "api")
    options = {"audiences": ["api"], "forward": {"sub": "x-user"}}
    assert asking(reason, Issuer({"good": told}), **options) == wanted


@pytest.mark.parametrize("status", [301, 302, 400, 401, 500, 503])
def test_statuses(status: int) -> None:
    """Nor does one with another status; a redirect is not followed."""
    issuer = Issuer({"good": GOOD}, status=status)
    assert asking(reason, issuer) == "issuer-down"
    assert len(issuer.asked) == 1


def test_slow() -> None:
    """An issuer that does not answer in time lets nobody in, and nobody waits for longer."""
    issuer = Issuer({"good": GOOD}, pause=20)
    begun = time.monotonic()
    assert asking(reason, issuer, timeout=0.2) == "issuer-down"
    assert time.monotonic() - begun < 5


def test_down() -> None:
    """Nor does one that is not there; clients are told to come again."""

    async def fact() -> Denied:
        made = policy("http://127.0.0.1:9/introspect")
        try:
            await enter(made)
        except Denied as denied:
            return denied
        finally:
            await made.close()
        raise AssertionError

    denied = asyncio.run(fact())
    assert (denied.status.code, denied.headers) == (Code.UNAVAILABLE, (("retry-after", "1"),))


def test_kept() -> None:
    """An answer counts until the token expires, a minute at most."""
    issuer = Issuer({"good": {**GOOD, "exp": NOW.wall + 40}, "long": GOOD})

    async def fact(made: Introspection) -> list[int]:
        counts = []
        for token, seconds in [("good", 0), ("good", 39), ("long", 0), ("long", 59), ("long", 61)]:
            moment = Now(NOW.monotonic + seconds, NOW.wall + seconds)
            assert await reason(made, token, moment) == ""
            counts.append(made.questions)
        later = Now(NOW.monotonic + 41, NOW.wall + 41)
        assert await reason(made, "good", later) == "expired"
        return counts

    assert asking(fact, issuer) == [1, 1, 2, 2, 3]


def test_clock_forward() -> None:
    """A wall clock that is put forward ends a token, whatever the other clock says."""
    issuer = Issuer({"good": {**GOOD, "exp": NOW.wall + 40}})

    async def fact(made: Introspection) -> str:
        await enter(made)
        return await reason(made, "good", Now(NOW.monotonic, NOW.wall + 3600))

    assert asking(fact, issuer) == "expired"


def test_without_end() -> None:
    """A token without an end is asked about each time."""
    issuer = Issuer({"good": {key: value for key, value in GOOD.items() if key != "exp"}})

    async def fact(made: Introspection) -> int:
        for _ in range(3):
            await enter(made)
        return made.questions

    assert asking(fact, issuer) == 3


def test_inactive_kept() -> None:
    """A token that is not active is not asked about again at once."""

    async def fact(made: Introspection) -> list[int]:
        counts = []
        for seconds in (0, 1, 4, 6):
            moment = Now(NOW.monotonic + seconds, NOW.wall + seconds)
            assert await reason(made, "bad", moment) == "inactive"
            counts.append(made.questions)
        return counts

    assert asking(fact, Issuer({})) == [1, 1, 1, 2]


def test_single_flight() -> None:
    """Of 500 calls with one token, one asks, and all are let in."""
    issuer = Issuer({"good": GOOD}, pause=0.05)

    async def fact(made: Introspection) -> int:
        await asyncio.gather(*(enter(made) for _ in range(500)))
        return made.questions

    assert asking(fact, issuer) == 1


def test_at_once() -> None:
    """There are never more questions under way than may be."""
    most = 0

    class Counting(Issuer):
        running = 0

        async def serve(self, reader: Any, writer: Any) -> None:
            nonlocal most
            self.running += 1
            most = max(most, self.running)
            await super().serve(reader, writer)
            self.running -= 1

    issuer = Counting({str(index): GOOD for index in range(40)}, pause=0.01)

    async def fact(made: Introspection) -> int:
        await asyncio.gather(*(enter(made, str(index)) for index in range(40)))
        return made.questions

    assert asking(fact, issuer, at_once=3) == 40
    assert most <= 3


def test_capacity() -> None:
    """There are never more answers kept than may be."""
    issuer = Issuer({str(index): GOOD for index in range(20)})

    async def fact(made: Introspection) -> int:
        for index in range(20):
            await enter(made, str(index))
        return len(made._known)

    assert asking(fact, issuer, kept=5) == 5
    assert asking(fact, issuer, kept=0) == 0


def test_given_up() -> None:
    """A call that is given up while the issuer is asked leaves the answer to the others."""
    issuer = Issuer({"good": GOOD}, pause=0.05)

    async def fact(made: Introspection) -> int:
        first = asyncio.create_task(enter(made))
        second = asyncio.create_task(enter(made))
        await asyncio.sleep(0.01)
        first.cancel()
        assert (await second).principal is not None
        assert first.cancelled()
        return made.questions

    assert asking(fact, issuer) == 1


def test_all_given_up() -> None:
    """When all have gone, an answer that is an error troubles nobody."""
    issuer = Issuer({"good": b"garbage"}, pause=0.05)

    async def fact(made: Introspection) -> None:
        call = asyncio.create_task(enter(made))
        await asyncio.sleep(0.01)
        call.cancel()
        await asyncio.wait([call])
        while made._asking:  # noqa: ASYNC110  the answer comes when it comes
            await asyncio.sleep(0.01)

    asking(fact, issuer)


def test_require() -> None:
    """What a token must hold for a method, it must hold here too."""
    issuer = Issuer({"good": GOOD})

    async def fact(made: Introspection) -> list[Code]:
        async with serving(Gateway(pool=POOL, policies=[made])) as running:
            headers = {"authorization": "Bearer good"}
            return [(await each(running, headers)).code for each in (over_http, over_grpc)]

    for scopes, code in [(["a"], Code.OK), (["c"], Code.PERMISSION_DENIED)]:
        require = {"streams.*": Requirement(scopes=scopes)}
        assert asking(fact, issuer, require=require) == [code, code]


def test_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    """No token is logged, and no secret."""
    caplog.set_level(logging.DEBUG, "transcoder")

    async def fact(made: Introspection) -> None:
        async with serving(Gateway(pool=POOL, policies=[made])) as running:
            for token in ("t0ken-good", "t0ken-bad", "t0ken-broken"):
                await over_http(running, {"authorization": f"Bearer {token}"})

    asking(fact, Issuer({"t0ken-good": GOOD, "t0ken-broken": b"garbage"}))
    assert "t0ken" not in caplog.text
    assert "s%cret" not in caplog.text


def test_long_token() -> None:
    """A token that is too long is not asked about."""
    issuer = Issuer({})

    async def fact(made: Introspection) -> str:
        return await reason(made, "a" * 8193)

    assert asking(fact, issuer) == "too-large"
    assert issuer.asked == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"url": "http://issuer.example/"}, "oauth2: url 'http://issuer.example/': https is"),
        ({"url": "http://127.0.0.1/", "loopback": False}, "oauth2: url 'http://127.0.0.1/'"),
        ({"url": "file:///etc/passwd"}, "oauth2: url 'file:///etc/passwd'"),
        ({"timeout": 3}, "oauth2: timeout up to 2"),
        ({"kept_for": 61}, "oauth2: timeout up to 2"),
        ({"authentication": "none"}, "oauth2: authentication 'none' is unknown"),
        ({"audiences": "api"}, "oauth2: audiences 'api': a sequence is expected"),
        ({"ca": "/nowhere"}, "oauth2: ca /nowhere: no certificates"),
    ],
)
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    """What is wrong with an option is told at start."""
    given = {"url": "https://issuer.example/introspect", **options}
    with pytest.raises(ConfigError) as caught:
        policy(**given)
    assert str(caught.value).startswith(problem)


def test_running() -> None:
    """A gateway with the policy starts and stops without a question."""

    async def fact(running: Running) -> None:
        assert running.gateway.chain

    run(fact, policies=[policy("https://issuer.example/introspect")])
