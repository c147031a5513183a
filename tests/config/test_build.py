from __future__ import annotations

import asyncio
import http.client
import json
from pathlib import Path
from typing import Any

import grpc.aio
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from backend import Users
from compiled import pool
from entrances import open_doors
from services.user.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server
from streams import POOL, SERVICE
from tokens import jwks, rsa
from transcoder import Gateway, Limited
from transcoder.config import build, read_models
from transcoder.config.build import Built, describe
from transcoder.config.models import Config
from transcoder.discovery import Dns, EndpointFile, Listed, Srv
from transcoder.errors import ConfigError
from transcoder.forward_split import ForwardSplit
from transcoder.forwarding import Forwarding
from transcoder.http_upstream import HttpUpstream
from transcoder.reflection import handlers
from transcoder.upstream.balanced import Balanced
from transcoder.upstream.channel import Channel
from transcoder.upstream.circuit_breaker import CircuitBreaker
from transcoder.upstream.split import Split

USERS = "services.user.v1.UserService"
GOOD: dict[str, Any] = {
    "upstreams": {"a": {"target": "localhost:1"}, "b": {"target": "localhost:2"}},
    "services": [{"module": "services.user.v1.user_service_pb2", "upstream": "a"}],
}


def built(folder: Path = Path(), **told: Any) -> Built:
    """Build what a file says; JSON is YAML."""
    config, found = read_models(json.dumps({**GOOD, **told}), "g.yaml")
    assert found == []
    assert isinstance(config, Config)
    return build(config, folder)


def upstream(made: Built) -> Any:
    """Return who answers the user service."""
    return made.gateway._registry.upstream_of(f"/{USERS}/GetUser")


def test_services() -> None:
    """Services of a module are routed to their upstream."""
    made = built()

    assert made.gateway.services == (USERS,)
    assert isinstance(upstream(made), Channel)
    assert upstream(made).target == "localhost:1"


def test_breaker() -> None:
    """An upstream with a breaker has one around it."""
    upstreams = {"a": {"target": "localhost:1", "breaker": {"consecutive": 2, "by": "method"}}}

    assert isinstance(upstream(built(upstreams=upstreams)), CircuitBreaker)


@pytest.mark.parametrize(
    ("said", "kind", "name"),
    [
        ({"endpoints": ["b:1", {"address": "c:2", "weight": 3}]}, Listed, "b:1, c:2"),
        ({"discovery": {"file": "e.yaml"}}, EndpointFile, "/nowhere/e.yaml"),
        ({"discovery": {"dns": "b:1", "nameserver": "127.0.0.1:53"}}, Dns, "b:1"),
        ({"discovery": {"srv": "_grpc._tcp.b", "refresh": {"minimum": 1.0}}}, Srv, "_grpc._tcp.b"),
    ],
)
def test_endpoints(said: dict[str, Any], kind: type, name: str) -> None:
    """An upstream of several endpoints balances among them, wherever it finds them."""
    options = {"balancing": "weighted", "outliers": {"consecutive": 2}, "max_message": 1000}
    found = upstream(built(Path("/nowhere"), upstreams={"a": {**said, **options}}))

    assert isinstance(found, Balanced)
    assert isinstance(found._endpoints._source, kind)
    assert found._endpoints._source.name == name


def test_endpoints_that_answer(tmp_path: Path) -> None:
    """Calls reach those endpoints, and one of them describes the service."""

    async def running() -> int:
        gateway: Any = Gateway()
        add_UserServiceServicer_to_server(Users(), gateway)
        async with open_doors(gateway) as listening:
            (tmp_path / "e.yaml").write_text(f"- {listening.grpc.target}\n")
            service = {"reflection": "a", "names": [USERS], "upstream": "a"}
            upstreams = {"a": {"discovery": {"file": "e.yaml"}}}
            made = await asyncio.to_thread(built, tmp_path, upstreams=upstreams, services=[service])
            async with open_doors(made.gateway) as front:

                def ask() -> int:
                    connection = http.client.HTTPConnection(front.http.target, timeout=30)
                    connection.request("GET", "/v1/users/7")
                    status = connection.getresponse().status
                    connection.close()
                    return status

                return await asyncio.to_thread(ask)

    assert asyncio.run(running()) == 200


def test_reflection_of_nobody(tmp_path: Path) -> None:
    """Where no endpoint is known, none can describe its services."""
    upstreams = {"a": {"discovery": {"file": "e.yaml"}}}
    service = {"reflection": "a", "upstream": "a"}
    with pytest.raises(ConfigError) as raised:
        built(tmp_path, upstreams=upstreams, services=[service])

    assert str(raised.value) == f"services[0]: {tmp_path}/e.yaml: No such file or directory"


