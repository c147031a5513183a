"""Tokens at the doors of a real server."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from entrances import (
    ENTRANCES,
    Outcome,
    Running,
    call_each,
    over_http,
    over_websocket,
    run,
    serving,
)
from publishing import CONFIGURATION, PATH, publishing
from streams import POOL
from tokens import FORWARD, ISSUER, Bad, bad_tokens, claims, issuers, jwks, mint, rsa
from transcoder import Code, Gateway
from transcoder.handshake import Token
from transcoder.policies import CallDetails, Issuer, Jwt, Published, Requirement

DOORS = ["http", "websocket", "grpc"]
CHALLENGE = 'Bearer error="invalid_token"'


@dataclass
class Noting:
    """Notes why calls were refused."""

    reasons: list[str] = field(default_factory=list)

    def began(self, call: CallDetails) -> None:
        """Do nothing."""

    def ended(self, call: CallDetails) -> None:
        """Note why."""
        self.reasons.append(call.reason)


def told(**more: Any) -> dict[str, Any]:
    """Return the claims of a token that is good now."""
    return claims(time.time(), **more)


@dataclass
class Seen:
    """What came of the bad tokens.

    Args:
        tokens: these.
        outcomes: by door, in their order.
        reasons: in the order of the calls.
        called: how many calls the servicer saw.
        log: all that was logged meanwhile.
    """

    tokens: Sequence[Bad]
    outcomes: Mapping[str, list[Outcome]]
    reasons: list[str]
    called: int
    log: str


class Keeping(logging.Handler):
    """Keeps what is logged, whatever by, but what the clients of the test say of themselves."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a line."""
        if record.name != "websockets.client":
            self.lines.append(self.format(record))


@pytest.fixture(scope="module")
def seen() -> Seen:
    """What each door made of each bad token."""
    noting, keeping = Noting(), Keeping()
    # Without a token there is nothing behind the scheme, which clients send without its space.
    bad_ones = [bad for bad in bad_tokens(time.time()) if bad.text]

    async def fact(running: Running) -> Seen:
        outcomes: dict[str, list[Outcome]] = {}
        for door in DOORS:
            headers = [{"authorization": f"Bearer {bad.text}"} for bad in bad_ones]
            outcomes[door] = [await ENTRANCES[door](running, each) for each in headers]
        called = len(running.servicer.seen)
        return Seen(bad_ones, outcomes, noting.reasons, called, "\n".join(keeping.lines))

    root = logging.getLogger()
    level = root.level
    root.addHandler(keeping)
    root.setLevel(logging.DEBUG)
    try:
        policies = [Jwt(*issuers(), forward=FORWARD)]
        return run(fact, policies=policies, observers=[noting])
    finally:
        root.removeHandler(keeping)
        root.setLevel(level)


@pytest.mark.parametrize("door", DOORS)
def test_bad(seen: Seen, door: str) -> None:
    """Every bad token is answered alike at every door, whatever is wrong with it."""
    answers = {
        (each.code, each.message, each.headers["www-authenticate"]) for each in seen.outcomes[door]
    }
    assert answers == {(Code.UNAUTHENTICATED, "the token is not valid", CHALLENGE)}
    assert len(seen.outcomes[door]) == len(seen.tokens)


def test_reasons(seen: Seen) -> None:
    """Observers are told what was wrong, in a word."""
    assert seen.reasons == [bad.reason for bad in seen.tokens] * len(DOORS)


def test_never_called(seen: Seen) -> None:
    """No servicer is called with a bad token."""
    assert seen.called == 0


def test_never_logged(seen: Seen) -> None:
    """No part of a token is in the log, at its loudest."""
    parts = {part for bad in seen.tokens for part in bad.text.split(".") if len(part) > 40}

    assert len(parts) > len(seen.tokens)
    assert [part for part in parts if part in seen.log] == []


