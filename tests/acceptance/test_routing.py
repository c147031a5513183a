"""Which backend answers: by host, path, method, header, query, claim and weight."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import grpc
import pytest

if TYPE_CHECKING:
    from tests.acceptance.conftest import Plane

USER, ITEM = "/v1/users/7", "/v1/items/7"
INVENTORY = "a.inventory.example.com"
PLAIN = 100
"""Calls that nothing decides but weights, of which each version has its share exactly."""


def test_host(plane: Plane) -> None:
    """Each service is at its own host alone, or at all below one."""
    assert plane.rest(USER)[0] == 200
    assert plane.rest(ITEM, host=INVENTORY)[0] == 200
    assert plane.rest(ITEM, host="b.c.inventory.example.com")[0] == 200
    assert plane.rest(USER, host=INVENTORY)[0] == 404
    assert plane.rest(ITEM)[0] == 404


@pytest.mark.parametrize("host", ["USERS.example.com", "users.example.com:8080"])
def test_same_host(plane: Plane, host: str) -> None:
    """A host has no case, and the client's word for the port does not count."""
    assert plane.rest(USER, host=host)[0] == 200


@pytest.mark.parametrize("host", ["evil.example.com", "inventory.example.com", "example.com"])
def test_wrong_host(plane: Plane, host: str) -> None:
    """At a host that is not served nothing answers."""
    assert plane.rest(USER, host=host)[0] in {404, 421}


def test_path(plane: Plane) -> None:
    """A path that no route has is not found, and one of them has a version of its own."""
    assert plane.rest("/v2/users/7")[0] == 404
    assert {plane.served_by("/v1/users/canary") for _ in range(5)} == {"v2"}


def test_method(plane: Plane) -> None:
    """A path answers under its own methods, and one of them decides together with a header."""
    assert plane.rest(USER, method="PUT")[0] in {404, 405, 501}
    beta = ("x-beta", "1")
    assert {plane.served_by(USER, beta, method="PATCH") for _ in range(3)} == {"v2"}
    sticking = ("x-user-id", _of(plane, "v1"))
    assert plane.served_by(USER, beta, sticking) == "v1"
    assert plane.served_by(USER, sticking, method="PATCH") == "v1"


@pytest.mark.parametrize(
    ("headers", "version"),
    [
        ([("x-experiment-group", "new")], "v2"),
        ([("X-EXPERIMENT-GROUP", "new")], "v2"),
        ([("x-experiment-group", "New")], "v1"),
        ([("x-experiment-group", "newer")], "v1"),
        ([("user-agent", "Canary/3 (x)")], "v2"),
        ([("user-agent", "a Canary/3")], "v1"),
    ],
)
def test_header(plane: Plane, headers: list[tuple[str, str]], version: str) -> None:
    """A header decides by its whole value or its beginning."""
    sticking = ("x-user-id", _of(plane, "v1"))
    assert plane.served_by(USER, *headers, sticking) == version


def test_query(plane: Plane) -> None:
    """A parameter of the query decides."""
    sticking = ("x-user-id", _of(plane, "v1"))
    assert plane.served_by(f"{USER}?prettyPrint=true", sticking) == "v2"
    assert plane.served_by(f"{USER}?prettyPrint=false", sticking) == "v1"


def test_claim(plane: Plane) -> None:
    """The caller's tenant decides, whatever else the request says."""
    told = ("x-experiment-group", "new"), ("x-tenant-id", "other")
    for headers in ((), told):
        status, user = plane.rest(USER, *headers, token=plane.acme)
        assert (status, user["name"], user["email"]) == (200, "acme", "acme")
        answered = plane.called(*headers, token=plane.acme)
        assert (answered.name, answered.email) == ("acme", "acme")


@pytest.mark.parametrize("name", ["x-tenant-id", "X-Tenant-ID", "x_tenant_id"])
def test_forged_tenant(plane: Plane, name: str) -> None:
    """A client's word for its tenant decides nothing, and reaches no backend."""
    status, user = plane.rest(USER, (name, "acme"))
    assert (status, user["email"]) == (200, "other")
    assert user["name"] in {"v1", "v2"}
    answered = plane.called((name.lower(), "acme"))
    assert answered.email == "other"
    assert answered.name in {"v1", "v2"}


def test_no_token(plane: Plane) -> None:
    """Who does not say who calls is refused, on both ports, whatever the host."""
    assert plane.rest(USER, token="bad")[0] == 401
    with pytest.raises(grpc.RpcError) as raised:
        plane.called(token="bad")
    error: Any = raised.value
    assert error.code() is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.parametrize(
    ("path", "host", "shares"),
    [(USER, "users.example.com", (95, 5)), (ITEM, INVENTORY, (50, 50))],
)
def test_weights(plane: Plane, path: str, host: str, shares: tuple[int, int]) -> None:
    """Of a hundred calls that nothing else decides, each version has exactly its share."""
    got = Counter(plane.served_by(path, host=host) for _ in range(PLAIN))

    assert (got["v1"], got["v2"]) == shares


def test_sticky(plane: Plane) -> None:
    """Calls of one value go to one version, over REST and over gRPC; others elsewhere do too."""
    for number in range(8):
        sticking = ("x-user-id", f"user-{number}")
        first = plane.served_by(USER, sticking)
        assert {plane.served_by(USER, sticking) for _ in range(3)} == {first}
        assert plane.called(sticking).name == first


def test_metadata(plane: Plane) -> None:
    """Over gRPC metadata decide as headers do."""
    sticking = ("x-user-id", _of(plane, "v1"))
    assert plane.called(sticking).name == "v1"
    assert plane.called(sticking, ("x-experiment-group", "new")).name == "v2"
    assert plane.called(sticking, ("x-experiment-group", "old")).name == "v1"
    assert plane.called(sticking, ("agent", "Canary/3")).name == "v2"


def _of(plane: Plane, version: str) -> str:
    """Return a value by which calls stick to a version."""
    for number in range(500):
        if plane.served_by(USER, ("x-user-id", f"user-{number}")) == version:
            return f"user-{number}"
    raise AssertionError(f"none of many sticks to {version}")
