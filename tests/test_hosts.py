"""Routes by the host that a request asks for."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from backend import SERVICE
from over_tls import CA, trust, write
from says import Says
from streams import POOL, Streams, register
from transcoder import Channel, Gateway, ServerTls
from transcoder.errors import ConfigError
from transcoder.explain import explain
from transcoder.hosts import Host, Hosts
from transcoder.observers import AccessLog
from transcoder.path_template import PathTemplate
from transcoder.policies import CallDetails, Denied, Now, Stage
from transcoder.route import Miss, Route
from transcoder.status import Code

from entrances import open_doors  # isort: skip

EVERYWHERE = "everywhere"


def route(name: str, *hosts: str, path: str = "/v1/x") -> Route[str]:
    return Route("GET", PathTemplate.parse(path), name, name, hosts=hosts)


def found(hosts: Hosts[str], host: str, port: int | None = 8080, path: str = "/v1/x") -> str:
    """Return who answers; nothing for nobody."""
    match = hosts.of(host, port).match("GET", path)
    return "" if isinstance(match, Miss) else match.route.name


@pytest.mark.parametrize(
    ("host", "port", "name"),
    [
        ("a.example.com", 8080, "exact"),
        ("A.Example.COM", 8080, "exact"),  # a name has no case
        ("a.example.com.", 8080, "exact"),  # nor does the root count
        ("a.example.com:9", 8080, "exact"),  # the client's word for the port does not
        ("a.example.com", None, "exact"),
        ("a.example.com", 8443, "port"),
        ("a.example.com:8080", 8443, "port"),
        ("b.example.com", 8080, "below"),
        ("b.c.example.com", 8080, "below"),
        ("b.deep.example.com", 8080, "deep"),  # a longer one before a shorter
        ("b.example.com", 8443, "below-port"),
        ("b.deep.example.com", 8443, "deep"),
        ("example.com", 8080, ""),  # is not below itself
        ("xa.example.co", 8080, ""),
        ("notexample.com", 8080, ""),
        ("[::1]:8080", 8080, "v6"),
        ("[::1]", 8080, "v6"),
        ("[::2]", 8080, ""),
        ("127.0.0.1", 8080, "v4"),
        ("", 8080, ""),
    ],
)
def test_of(host: str, port: int | None, name: str) -> None:
    """The most specific pattern decides."""
    hosts = Hosts(
        [
            route("below", "*.example.com"),
            route("exact", "A.example.com"),
            route("deep", "*.deep.example.com"),
            route("port", "a.example.com:8443"),
            route("below-port", "*.example.com:8443"),
            route("v6", "[::1]"),
            route("v4", "127.0.0.1"),
        ]
    )

    assert found(hosts, host, port) == name


def test_everywhere() -> None:
    """A route that is bound to no host answers at all of them, and others at theirs alone."""
    hosts = Hosts(
        [
            route(EVERYWHERE, path="/all"),
            route("a", "a.example", "*.a.example"),
            route("b", "b.example"),
            route("wild", "*.b.example", path="/wild"),
        ]
    )

    for host in ("a.example", "x.a.example", "b.example", "x.b.example", "other", ""):
        assert found(hosts, host, path="/all") == EVERYWHERE
    assert [found(hosts, host) for host in ("a.example", "x.a.example", "b.example")] == [
        *("a", "a", "b")
    ]
    assert found(hosts, "other") == ""
    # A wildcard's routes are not those of a name below it that has its own.
    assert found(hosts, "b.example", path="/wild") == ""
    assert len(hosts.routers) == 4


def test_long_host() -> None:
    """A host of many labels takes no longer than it is long, and is forgotten again."""
    hosts = Hosts([route("below", "*.example.com")])

    assert found(hosts, "a." * 140 + "example.com") == "below"
    for number in range(2000):
        hosts.of(f"{number}.example.com")
    assert hosts._found.cache_info().currsize == 1024


@pytest.mark.parametrize(
    "text",
    ["", "*", "*.", "a b", "a/b", "https://a", "a:0", "a:99999", "a.*", "*.*.a", "*.[::1]", "a..b"],
)
def test_no_pattern(text: str) -> None:
    """What is no host is refused, in one line."""
    with pytest.raises(ConfigError, match=r"^host ") as raised:
        Host.parse(text)

    assert repr(text) in str(raised.value)


def test_one_text() -> None:
    """One text is no list of hosts."""
    gateway: Any = Gateway()
    with pytest.raises(ConfigError, match=r"hosts 'a\.example': a sequence is expected"):
        gateway.route(SERVICE, Channel("localhost:1"), hosts="a.example")
    with pytest.raises(ConfigError, match="a sequence is expected"):
        gateway.forward("/a", Says("a"), hosts="a.example")
    with pytest.raises(ConfigError, match="a sequence is expected"):
        Gateway(hosts="a.example")


def test_conflict() -> None:
    """Two routes of equal rank at one host are refused, whether or not both are bound to it."""
    told = (
        r"^a \(GET /v1/x at a\.example\) and b \(GET /v1/x at a\.example, b\.example\) answer the "
        "same requests: remove one of them"
    )
    with pytest.raises(ConfigError, match=told):
        Hosts([route("a", "a.example"), route("b", "a.example", "b.example")])
    with pytest.raises(ConfigError, match="answer the same requests"):
        Hosts([route(EVERYWHERE), route("a", "a.example")])


def test_bound_to_what_is_not_served() -> None:
    """So is a route that no request can come to."""
    served = ["*.example.com", "b.example:8443"]
    Hosts([route("a", "a.example.com", "*.example.com:1", "b.example:8443")], served=served)

    for host in ("example.com", "b.example", "*.example"):
        with pytest.raises(ConfigError, match=r"a route is bound to the host .*: served are "):
            Hosts([route("a", host)], served=served)


class Door:
    """Refuses who does not knock, and notes what it sees."""

    name = "door"
    stage = Stage.ADDRESS

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    def decide(self, call: CallDetails, now: Now) -> None:
        self.seen.append((call.template, call.path))
        if call.one(b"x-knock") is None:
            raise Denied(Code.PERMISSION_DENIED, "knock", reason="silent")


def forwarding(**options: Any) -> Gateway:
    """Return a gateway whose paths are passed on, differently at two hosts."""
    gateway = Gateway(**options)
    gateway.forward("/{rest=**}", Says("a"), hosts=["a.example"])
    gateway.forward("/v1/{rest=**}", Says("b"), hosts=["*.b.example", "b.example:8443"])
    return gateway


def test_gateway() -> None:
    """A gateway passes on by host, and what is at no other host is not found there."""
    with TestClient(forwarding()) as client:

        def ask(url: str) -> str:
            answer = client.get(url)
            return answer.text if answer.status_code == 200 else str(answer.status_code)

        assert ask("http://a.example/v1/x") == "a"
        assert ask("http://x.b.example/v1/x") == "b"
        assert ask("http://b.example:8443/v1/x") == "b"
        assert ask("http://b.example/v1/x") == "404"
        assert ask("http://x.b.example/y") == "404"
        assert ask("http://a.example/healthz") != "404"


def test_served() -> None:
    """At a host that is not served a request is misdirected, whatever its path; but for health."""
    with TestClient(forwarding(hosts=["a.example", "*.b.example", "b.example:8443"])) as client:
        answer = client.get("http://other.example/v1/x")
        assert client.get("http://x.b.example/v1/x").text == "b"
        assert client.get("http://b.example/v1/x").status_code == 421
        assert client.get("http://other.example/docs").status_code == 421
        assert client.get("http://10.0.0.1/healthz").status_code == 200

    assert answer.status_code == 421
    assert answer.json() == {
        "code": 5,
        "message": "the host that the request asks for is not served here",
        "details": [],
    }


def test_policies_first(tmp_path: Path) -> None:
    """Policies stand before a host that is not served, as before a path that is none."""
    door, log = Door(), tmp_path / "access.log"
    served = ["a.example", "*.b.example", "b.example:8443"]
    gateway = forwarding(hosts=served, policies=[door], observers=[AccessLog(log)])
    with TestClient(gateway) as client:
        assert client.get("http://other.example/v1/x").status_code == 403
        knocking = {"x-knock": "1"}
        assert client.get("http://other.example/v1/x", headers=knocking).status_code == 421
        assert client.get("http://x.b.example/v1/x", headers=knocking).status_code == 200

    logged = [json.loads(line) for line in log.read_text().splitlines()]
    assert door.seen == [("", "/v1/x"), ("", "/v1/x"), ("/v1/{rest=**}", "/v1/x")]
    assert [each["http_status"] for each in logged] == [403, 421, 200]


def test_services() -> None:
    """A service's paths are at its hosts alone; over gRPC the service's name is enough."""
    gateway = Gateway()
    gateway.route(SERVICE, Channel("localhost:1"), hosts=["users.example"])
    gateway.forward("/v1/users/{id}", Says("other"), hosts=["other.example"])
    with TestClient(gateway) as client:
        assert client.get("http://other.example/v1/users/7").text == "other"
        assert client.get("http://else.example/v1/users/7").status_code == 404
        assert "/v1/users/{id}" in client.get("http://users.example/openapi.json").text
        assert "/v1/users/{id}" not in client.get("http://other.example/openapi.json").text


def test_websockets() -> None:
    """A WebSocket is at the hosts of its route too."""
    gateway = Gateway(pool=POOL, hosts=["a.example"])
    register(Streams(lambda _: None), gateway)
    with TestClient(gateway) as client:
        with client.websocket_connect("ws://a.example/v1/a/told?count=1") as socket:
            assert json.loads(socket.receive_text())
        with (
            pytest.raises(WebSocketDenialResponse) as refused,
            client.websocket_connect("ws://b.example/v1/a/told?count=1"),
        ):
            pass

    assert refused.value.status_code == 421


def test_explained() -> None:
    """A URL is explained at its host, and a path where no host is asked for."""
    gateway = Gateway(hosts=["users.example"])
    gateway.route(SERVICE, Channel("localhost:1"), hosts=["users.example"])
    routed = gateway.transcoder

    there = explain(routed, "GET", "http://users.example/v1/users/7")
    assert there.route is not None
    assert there.route.name == "services.user.v1.UserService.GetUser"
    for target in ("http://other.example/v1/users/7", "/v1/users/7"):
        other = explain(routed, "GET", target)
        assert other.error is not None
        assert other.error.http == 421


def test_no_host_costs_nothing() -> None:
    """Where no route is bound and all hosts are served, nobody looks at a request's host."""
    assert not Gateway().transcoder.compile().by_host