def test_reflection_of_a_server_that_is_gone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """That it does not answer is told once, however often it is asked, and that it is back."""

    async def serving(address: str) -> tuple[grpc.aio.Server, str]:
        server = grpc.aio.server()
        server.add_generic_rpc_handlers(tuple(handlers([SERVICE.full_name], POOL).values()))
        port = server.add_insecure_port(address)
        await server.start()
        return server, f"127.0.0.1:{port}"

    async def running() -> list[int]:
        server, address = await serving("127.0.0.1:0")
        service = {"reflection": "a", "upstream": "a"}
        upstreams = {"a": {"target": address}}
        made = await asyncio.to_thread(built, tmp_path, upstreams=upstreams, services=[service])
        await server.stop(0)
        counts: list[int] = []
        for back in (False, False, True, True):
            if back and len(counts) == 2:
                server, _ = await serving(address)
            [found] = await asyncio.to_thread(describe, made, tmp_path)
            assert found is made.descriptors[0]
            counts.append(len(caplog.messages))
        await server.stop(0)
        return counts

    assert asyncio.run(running()) == [1, 1, 2, 2]
    assert caplog.messages[0].startswith("services[0]: ")
    assert caplog.messages[0].endswith("; it stays as it was")
    assert caplog.messages[1] == "services[0]: it is there again"


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


@pytest.mark.parametrize(
    "found",
    [
        {"endpoints": ["127.0.0.1:1", {"address": "127.0.0.2:1", "weight": 3}]},
        {"discovery": {"srv": "_http._tcp.shop.internal"}, "balancing": "least_request"},
        {"discovery": {"dns": "shop.internal:1"}, "outliers": {"consecutive": 2}},
        {"discovery": {"file": "shop.yaml"}},
    ],
)
def test_endpoints_of_a_url(found: dict[str, Any]) -> None:
    """A URL may be that of several endpoints, which are kept while the file says the same."""
    upstreams = {"shop": {"url": "https://shop.internal/base", **found}}
    routes = [{"path": "/shop/**", "upstream": "shop"}]
    config, wrong = read_models(json.dumps({"upstreams": upstreams, "routes": routes}), "g.yaml")
    assert wrong == []
    assert config is not None
    built = build(config)
    following = build(config, before=built)
    (one,), (other,) = (
        [
            each.endpoint.to
            for each in made.gateway.transcoder.routes
            if isinstance(each.endpoint, Forwarding)
        ]
        for made in (built, following)
    )

    assert isinstance(one, HttpUpstream)
    assert one is other
    assert "transcoder_endpoints" in {each.metric.name for each in one.readings()}


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


def test_versions() -> None:
    """A service of several versions is split."""
    versions = [
        {"name": "v1", "upstream": "a", "weight": 95},
        {"name": "v2", "upstream": "b", "weight": 5},
    ]
    service = {
        "module": "services.user.v1.user_service_pb2",
        "versions": versions,
        "matches": [{"header": "x-a", "exact": "b", "to": "v2"}],
        "sticky": "x-user-id",
    }
    found = upstream(built(services=[service]))

    assert isinstance(found, Split)
    assert found.counts == {"v1": 0, "v2": 0}


def test_several_sources(tmp_path: Path) -> None:
    """Services of several sources are in one pool, so that reflection and Any know all of them."""
    files = FileDescriptorSet()
    protos = pool()
    service = protos.FindServiceByName("heavy.v1.Heavy")
    waiting, seen = [service.file], set()
    while waiting:
        file = waiting.pop()
        if file.name not in seen:
            seen.add(file.name)
            file.CopyToProto(files.file.add())
            waiting += file.dependencies
    (tmp_path / "heavy.binpb").write_bytes(files.SerializeToString())
    services = [
        *GOOD["services"],
        {"descriptor_set": "heavy.binpb", "names": ["heavy.v1.Heavy"], "upstream": "b"},
    ]
    made = built(tmp_path, services=services)

    assert made.gateway.services == (USERS, "heavy.v1.Heavy")
    assert made.gateway.pool.FindServiceByName(USERS).file.pool is made.gateway.pool
    made.gateway.compile()


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


def test_limit() -> None:
    """The limit of an upstream stands before its breaker, which counts no refusal of it."""
    given = {"target": "localhost:1", "limit": {"calls": 2}, "breaker": {}}

    made = upstream(built(upstreams={"a": given}))

    assert isinstance(made, Limited)
    assert isinstance(made._upstream, CircuitBreaker)


def test_timeout_and_retries() -> None:
    """Timeout and retries of an upstream hold for all its methods."""
    retries = {"attempts": 3, "codes": ["UNAVAILABLE", "ABORTED"]}
    given = {"target": "localhost:1", "timeout": 2.5, "retries": retries}

    config = upstream(built(upstreams={"a": given}))._config

    assert config.of("/any.Service/Method").timeout == 2.5
    assert json.loads(config.json)["methodConfig"] == [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 3,
                "initialBackoff": "0.100s",
                "maxBackoff": "1.000s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE", "ABORTED"],
            },
        }
    ]


def test_timeout_beside_service_config() -> None:
    """Where a whole service config is given, timeout and retries stand in it."""
    given = {"target": "localhost:1", "timeout": 1.0, "service_config": {}}
    config, found = read_models(json.dumps({**GOOD, "upstreams": {"a": given}}), "g.yaml")

    assert config is None
    assert [mistake.message for mistake in found] == [
        "upstreams.a: timeout and retries stand in service_config, or beside none"
    ]
