"""Versions of paths that are passed on over HTTP."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient
from starlette.types import Receive, Scope, Send

from transcoder import Condition, ForwardSplit, ForwardVersion, Gateway, Sticky, VersionMatch
from transcoder.call_details import CallDetails, Principal
from transcoder.errors import ConfigError, StatusError
from transcoder.measured import Measured, Reading
from transcoder.policies import Now, Stage
from transcoder.response import Payload
from transcoder.route import Match


class Says:
    """Answers every request with a text."""

    closed = 0

    def __init__(self, text: str, problem: str = "") -> None:
        self._text = text
        self._problem = problem

    async def forward(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload | None:
        return Payload(200, b"text/plain", self._text.encode())

    async def check(self) -> str:
        return self._problem

    async def close(self) -> None:
        self.closed += 1


class Tenants:
    """Knows callers by a header, and tells who answers of one of them."""

    name = "tenants"
    stage = Stage.AUTHENTICATION
    writes = ("x-tenant-id",)

    def decide(self, call: CallDetails, now: Now) -> None:
        known = call.one(b"x-known")
        claims = {} if known is None else {"tenant": known.decode()}
        call.principal = Principal(subject="ann", scheme="test", claims=claims)
        if known is not None:
            call.tell_servicer("x-tenant-id", known.decode())


def split(first: int = 100, **options: Any) -> ForwardSplit:
    versions = [
        ForwardVersion("v1", Says("v1"), first),
        ForwardVersion("v2", Says("v2"), 100 - first or None),
    ]
    return ForwardSplit(versions, **options)


def answers(made: ForwardSplit, *asked: tuple[str, dict[str, str]], **options: Any) -> list[str]:
    """Return who answers requests, each a path and headers."""
    gateway = Gateway(**options)
    gateway.forward("/shop/{rest=**}", made)
    with TestClient(gateway) as client:
        return [client.get(f"/shop/{path}", headers=headers).text for path, headers in asked]


def test_weights() -> None:
    """Of a hundred requests each version has exactly its share."""
    made = split(95)
    got = answers(made, *100 * [("a", {})])

    assert (got.count("v1"), got.count("v2")) == (95, 5)
    assert made.counts == {"v1": 95, "v2": 5}


def test_matches() -> None:
    """Headers, query, path and cookies decide, with no policy at the door."""
    made = split(
        matches=[
            VersionMatch("v2", [Condition(header="x-a", exact="b"), Condition(method="GET")]),
            VersionMatch("v2", [Condition(query="beta", exact="1")]),
            VersionMatch("v2", [Condition(path="/shop/new/**")]),
            VersionMatch("v2", [Condition(cookie="beta", exact="1")]),
        ]
    )

    assert answers(
        made,
        *(("a", {}), ("a", {"X-A": "b"}), ("a?beta=1", {}), ("new/x", {})),
        *(("a", {"cookie": "a=b; beta=1"}), ("a?beta=2", {"x-a": "c", "cookie": "beta=2"})),
    ) == ["v1", "v2", "v2", "v2", "v2", "v1"]


def test_claims() -> None:
    """A verified claim decides, and what a policy says in a header; the client's word does not."""
    by_header = split(matches=[VersionMatch("v2", [Condition(header="x-tenant-id", exact="a")])])
    by_claim = split(matches=[VersionMatch("v2", [Condition(claim="tenant", exact="a")])])
    asked = [
        ("x", {"x-known": "a"}),
        ("x", {"x-known": "b", "x-tenant-id": "a"}),
        ("x", {"x-tenant-id": "a"}),
        ("x", {"x_tenant_id": "a"}),
    ]

    for made in (by_header, by_claim):
        assert answers(made, *asked, policies=[Tenants()]) == ["v2", "v1", "v1", "v1"]


def test_stripped() -> None:
    """A header that only trusted peers may send decides nothing for others."""
    made = split(matches=[VersionMatch("v2", [Condition(header="x-internal", exact="true")])])

    assert answers(made, ("a", {"x-internal": "true"})) == ["v1"]


def test_sticky() -> None:
    """Requests of one cookie go to one version."""
    made = split(50, sticky=Sticky(cookie="id"))
    got = answers(made, *[(str(n), {"cookie": f"id={n % 20}"}) for n in range(60)])

    assert got[:20] == got[20:40] == got[40:]
    assert set(got) == {"v1", "v2"}


def test_held() -> None:
    """The versions are looked after, measured and closed together, each once."""
    down, up = Says("v1", "it is down"), Says("v2")
    made = ForwardSplit(
        [ForwardVersion("v1", down, 50), ForwardVersion("v2", up, 50), ForwardVersion("v3", down)],
        name="/shop/**",
    )
    gateway = Gateway()
    gateway.forward("/shop/{rest=**}", made)
    with TestClient(gateway) as client:
        assert client.get("/readyz").status_code == 200
        client.get("/shop/a")
    assert (down.closed, up.closed) == (1, 1)
    assert isinstance(made, Measured)
    assert [(each.value, each.labels) for each in made.readings() if isinstance(each, Reading)] == [
        (1, {"upstream": "/shop/**", "version": "v1"}),
        (0, {"upstream": "/shop/**", "version": "v2"}),
        (0, {"upstream": "/shop/**", "version": "v3"}),
    ]


def test_no_socket() -> None:
    """A WebSocket is refused where the version that it gets takes none."""

    async def nothing(*_: Any) -> Any:
        raise AssertionError

    made = split()
    made.read_by(lambda _: Gateway()._calls.asked({"headers": []}))
    asked: Any = made.forward_socket(Match(None, ()), {}, nothing, nothing)  # type: ignore[arg-type]
    with pytest.raises(StatusError, match="takes no WebSockets"):
        asked.send(None)


def test_wrong() -> None:
    """What is wrong is told as for methods."""
    with pytest.raises(ConfigError, match="split: the weights make up 90: 100 is expected"):
        ForwardSplit([ForwardVersion("v1", Says("v1"), 90)])
    with pytest.raises(ConfigError, match="split: b: weight 0: a whole number from 1 to 100 is "):
        ForwardSplit([ForwardVersion("a", Says("a"), 100), ForwardVersion("b", Says("b"), 0)])
    with pytest.raises(ConfigError, match="split: versions: a, a: each needs a name of its own"):
        ForwardSplit([ForwardVersion("a", Says("v1"), 50), ForwardVersion("a", Says("v1"), 50)])
