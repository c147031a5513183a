"""Where a request goes, by the files of gateways alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trustme

from tokens import ISSUER, jwks, rsa
from transcoder.config import build, read_models
from transcoder.config.hops import Described, Hop, Request, hops
from transcoder.errors import ConfigError

URL = "https://api.example:8443/v1/users/7"
USERS = "services.user.v1.user_service_pb2"
EDGE: dict[str, Any] = {
    "listen": {"http": ":8443", "grpc": ":50443"},
    "upstreams": {"inner": {"target": "inner.example:50444", "tls": {}}},
    "services": [{"module": USERS, "upstream": "inner"}],
    "policies": {
        "request_id": {},
        "internal": {},
        "rate_limits": [{"rate": "1000/second", "by": "all"}],
        "jwt": {
            "issuers": [{"name": ISSUER, "audiences": ["api"], "keys": "keys.json"}],
            "forward": {"tenant": "x-tenant-id"},
        },
    },
}
VERSIONS = {
    "versions": [
        {"name": "v1", "upstream": "one", "weight": 95},
        {"name": "v2", "upstream": "two", "weight": 5},
    ],
    "matches": [
        {"header": "X-Tenant-ID", "exact": "acme", "to": "v2"},
        {"header": "user-agent", "prefix": "Phone/", "to": "v2"},
    ],
    "sticky": "x-user-id",
}
INNER: dict[str, Any] = {
    "listen": {"http": ":8444", "grpc": ":50444"},
    "trusted_peers": ["edge"],
    "upstreams": {"one": {"target": "users-1:50061"}, "two": {"target": "users-2:50061"}},
    "services": [{"module": USERS, **VERSIONS}],
}


def asked(
    folder: Path, *files: dict[str, Any], url: str = URL, verb: str = "GET", **more: Any
) -> list[Hop]:
    """Return the hops of a request through gateways that are described so."""
    (folder / "keys.json").write_text(json.dumps(jwks(rsa())))
    described = []
    for index, file in enumerate(files):
        config, found = read_models(json.dumps(file), "g.yaml")
        assert config is not None, found
        described.append(Described(f"{index}.yaml", config, build(config, folder)))
    return hops(described, Request(verb, url, **more))


def told(hop: Hop, name: str) -> list[str]:
    """Return what is told of a hop under a name."""
    return [text for each, text in hop.told if each == name]


@pytest.mark.parametrize(
    ("url", "listener", "refused"),
    [
        ("https://api.example:9443/v1/users/7", ":9443", ""),
        ("https://other.example:9443/v1/users/7", ":9443", "421 NOT_FOUND"),
        ("https://other.example:9443/livez", ":9443", "this gateway answers it itself"),
        ("https://other.example:8443/v1/users/7", ":8443", ""),
    ],
)
def test_several_ports(tmp_path: Path, url: str, listener: str, refused: str) -> None:
    """A request comes to the port of its URL, which answers its own hosts."""
    file = {**EDGE, "listeners": [{"http": ":9443", "hosts": ["api.example"]}]}
    (hop,) = asked(tmp_path, file, url=url)

    assert hop.listener == f"HTTP on {listener}"
    assert hop.refused.partition(":")[0] == refused


def test_two_gateways(tmp_path: Path) -> None:
    """A request is followed into the gateway whose gRPC port is the target of the upstream."""
    edge, inner = asked(tmp_path, EDGE, INNER)

    assert (edge.name, edge.listener) == ("0.yaml", "HTTP on :8443")
    assert dict(edge.told) == {
        "host": "api.example:8443",
        "route": "GET /v1/users/{id}",
        "method": "services.user.v1.UserService.GetUser",
        "policies": "request-id",
        "": "internal",
        "upstream": "inner: gRPC to inner.example:50444, TLS",
    }
    assert (inner.name, inner.listener) == ("1.yaml", "gRPC on :50444")
    assert told(inner, "upstream") == ["one: gRPC to users-1:50061, in the clear"]
    assert not inner.refused


PASSING: dict[str, Any] = {
    **EDGE,
    "role": "edge",
    "upstreams": {
        "inner": {
            "url": "https://inner.example:8444/base",
            "tls": {"certificate": "edge.pem", "key": "edge.key"},
        },
        "other": {"url": "http://other.example"},
    },
    "services": [],
    "routes": [
        {
            "path": "/shop/**",
            "hosts": ["api.example"],
            "strip_prefix": "/shop",
            "upstream": "inner",
        },
        {"path": "/shop/**", "methods": ["PUT"], "hosts": ["b.example"], "upstream": "other"},
    ],
}
BEHIND: dict[str, Any] = {
    **INNER,
    "role": "internal",
    "services": [],
    "upstreams": {"one": {"url": "http://users-1"}, "two": {"url": "http://users-2"}},
    "routes": [{"path": "/base/**", **VERSIONS}],
}


@pytest.fixture
def keys(tmp_path: Path) -> None:
    """The certificate of the edge and its key are there."""
    leaf = trustme.CA().issue_cert("edge")
    leaf.cert_chain_pems[0].write_to_path(tmp_path / "edge.pem")
    leaf.private_key_pem.write_to_path(tmp_path / "edge.key")


@pytest.mark.usefixtures("keys")
def test_over_http(tmp_path: Path) -> None:
    """A request that is passed on is followed into the gateway whose HTTP port the URL has."""
    asking: dict[str, Any] = {
        "url": "https://api.example/shop/v1/users?a=b",
        "headers": {"User-Agent": "Phone/1"},
    }
    edge, inner = asked(tmp_path, PASSING, BEHIND, **asking)

    assert told(edge, "route") == ["* /shop/**"]
    assert told(edge, "upstream") == ["inner: HTTP to https://inner.example:8444/base, mTLS"]
    assert (inner.name, inner.listener) == ("1.yaml", "HTTP on :8444")
    assert dict(inner.told) == {
        "host": "inner.example:8444",
        "route": "* /base/**",
        "version": "v2: user-agent begins with Phone/",
        "upstream": "two: HTTP to http://users-2, in the clear",
    }


@pytest.mark.usefixtures("keys")
def test_transcoded_behind(tmp_path: Path) -> None:
    """A request that is passed on may be transcoded by the gateway behind."""
    edge = {**PASSING, "upstreams": {**PASSING["upstreams"], "inner": {"url": "http://a:8444"}}}
    _, inner = asked(tmp_path, edge, INNER, url="https://api.example/shop/v1/users/7")

    assert told(inner, "method") == ["services.user.v1.UserService.GetUser"]
    assert told(inner, "upstream") == ["one: gRPC to users-1:50061, in the clear"]


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("verb", "url", "upstream"),
    [
        ("PUT", "https://b.example/shop/a", ["other: HTTP to http://other.example, in the clear"]),
        (
            "PUT",
            "https://api.example/shop/a",
            ["inner: HTTP to https://inner.example:8444/base, mTLS"],
        ),
        ("GET", "https://b.example/shop/a", []),
    ],
)
def test_route_of(verb: str, url: str, upstream: list[str], tmp_path: Path) -> None:
    """Of two routes with one path the host and the method decide."""
    edge, *_ = asked(tmp_path, PASSING, url=url, verb=verb)

    assert told(edge, "upstream") == upstream


@pytest.mark.usefixtures("keys")
def test_dots(tmp_path: Path) -> None:
    """A path that a backend could take for another one goes no further."""
    (edge,) = asked(tmp_path, PASSING, BEHIND, url="https://api.example/shop/..%2f..%2fadmin")

    assert edge.refused == "400 INVALID_ARGUMENT: the path holds a dot segment"


@pytest.mark.usefixtures("keys")
def test_policies_of_a_path(tmp_path: Path) -> None:
    """What stands in the place of a policy for some paths is told there."""
    limit = {"rate_limits": {"rate-limit": {"rate": "5/second", "by": "all"}}}
    url = "https://api.example/shop/a"
    (edge,) = asked(tmp_path, {**PASSING, "overrides": {"/shop/**": limit}}, url=url)

    assert "rate-limit: 5 calls in 1 s and 1 at once, by all" in [text for _, text in edge.told]


def test_policies_in_order(tmp_path: Path) -> None:
    """Policies are told in the order in which calls meet them, with what they limit."""
    (edge,) = asked(tmp_path, EDGE)
    names = [text for name, text in edge.told if name in {"policies", ""}]

    assert names == [
        "request-id",
        "rate-limit: 1000 calls in 1 s and 100 at once, by all",
        "jwt",
        "internal",
    ]


def test_public(tmp_path: Path) -> None:
    """What is public meets no policy that asks who calls."""
    (edge,) = asked(tmp_path, {**EDGE, "public": ["services.user.v1.UserService.GetUser"]})

    assert "jwt" not in [text for _, text in edge.told]


@pytest.mark.parametrize(
    ("more", "version"),
    [
        ({}, "by weight of 100: v1 95, v2 5; followed here: v1"),
        ({"claims": {"tenant": "acme"}}, "v2: X-Tenant-ID is acme"),
        # What a policy says, no client says.
        ({"headers": {"X-Tenant-ID": "acme"}}, "by weight of 100: v1 95, v2 5; followed here: v1"),
        # gRPC has a User-Agent of its own, which does not pass.
        (
            {"headers": {"User-Agent": "Phone/1"}},
            "by weight of 100: v1 95, v2 5; followed here: v1",
        ),
        (
            {"headers": {"X-User-ID": "7"}},
            "v1: by x-user-id 7",
        ),
    ],
)
def test_versions(more: dict[str, Any], version: str, tmp_path: Path) -> None:
    """A version is chosen by what the gateway before it passes on."""
    _, inner = asked(tmp_path, EDGE, INNER, **more)

    assert told(inner, "version") == [version]


def test_prefix(tmp_path: Path) -> None:
    """A client that reaches the gateway by itself is seen with its own headers."""
    direct = {**INNER, "listen": EDGE["listen"]}
    (inner,) = asked(tmp_path, direct, headers={"User-Agent": "Phone/1"})

    assert told(inner, "version") == ["v2: user-agent begins with Phone/"]


@pytest.mark.parametrize(
    ("url", "verb", "why"),
    [
        ("https://api.example/v1/none", "GET", "404 NOT_FOUND: no route matches this path"),
        (URL, "PUT", "405 UNIMPLEMENTED"),
        ("https://api.example/healthz", "GET", "this gateway answers it itself"),
        (f"{URL}?nam=a", "GET", "400 INVALID_ARGUMENT: nam: no such field"),
    ],
)
def test_refused(url: str, verb: str, why: str, tmp_path: Path) -> None:
    """A request that nothing behind the gateway answers ends there."""
    (edge,) = asked(tmp_path, EDGE, INNER, url=url, verb=verb)

    assert edge.refused.startswith(why)


def test_wrong_host(tmp_path: Path) -> None:
    """At a host that is not served a request goes no further."""
    listen = {**EDGE["listen"], "hosts": ["users.example"]}
    (edge,) = asked(tmp_path, {**EDGE, "listen": listen})

    assert edge.refused == ("421 NOT_FOUND: the host that the request asks for is not served here")


def test_internal_method(tmp_path: Path) -> None:
    """Why an edge does not serve a method is told."""
    name = "services.user.v1.UserService.GetUser"
    (edge,) = asked(tmp_path, {**EDGE, "role": "edge", "internal": ["services.user.v1.*"]})

    assert edge.refused == (
        f"404 NOT_FOUND: no route matches this path; {name}: the path fits, but the method is "
        "internal: an edge gateway does not serve it"
    )


def test_internal_gateway(tmp_path: Path) -> None:
    """What the edge says of a call is kept behind it, and what it has asked is not asked again."""
    behind = {**INNER, "role": "internal", "policies": EDGE["policies"] | {"internal": None}}
    edge = {**EDGE, "role": "edge"}
    claims = {"tenant": "acme"}
    _, inner = asked(tmp_path, edge, behind, claims=claims, headers={"X-Tenant-ID": "other"})

    assert told(inner, "version") == ["v2: X-Tenant-ID is acme"]
    assert [text for name, text in inner.told if name in {"policies", ""}] == ["request-id"]


def test_conditions(tmp_path: Path) -> None:
    """A claim, a method and a query decide as they do when a call is served."""
    matches = [
        {"claim": "tenant", "exact": "acme", "to": "v2"},
        {"all": [{"method": "GET"}, {"query": "fields", "prefix": "na"}], "to": "v2"},
    ]
    service = {"module": USERS, **VERSIONS, "matches": matches}
    direct = {**INNER, "listen": EDGE["listen"], "services": [service]}
    (by_claim,) = asked(tmp_path, direct, claims={"tenant": "acme"})
    (by_query,) = asked(tmp_path, direct, url=f"{URL}?fields=name")

    assert told(by_claim, "version") == ["v2: claim tenant is acme"]
    assert told(by_query, "version") == ["v2: method GET and query fields begins with na"]


def test_missing_behind(tmp_path: Path) -> None:
    """A call that the gateway behind the first one does not know ends at it."""
    other = {**INNER, "services": [{"module": "services.order.v1.order_service_pb2", **VERSIONS}]}
    _, inner = asked(tmp_path, EDGE, other)

    assert inner.refused == "no such method here"


def test_circle(tmp_path: Path) -> None:
    """Gateways that pass calls on to each other are told once each."""
    back = {**INNER, "upstreams": {"one": {"target": "edge:50443"}, "two": {"target": "b:1"}}}

    assert [hop.name for hop in asked(tmp_path, EDGE, back)] == ["0.yaml", "1.yaml"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("/v1/users/7", "/v1/users/7: a URL with a host is expected, as https://api.example/v1"),
        ("http://localhost:99999/v1", "http://localhost:99999/v1 is no URL: Port out of range"),
        ("http://localhost:abc/", "http://localhost:abc/ is no URL: Port could not be cast"),
        ("http://[::1/v1", "http://[::1/v1 is no URL: Invalid IPv6 URL"),
        ("ftp://localhost/v1", "ftp://localhost/v1: http or https is expected, and not 'ftp'"),
        ("https://a:1234/v1", "https://a:1234/v1: no listener at port 1234: there are 8443, 9443"),
        ("https://a:80/v1", "https://a:80/v1: no listener at port 80: there are 8443, 9443"),
        ("https://a:0/v1", "https://a:0/v1: no listener at port 0: there are 8443, 9443"),
    ],
)
def test_wrong_url(url: str, why: str, tmp_path: Path) -> None:
    """A URL that no client can ask the gateway by is told in one line."""
    with pytest.raises(ConfigError) as raised:
        asked(tmp_path, {**EDGE, "listeners": [{"http": ":9443"}]}, url=url)

    assert str(raised.value).startswith(why)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("listener", "url"),
    [
        (":8443", "https://api.example/v1/users/7"),  # of a load balancer
        (":8443", "https://api.example:443/v1/users/7"),  # the same
        ("unix:/run/edge.sock", "https://api.example:8443/v1/users/7"),  # of whoever has it
        (":0", "https://api.example:8443/v1/users/7"),  # it may be that
    ],
)
def test_other_port(listener: str, url: str, tmp_path: Path) -> None:
    """A gateway may be asked at a port that is not its listener's, where that may be before it."""
    (hop,) = asked(tmp_path, {**EDGE, "listen": {"http": listener}}, url=url)

    assert (hop.listener, hop.refused) == (f"HTTP on {listener}", "")
