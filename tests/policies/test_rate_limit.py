from __future__ import annotations

import asyncio
import functools
import http.client
from typing import Any

import pytest

from entrances import ENTRANCES, Outcome, Running, call_each, known, over_grpc, over_http, run
from transcoder import Code
from transcoder.call_details import CallDetails, Principal
from transcoder.errors import ConfigError
from transcoder.policies.gcra import Gcra
from transcoder.policies.policy import Denied, Now, Stage
from transcoder.policies.rate_limit import RateLimit
from transcoder.policies.rates import Rate

NOW = Now(1000.0, 1000.0)


def allowed(policy: RateLimit, call: CallDetails) -> bool:
    """Say whether a policy lets a call pass."""
    try:
        policy.decide(call, NOW)
    except Denied:
        return False
    return True


def details(**options: Any) -> CallDetails:
    """Return a call over HTTP."""
    return CallDetails("http", **options)


def of(principal: Principal) -> CallDetails:
    """Return the call of a principal."""
    call = details(peer="192.0.2.1")
    call.principal = principal
    return call


@pytest.mark.parametrize("entrance", list(ENTRANCES))
def test_refused(entrance: str) -> None:
    """What comes too often is refused through every entrance, and told when to come again."""
    outcomes: dict[str, list[Outcome]] = {}

    async def fact(running: Running) -> None:
        enter = ENTRANCES[entrance]
        outcomes[entrance] = [await enter(running, {}) for _ in range(3)]

    run(fact, policies=[RateLimit("2/minute", burst=2)])
    first, second, third = outcomes[entrance]
    assert [each.code for each in (first, second, third)] == [
        Code.OK,
        Code.OK,
        Code.RESOURCE_EXHAUSTED,
    ]
    assert first.headers["ratelimit-policy"] == '"rate-limit";q=2;w=60'
    assert first.headers["ratelimit"] == '"rate-limit";r=1;t=30'
    assert third.message == "too many requests"
    assert 1 <= int(third.headers["retry-after"]) <= 30


def test_one_budget() -> None:
    """Calls through all entrances are counted together."""
    outcomes = call_each({}, policies=[RateLimit("3/hour", burst=3)])
    codes = [each.code for calls in outcomes.values() for each in calls]
    assert codes == [Code.OK] * 3 + [Code.RESOURCE_EXHAUSTED] * 2


@pytest.mark.parametrize(("enter", "at_once"), [(over_http, 200), (over_grpc, 100)])
def test_exact(enter: Any, at_once: int) -> None:
    """Of 200 calls, as many at once as a connection takes, just those go on that the limit lets."""

    async def fact(running: Running) -> list[Code]:
        codes: list[Code] = []
        while len(codes) < 200:
            calls = [enter(running, {}) for _ in range(at_once)]
            codes += [each.code for each in await asyncio.gather(*calls)]
        return codes

    codes = run(fact, policies=[RateLimit("100/hour", burst=100)])
    assert (codes.count(Code.OK), codes.count(Code.RESOURCE_EXHAUSTED)) == (100, 100)


def test_what_is_not_there_counts() -> None:
    """Calls of paths that there are not count as any."""

    async def fact(running: Running) -> list[Code]:
        missing = functools.partial(over_http, path="/nothing")
        return [(await each(running, {})).code for each in (missing, missing, over_http)]

    codes = run(fact, policies=[RateLimit("2/hour", burst=2)])
    assert codes == [Code.NOT_FOUND, Code.NOT_FOUND, Code.RESOURCE_EXHAUSTED]


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "DELETE", "TRACE"])
def test_whatever_method_counts(method: str) -> None:
    """Requests of any method count, those that no route takes too; TRACE meets no policy."""

    def ask(running: Running) -> int:
        connection = http.client.HTTPConnection(running.listening.http.target, timeout=20)
        connection.request(method, "/v1/a/single")
        status = connection.getresponse().status
        connection.close()
        return status

    async def fact(running: Running) -> list[int]:
        return [await asyncio.to_thread(ask, running) for _ in range(3)]

    found = run(fact, policies=[RateLimit("2/hour", burst=2)])
    assert found[2] == (501 if method == "TRACE" else 429)
    assert 429 not in found[:2]


