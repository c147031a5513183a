from __future__ import annotations

import asyncio
import http.client
import json
from pathlib import Path
from typing import Any

import pytest
from grpc_health.v1.health import aio
from grpc_health.v1.health_pb2 import HealthCheckResponse

from backend import Users, backend
from entrances import open_doors
from filed import GOOD, USERS, built, upstream
from services.user.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server
from transcoder import Gateway, Limited
from transcoder.config import build, read_models
from transcoder.discovery import Dns, Endpoint, EndpointFile, Listed, Srv
from transcoder.forwarding import Forwarding
from transcoder.http_upstream import HttpUpstream
from transcoder.upstream.balanced import Balanced
from transcoder.upstream.circuit_breaker import CircuitBreaker


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


@pytest.mark.parametrize("where", ["target", "endpoints"])
def test_health_check(where: str) -> None:
    """A backend that says that it does not serve gets no calls, where the file has it asked."""

    async def running(*, asked: bool) -> str:
        health = aio.HealthServicer()
        await health.set("", HealthCheckResponse.NOT_SERVING)
        async with backend(Users(), health=health) as address:
            place = address if where == "target" else [address]
            upstreams = {"a": {where: place, "health_check": asked}}
            made: Any = upstream(built(upstreams=upstreams))
            try:
                found: str = await made.check()
            finally:
                await made.close()
            return found

    assert asyncio.run(running(asked=False)) == ""
    assert "can be reached" in asyncio.run(running(asked=True)).replace("cannot", "can")


@pytest.mark.parametrize("where", ["target", "endpoints"])
def test_keepalive(where: str) -> None:
    """When a silent connection counts as dead is told to the channels."""
    place: Any = "localhost:1" if where == "target" else ["localhost:1"]
    upstreams = {"a": {where: place, "keepalive": {"time": 310.0}}}
    made = upstream(built(upstreams=upstreams))
    channel = made if where == "target" else made._connect(Endpoint("localhost:1"))

    assert dict(channel._options)["grpc.keepalive_time_ms"] == 310_000


@pytest.mark.parametrize("said", ["true", "off", "a b", "", 3, []])
def test_wrong_health_check(said: Any) -> None:
    """What is neither true nor false nor a service's name is told once."""
    given = {"target": "localhost:1", "health_check": said}
    _, found = read_models(json.dumps({**GOOD, "upstreams": {"a": given}}), "g.yaml")

    assert [each.message for each in found] == [
        "upstreams.a.health_check: true, false or the full name of a service is expected"
    ]


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