def test_another_host_in_tls(tmp_path: Path) -> None:
    """A request for another host than TLS was asked for is misdirected, where hosts matter."""
    pair = write(tmp_path, CA.issue_cert("a.example", "x.b.example"))

    async def ask(listening: Any, named: str | None, host: str) -> int:
        context = trust()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE if named is None else ssl.CERT_REQUIRED
        address = listening.http
        reader, writer = await asyncio.open_connection(address.host, address.port)
        await writer.start_tls(context, server_hostname=named or "")
        writer.write(f"GET /v1/x HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n".encode())
        status = (await reader.readline()).split()[1]
        await reader.read()
        writer.close()
        return int(status)

    async def running(gateway: Gateway) -> list[int]:
        async with (
            asyncio.timeout(60),
            open_doors(gateway, http_tls=ServerTls(**pair)) as listening,
        ):
            asked = [
                ("a.example", "a.example:8443"),
                ("A.example", "a.Example"),
                ("a.example", "x.b.example"),
                (None, "x.b.example"),
            ]
            return [await ask(listening, *each) for each in asked]

    anywhere = Gateway()
    anywhere.forward("/{rest=**}", Says("all"))

    assert asyncio.run(running(forwarding())) == [200, 200, 421, 200]
    assert asyncio.run(running(anywhere)) == [200, 200, 200, 200]
