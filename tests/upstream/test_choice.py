from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import pytest

from transcoder import ConfigError
from transcoder.call_details import CallDetails, Principal
from transcoder.metadata import Metadatum
from transcoder.upstream.choice import Choice, Condition, Sticky, VersionMatch

METHOD = "/shop.v1.Orders/Get"


@dataclass
class Asked:
    """A call that says what a test wants."""

    metadata: tuple[Metadatum, ...] = ()
    details: CallDetails | None = None
    method: str = METHOD
    claims: dict[str, Any] = field(default_factory=dict)


def over_http(
    path: str = "/v1/orders/7", method: str = "GET", query: bytes = b"", **headers: str
) -> Asked:
    """Return a REST call; its headers are its metadata too."""
    pairs = [(name.replace("_", "-"), value) for name, value in headers.items()]
    raw = [(name.encode(), value.encode()) for name, value in pairs]
    details = CallDetails("http", http_method=method, path=path, headers=raw)
    details.query = query
    return Asked(tuple(Metadatum(*pair) for pair in pairs), details)


def known(call: Asked, **claims: Any) -> Asked:
    """Return a call whose caller is known, with these claims."""
    assert call.details is not None
    call.details.principal = Principal(subject="ann", scheme="jwt", claims=claims)
    return call


def fits(call: Asked, *conditions: Condition) -> bool:
    """Say whether a call fits all of some conditions."""
    choice = Choice({"v1": 100, "v2": None}, [VersionMatch("v2", conditions)])
    return choice(call) == "v2"


TENANT = Condition(claim="tenant", exact="acme")
EITHER = Condition(header="X-Tenant-ID", claim="tenant", exact="acme")


@pytest.mark.parametrize(
    ("call", "condition", "does"),
    [
        (over_http(x_a="b"), Condition(header="X-A", exact="b"), True),
        (over_http(x_a="bc"), Condition(header="x-a", exact="b"), False),
        (over_http(x_a="bc"), Condition(header="x-a", prefix="b"), True),
        (over_http(x_a=""), Condition(header="x-a", exact=""), True),
        (over_http(), Condition(header="x-a", exact=""), False),
        (over_http(), Condition(header="x-a", prefix=""), False),  # there must be one
        (over_http(x_a="b"), Condition(header="x-a", prefix=""), True),
        (over_http(query=b"a=1&a=2"), Condition(query="a", exact="2"), True),
        (over_http(query=b"A=2"), Condition(query="a", exact="2"), False),
        (over_http(query=b"a=%32"), Condition(query="a", exact="2"), True),
        (over_http(query=b"a=%zz"), Condition(query="a", exact="2"), False),
        (over_http(query=b"a"), Condition(query="a", exact=""), True),
        (over_http(cookie="g=1; h=2"), Condition(cookie="h", exact="2"), True),
        (over_http(cookie="xh=2;h =2"), Condition(cookie="h", exact="2"), False),
        (over_http(cookie=";=;h=a=b"), Condition(cookie="h", exact="a=b"), True),
        (over_http(method="POST"), Condition(method="POST"), True),
        (over_http(method="post"), Condition(method="POST"), False),
        (over_http("/v1/orders/7"), Condition(path="/v1/orders/*"), True),
        (over_http("/v1/orders/7/items"), Condition(path="/v1/orders/*"), False),
        (over_http("/v1/orders/7/items"), Condition(path="/v1/orders/**"), True),
        (over_http("/v1/ordersx"), Condition(path="/v1/orders/**"), False),
        (over_http("/v1/%6frders/7"), Condition(path="/v1/orders/*"), True),
        (over_http("no path"), Condition(path="/**"), False),
        (known(over_http(), tenant="acme"), TENANT, True),
        (known(over_http(), tenant=["x", "acme"]), TENANT, True),
        (known(over_http(), tenant={"acme": 1}), TENANT, False),
        (known(over_http()), TENANT, False),
        (over_http(tenant="acme"), TENANT, False),  # a header is no claim
        (known(over_http(), level=3), Condition(claim="level", exact="3"), True),
        (known(over_http(), beta=True), Condition(claim="beta", exact="true"), True),
        # Beside a claim, the client's word is only taken where there is none.
        (over_http(x_tenant_id="acme"), EITHER, True),
        (known(over_http(x_tenant_id="acme")), EITHER, True),
        (known(over_http(x_tenant_id="acme"), tenant="other"), EITHER, False),
        (known(over_http(x_tenant_id="acme"), tenant={}), EITHER, False),
        (known(over_http(x_tenant_id="other"), tenant="acme"), EITHER, True),
        # Over gRPC, where nothing stands at the door
        (Asked((Metadatum("x-a", "b"),)), Condition(header="x-a", exact="b"), True),
        (Asked((Metadatum("x-a-bin", b"b"),)), Condition(header="x-a-bin", exact="b"), False),
        (Asked(), Condition(path="/shop.v1.Orders/*"), True),
        (Asked(), Condition(path="/shop.v1.Users/*"), False),
        (Asked(), Condition(method="POST"), True),
        (Asked(), Condition(query="a", prefix=""), False),
        (Asked((Metadatum("cookie", "h=2"),)), Condition(cookie="h", exact="2"), False),
        (Asked(), TENANT, False),
    ],
)
def test_condition(call: Asked, condition: Condition, *, does: bool) -> None:
    """A condition fits what it says, and nothing near it."""
    assert fits(call, condition) is does