@pytest.fixture(scope="module")
def outcomes() -> Mapping[str, list[Outcome]]:
    """What each entrance says to a good token, to none, and to one with too few scopes."""
    claimed = {"x-user-id": "eve", "X_User_Id": "eve"}
    good = f"Bearer {mint(told(groups=['a', 'b'], scope='tell'))}"
    policy = Jwt(*issuers(), forward=FORWARD, require={"*": Requirement(scopes=["tell"])})
    poor = f"Bearer {mint(told())}"
    asked = [{"authorization": good, **claimed}, claimed, {"authorization": poor}]
    return call_each(*asked, policies=[policy])


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_good(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """The servicer is told of the caller what the token says, and not the token."""
    good = outcomes[entrance][0]
    assert good.code is Code.OK
    assert good.seen["x-user-id"] == ["ann"]
    assert good.seen["x-groups"] == ["a,b"]
    assert not {"authorization", "x_user_id"} & good.seen.keys()


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_none(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """Who brings no token is asked for one."""
    missing = outcomes[entrance][1]
    assert (missing.code, missing.headers["www-authenticate"]) == (Code.UNAUTHENTICATED, "Bearer")


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_insufficient(outcomes: Mapping[str, list[Outcome]], entrance: str) -> None:
    """Whose token holds too little is told what it needs."""
    poor = outcomes[entrance][2]
    assert poor.code is Code.PERMISSION_DENIED
    assert poor.headers["www-authenticate"] == 'Bearer error="insufficient_scope", scope="tell"'


def test_forward_token() -> None:
    """The token is the servicer's too, where that is said."""
    header = {"authorization": f"Bearer {mint(told())}"}
    found = call_each(header, policies=[Jwt(*issuers(), forward_token=True)])
    assert {each.seen["authorization"][0] for [each] in found.values()} == set(header.values())


@pytest.mark.parametrize("size", [10_000, 64_000])
def test_long(size: int) -> None:
    """A token that is too long is refused, if not here, then by what reads heads before."""
    header = {"authorization": f"Bearer {'x' * size}"}

    async def fact(running: Running) -> tuple[set[Code], int]:
        codes = {(await ENTRANCES[door](running, header)).code for door in DOORS}
        return codes, len(running.servicer.seen)

    codes, called = run(fact, policies=[Jwt(*issuers())])
    # The limits of websockets for a line, of our heads, and of gRPC for metadata.
    assert codes <= {Code.INVALID_ARGUMENT, Code.RESOURCE_EXHAUSTED, Code.UNAUTHENTICATED}
    assert called == 0


def test_elsewhere() -> None:
    """A token in the query or a cookie is none, unless the gateway says so for WebSockets."""
    text = mint(told())

    async def fact(running: Running) -> list[Code]:
        cookie = {"cookie": f"token={text}; access_token={text}; authorization=Bearer {text}"}
        query = f"?access_token={text}&token={text}"
        return [
            (await over_http(running, cookie)).code,
            (await over_http(running, {}, f"/v1/a/single{query}")).code,
            (await over_websocket(running, cookie)).code,
            (await over_websocket(running, {}, f"/v1/a/told{query}")).code,
        ]

    policy = Jwt(*issuers())
    assert set(run(fact, policies=[policy])) == {Code.UNAUTHENTICATED}


def test_websocket_token() -> None:
    """A WebSocket's token may stand where the gateway says."""
    text = mint(told())

    async def fact(running: Running) -> Code:
        return (await over_websocket(running, {}, f"/v1/a/told?count=1&token={text}")).code

    options: dict[str, Any] = {"websocket_token": Token(query="token")}
    assert run(fact, policies=[Jwt(*issuers())], **options) is Code.OK


def test_issuer_of_a_route() -> None:
    """An issuer that is believed elsewhere is not where another policy stands for the method."""
    other = "https://partner.example"
    single = "streams.v1.Streams.Single"
    partner = Jwt(Issuer(other, audiences=["api"], keys=jwks(rsa("p"))))
    ours = {"authorization": f"Bearer {mint(told())}"}
    theirs = {"authorization": f"Bearer {mint(told(iss=other), rsa('p'))}"}
    options: dict[str, Any] = {"overrides": {single: {"jwt": partner}}}
    found = call_each(ours, theirs, policies=[Jwt(*issuers())], **options)

    for entrance in ("http", "grpc"):
        assert [each.code for each in found[entrance]] == [Code.UNAUTHENTICATED, Code.OK]
    for entrance in ("sse", "websocket", "grpc-stream"):
        assert [each.code for each in found[entrance]] == [Code.OK, Code.UNAUTHENTICATED]


def test_never_fetched() -> None:
    """Nothing that a token names is fetched, whether its signature holds or not."""

    async def fact(running: Running) -> tuple[dict[str, int], list[Code]]:
        async with publishing(rsa("other")) as elsewhere:
            named = {"jku": elsewhere.url, "x5u": elsewhere.url, "kid": elsewhere.url}
            codes = []
            for key in (rsa("other"), rsa()):
                for name in ("jku", "x5u"):
                    text = mint(told(), key, **{"kid": "r", name: named[name]})
                    header = {"authorization": f"Bearer {text}"}
                    codes += [(await ENTRANCES[door](running, header)).code for door in DOORS]
            unknown = mint(told(), kid=elsewhere.url)
            header = {"authorization": f"Bearer {unknown}"}
            codes += [(await ENTRANCES[door](running, header)).code for door in DOORS]
            return dict(elsewhere.asked), codes

    asked, codes = run(fact, policies=[Jwt(*issuers())])
    assert asked == {}
    assert codes == [Code.UNAUTHENTICATED] * 6 + [Code.OK] * 6 + [Code.UNAUTHENTICATED] * 3


@pytest.mark.parametrize("door", list(ENTRANCES))
def test_cold(door: str) -> None:
    """Where an issuer's keys cannot be had, calls are refused at every door, to come again."""
    header = {"authorization": f"Bearer {mint(told())}"}

    async def fact(running: Running) -> list[Outcome]:
        return [await ENTRANCES[door](running, each) for each in (header, {})]

    keys = Published("http://127.0.0.1:1/jwks", loopback=True)
    policy = Jwt(Issuer(ISSUER, audiences=["api"], keys=keys))
    cold, missing = run(fact, policies=[policy])
    assert (cold.code, cold.message) == (Code.UNAVAILABLE, "callers cannot be made sure of now")
    assert 25 <= int(cold.headers["retry-after"]) <= 30
    assert missing.code is Code.UNAUTHENTICATED
    assert not policy.ready()


def test_fetched() -> None:
    """The keys that an issuer publishes are there when the server is, and fetched once."""

    async def fact() -> tuple[dict[str, int], list[Code]]:
        async with publishing(rsa()) as publisher:
            publisher.tell()
            header = {"authorization": f"Bearer {mint(told(iss=publisher.issuer))}"}
            keys = Published(loopback=True)
            policy = Jwt(Issuer(publisher.issuer, audiences=["api"], keys=keys))
            async with serving(Gateway(pool=POOL, policies=[policy])) as running:
                codes = [(await enter(running, header)).code for enter in ENTRANCES.values()]
            return dict(publisher.asked), codes

    asked, codes = asyncio.run(fact())
    assert asked == {CONFIGURATION: 1, PATH: 1}
    assert codes == [Code.OK] * len(ENTRANCES)
