from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from filed import GOOD, USERS, built
from tokens import jwks, rsa
from transcoder.config import build, read_models
from transcoder.errors import ConfigError
from transcoder.forward_split import ForwardSplit
from transcoder.forwarding import Forwarding
from transcoder.http_upstream import HttpUpstream


def test_routes() -> None:
    """A path is passed on to an upstream with a URL; services need not stand beside it."""
    upstreams = {
        "old": {
            "url": "https://localhost:1/base",
            "tls": {"server_name": "old.internal"},
            "host": "keep",
            "timeout": 2.5,
            "breaker": {"consecutive": 2, "by": "method"},
        }
    }
    routes = [
        {"path": "/old/**", "methods": ["GET", "POST"], "upstream": "old", "strip_prefix": "/old"},
        {"path": "/older", "upstream": "old"},
    ]
    config, found = read_models(json.dumps({"upstreams": upstreams, "routes": routes}), "g.yaml")
    assert found == []
    assert config is not None
    gateway = build(config).gateway
    passed = [
        (route.method, route.template.text, route.endpoint)
        for route in gateway.transcoder.routes
        if isinstance(route.endpoint, Forwarding)
    ]

    assert gateway.services == ()
    assert [(method, template) for method, template, _ in passed] == [
        ("GET", "/old/**"),
        ("POST", "/old/**"),
        ("*", "/older"),
    ]
    assert {endpoint.to for *_, endpoint in passed} == {passed[0][2].to}
    assert isinstance(passed[0][2].to, HttpUpstream)
    assert passed[0][2].to.name == "old"
    assert [endpoint.strip_prefix for *_, endpoint in passed] == ["/old", "/old", ""]


def test_versions_of_a_route() -> None:
    """A path may be passed on to one of several backends that speak HTTP."""
    upstreams = {name: {"url": f"http://localhost:{port}"} for name, port in (("a", 1), ("b", 2))}
    versions = [
        {"name": "v1", "upstream": "a", "weight": 90},
        {"name": "v2", "upstream": "b", "weight": 10},
    ]
    matches = [{"header": "x-try", "exact": "new", "to": "v2"}]
    route = {"path": "/old/**", "versions": versions, "matches": matches, "sticky": {"cookie": "g"}}
    config, found = read_models(json.dumps({"upstreams": upstreams, "routes": [route]}), "g.yaml")
    assert found == []
    assert config is not None
    (split,) = {
        each.endpoint.to
        for each in build(config).gateway.transcoder.routes
        if isinstance(each.endpoint, Forwarding)
    }

    assert isinstance(split, ForwardSplit)
    assert split.counts == {"v1": 0, "v2": 0}


def test_policies(tmp_path: Path) -> None:
    """Each policy and observer that the file names stands before calls."""
    (tmp_path / "keys.json").write_text(json.dumps(jwks(rsa())))
    (tmp_path / "api-keys.json").write_text("{}")
    everybody = {"services.user.*": {"scopes": ["read"], "claims": {"tenant": ["a", "b"]}}}
    made = built(
        tmp_path,
        policies={
            "request_id": {},
            "internal": {},
            "ip_filter": {"deny": ["10.0.0.0/8"]},
            "concurrency": {"limit": 5},
            "rate_limits": [
                {"rate": "1000/second"},
                {"rate": "5/second", "by": ["principal"], "name": "each"},
                {"rate": "9/second", "name": "shared", "shared": {"url": "redis://localhost:1"}},
            ],
            "cors": {"origins": ["https://app.example"]},
            "jwt": {
                "issuers": [
                    {"name": "https://a.example", "audiences": ["api"], "keys": "keys.json"},
                    {"name": "https://b.example", "audiences": None, "published": {"refresh": 60}},
                ],
                "require": everybody,
                "forward": {"sub": "x-user-id"},
            },
            "mutual_tls": {"allow": ["edge.example"]},
            "authorization": {"allow": {"services.user.*": {"roles": ["admin"]}}},
            "compression": {"level": 1},
            "security_headers": {},
        },
        observers={
            "access_log": {"path": "access.log"},
            "audit_log": {"path": "audit.log"},
            "metrics": {},
            "traces": {},
        },
        public=["services.user.v1.UserService.GetUser"],
    )
    names = [policy.name for policy in made.gateway.chain.policies]

    assert sorted(names) == sorted(
        [
            *("request-id", "internal", "ip-filter", "concurrency", "rate-limit", "each", "shared"),
            *("cors", "jwt", "mutual-tls", "authorization", "compression", "security-headers"),
        ]
    )
    assert len(made.gateway.chain.observers) == 3
    made.gateway.compile()


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ({"upstreams": {"a": {"target": "b:1", "tls": {"ca": "none.pem"}}}}, "upstreams.a: "),
        (
            {"upstreams": {"a": {"target": "b:1", "breaker": {"ratio": 2.0}}}},
            "upstreams.a: breaker: numbers above 0",
        ),
        (
            {"services": [{"module": "no_such_pb2", "upstream": "a"}]},
            "services[0]: no module is named no_such_pb2",
        ),
        (
            {"services": [{**GOOD["services"][0], "names": ["services.user.v1.Users"]}]},
            "services[0]: names[0]: no service is named services.user.v1.Users; did you mean",
        ),
        ({"services": [{"image": "none.binpb", "upstream": "a"}]}, "none.binpb: No such file"),
        ({"policies": {"rate_limits": [{"rate": "often"}]}}, "policies.rate_limits[0]: "),
        ({"policies": {"ip_filter": {"deny": ["10.0.0.0/33"]}}}, "policies.ip_filter: "),
        ({"observers": {"access_log": {"headers": ["cookie"]}}}, "observers.access_log: "),
        ({"rules": "none.yaml"}, "none.yaml: No such file"),
        ({"services": GOOD["services"] * 2}, f"{USERS} is registered twice"),
    ],
)
def test_wrong(told: dict[str, Any], problem: str) -> None:
    """What cannot be made is told with the key that it is of."""
    with pytest.raises(ConfigError) as raised:
        built(Path("/nowhere"), **told)

    assert problem in str(raised.value)
    assert "\n" not in str(raised.value)