def test_no_cookies_over_grpc() -> None:
    """Metadata of gRPC are no cookies, whatever they are called."""
    details = CallDetails("grpc", path=METHOD, headers=[(b"cookie", b"h=2")])

    assert not fits(Asked(details=details), Condition(cookie="h", exact="2"))


def test_all_of() -> None:
    """A match decides where all of its conditions fit, and the first of several matches does."""
    both = [Condition(method="POST"), Condition(header="x-a", exact="b")]
    choice = Choice(
        {"v1": 100, "v2": None, "v3": None},
        [VersionMatch("v2", both), VersionMatch("v3", both[1:])],
    )

    assert choice(over_http(method="POST", x_a="b")) == "v2"
    assert choice(over_http(method="GET", x_a="b")) == "v3"
    assert choice(over_http(method="POST")) == "v1"


@pytest.mark.parametrize(
    ("sticky", "call"),
    [
        (Sticky(header="X-User"), lambda name: over_http(x_user=name)),
        (Sticky(claim="sub"), lambda name: known(over_http(), sub=name)),
        (Sticky(cookie="id"), lambda name: over_http(cookie=f"id={name}")),
        (
            Sticky(header="x-user", claim="sub"),
            lambda name: known(over_http(x_user=f"not-{name}"), sub=name),
        ),
    ],
)
def test_sticky(sticky: Sticky, call: Any) -> None:
    """Calls of one value go to one version, in the shares of the weights."""
    choice = Choice({"v1": 50, "v2": 50}, sticky=sticky)
    names = [str(number) for number in range(200)]
    first = [choice(call(name)) for name in names]

    assert [choice(call(name)) for name in names] == first
    assert 70 < first.count("v1") < 130


@pytest.mark.parametrize("weights", [(95, 5), (50, 50), (1, 99), (33, 67), (100, None)])
def test_any_window_is_exact(weights: tuple[int, int | None]) -> None:
    """Of any hundred calls in a row that nothing else decides, each version has its weight."""
    choice = Choice(dict(zip(("v1", "v2"), weights, strict=True)))
    got = [choice(Asked()) for _ in range(400)]

    for start in range(300):
        window = Counter(got[start : start + 100])
        assert (window["v1"], window["v2"] or None) == weights


def test_needs_details() -> None:
    """Whoever looks at headers and claims alone needs nothing to be noted of requests."""

    def needs(*conditions: Condition, sticky: Sticky | None = None) -> bool:
        return Choice({"v1": 100}, [VersionMatch("v1", conditions)], sticky).needs_details

    assert not needs(Condition(header="x-a", exact="b"), TENANT, sticky=Sticky(claim="sub"))
    for condition in (
        Condition(path="/a"),
        Condition(method="GET"),
        Condition(query="a", exact="b"),
        Condition(cookie="a", exact="b"),
    ):
        assert needs(TENANT, condition)
    assert needs(TENANT, sticky=Sticky(cookie="a"))


@pytest.mark.parametrize(
    ("conditions", "problem"),
    [
        ([], "a match without conditions for v1: weights decide about all calls"),
        ([Condition()], "nothing: one of header, claim, query, cookie, method, path is expected"),
        (
            [Condition(query="a", method="GET")],
            "query a method GET: one of header, claim, query, cookie, method, path is expected",
        ),
        ([Condition(query="a")], "query a: one of exact and prefix is expected"),
        ([Condition(path="/a", exact="b")], "path /a: exact and prefix are for values"),
        ([TENANT, Condition(cookie="a")], "claim tenant and cookie a: one of exact and prefix"),
    ],
)
def test_wrong(conditions: list[Condition], problem: str) -> None:
    """What can fit nothing, or anything, is told at start."""
    with pytest.raises(ConfigError) as raised:
        Choice({"v1": 100}, [VersionMatch("v1", conditions)])

    assert str(raised.value).startswith(f"split: {problem}")


def test_equal_rank() -> None:
    """Two matches that fit the same calls are refused, for only the first would ever decide."""
    other = Condition(header="x-a", exact="b")
    with pytest.raises(ConfigError, match=r"^split: x-a and claim tenant: two matches fit the "):
        Choice(
            {"v1": 50, "v2": 50},
            [VersionMatch("v1", [TENANT, other]), VersionMatch("v2", [other, TENANT])],
        )


def test_bad_sticky() -> None:
    """What calls stick by is one thing, or a claim before a header."""
    for sticky in (Sticky(), Sticky(header="a", cookie="b")):
        with pytest.raises(ConfigError, match="split: sticky: one of header, claim and cookie"):
            Choice({"v1": 100}, sticky=sticky)