@pytest.mark.parametrize(
    ("by", "first", "second", "together"),
    [
        ("address", details(peer="192.0.2.1"), details(peer="192.0.2.1"), True),
        ("address", details(peer="192.0.2.1"), details(peer="192.0.2.2"), False),
        # Whoever has one address of a site has its others.
        ("address", details(peer="2001:db8::1"), details(peer="2001:db8::2:1"), True),
        ("address", details(peer="2001:db8::1"), details(peer="2001:db8:0:1::1"), False),
        # Clients of a Unix socket have none.
        ("address", details(), details(), True),
        ("address", details(peer="no address"), details(peer="no address"), True),
        ("all", details(peer="192.0.2.1"), details(peer="192.0.2.2", method="a.B.C"), True),
        ("method", details(method="a.B.C"), details(method="a.B.D"), False),
        ("header:x-key", details(headers=[(b"x-key", b"a")]), details(), False),
        (
            "header:X-Key",
            details(headers=[(b"x-key", b"a")]),
            details(headers=[(b"x-key", b"a"), (b"x-other", b"b")]),
            True,
        ),
        ("principal", of(known("ann")), of(known("ann")), True),
        ("principal", of(known("ann")), of(known("bob")), False),
        ("principal", of(known("ann")), of(known("ann", issuer="other")), False),
        ("principal", details(peer="192.0.2.1"), details(peer="192.0.2.2"), False),
        ("claim:tenant", of(known("a", claims={"tenant": 1})), of(known("b")), False),
        (
            "claim:tenant",
            of(known("a", claims={"tenant": 1})),
            of(known("b", claims={"tenant": 1})),
            True,
        ),
        (["address", "method"], details(peer="a", method="b"), details(peer="a"), False),
    ],
)
def test_keys(
    by: str | list[str],
    first: CallDetails,
    second: CallDetails,
    together: bool,  # noqa: FBT001  a column of the table
) -> None:
    """The key says which calls are counted together."""
    policy = RateLimit("1/hour", by=by)
    assert allowed(policy, first)
    assert allowed(policy, second) is not together


@pytest.mark.parametrize(
    ("by", "stage"),
    [
        ("address", Stage.RATE_BY_ADDRESS),
        ("header:x-api-key", Stage.RATE_BY_ADDRESS),
        ("principal", Stage.RATE_BY_IDENTITY),
        (["address", "claim:tenant"], Stage.RATE_BY_IDENTITY),
    ],
)
def test_stage(by: str | list[str], stage: Stage) -> None:
    """A limit stands before authentication, unless its key is known only behind it."""
    assert RateLimit("1/hour", by=by).stage is stage


def test_long_keys() -> None:
    """A key is hashed, so that a long one takes no more room than a short one."""
    limiter = Gcra(Rate(1, 3600))
    policy = RateLimit("1/hour", by="header:x-key", limiter=limiter)
    policy.decide(details(headers=[(b"x-key", b"a" * 10_000)]), NOW)
    assert [len(key) for key in limiter._arrivals] == [16]


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"rate": "often"}, "rate 'often': write one as '1000/second'"),
        ({"rate": "0/second"}, "rate 0/1 s: numbers above 0 are expected"),
        ({"rate": "1/0 seconds"}, "rate 1/0 s: numbers above 0 are expected"),
        ({"rate": "1/second", "burst": -1}, "rate: burst -1: a number from 0 is expected"),
        ({"rate": "1/second", "by": "name"}, "rate-limit: by 'name': one of address, all, method"),
        ({"rate": "1/second", "by": "header:"}, "rate-limit: by 'header:': one of address"),
        ({"rate": "1/second", "by": []}, "rate-limit: by: at least one is expected"),
        ({"rate": "1/second", "name": "A b"}, "'A b' is no name of a policy"),
    ],
)
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    """What is wrong with an option is told when the policy is made."""
    with pytest.raises(ConfigError) as caught:
        RateLimit(**options)
    assert str(caught.value).startswith(problem)
