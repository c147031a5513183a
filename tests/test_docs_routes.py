"""docs/routes.md says what the code does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from over_tls import HERE, write, write_ca
from pages import page
from tokens import jwks, rsa
from transcoder.cli import main
from transcoder.config import build, http_ports, load
from transcoder.hosts import Host
from transcoder.route import Match
from transcoder.server_tls import ServerTls
from transcoder.trusted_peers import IDENTITY_HEADERS
from transcoder.upstream.choice import Condition
from transcoder.upstream.split import Split

PAGE = page("routes.md")
EDGE, PORTS, INTERNAL = PAGE.blocks("yaml")
INNER = """\
role: internal
trusted_peers: [edge.internal]
skip_for_trusted: []
tls: {certificate: internal.pem, key: internal.key, client_ca: ca.pem}
upstreams:
  users: {target: "users:50051"}
services:
  - {module: services.user.v1.user_service_pb2, upstream: users}
policies:
  request_id: {}
  rate_limits: [{rate: 500/second}]
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of the page."""
    monkeypatch.chdir(tmp_path)
    Path("keys.json").write_text(json.dumps(jwks(rsa())))
    Path("edge.yaml").write_text(EDGE)
    Path("internal.yaml").write_text(INTERNAL)
    Path("inner.yaml").write_text(INNER)
    write(tmp_path, HERE, "internal")
    write_ca(tmp_path)
    return tmp_path


def test_files() -> None:
    """Both files can be served, and are what they look like."""
    edge, internal = (build(load(name)).gateway for name in ("edge.yaml", "internal.yaml"))
    edge.compile()
    internal.compile()
    transcoder = edge.transcoder

    assert transcoder.match("GET", "/v1/users/7", "user.example.com")
    assert transcoder.match("GET", "/v1/orders/7", "a.shop.example.com")
    assert {each.name for each in edge.chain.policies} == {"internal", "jwt", "rate-limit"}
    assert internal.chain.policies.skipped == {"rate-limit"}
    split = edge._registry.upstream_of("/services.user.v1.UserService/GetUser")
    assert isinstance(split, Split)
    assert split.needs_details


def test_identity_headers() -> None:
    """The table has the headers that an internal gateway removes, all of them and no more."""
    rows = PAGE.rows("### Headers that tell an identity")
    names = [name.strip("`") for listed, _ in rows for name in listed.split(", ")]

    assert sorted(names) == sorted(IDENTITY_HEADERS)


def test_ports(folder: Path) -> None:
    """The file of several ports is one, whose service is at the port that the page says."""
    write(folder, HERE)
    Path("ports.yaml").write_text(PORTS)
    config = load("ports.yaml")
    first, second = http_ports(config, folder)
    hosts = build(config).gateway.transcoder.compile()

    assert (first.address, second.address) == (":8080", ":8443")
    assert isinstance(second.tls, ServerTls)
    found = [
        isinstance(hosts.of("user.example.com", port).match("GET", "/v1/users/7"), Match)
        for port in (8080, 8443)
    ]
    assert found == [False, True]


@pytest.mark.parametrize(("command", "printed"), PAGE.commands)
def test_commands(command: str, printed: str) -> None:
    """The commands print what the page shows."""
    result = CliRunner().invoke(main, command.split()[1:])

    assert result.stdout + result.stderr == printed


def test_python() -> None:
    """The examples run, and route as the page says."""
    first, ports, second = PAGE.blocks("python")
    left: dict[str, Any] = PAGE.run(first)
    gateway = left["gateway"]
    with TestClient(gateway) as client:
        assert client.get("http://other.example.com/v1/users/7").status_code == 421
        assert client.get("http://other.example.com/healthz").status_code in {200, 503}
    assert gateway.transcoder.match("GET", "/v1/users/7", "user.example.com").values == ("7",)
    assert "serve" in PAGE.run(ports)
    assert PAGE.run(second)["shop"](object(), object()).counts == {"v1": 0, "v2": 0}


def test_tables() -> None:
    """The patterns are such, and the conditions are those that there are."""
    for pattern, _ in PAGE.rows("## Hosts"):
        assert str(Host.parse(pattern.strip("`"))) == pattern.strip("`")
    told = {row[0] for row in PAGE.rows("## Matches")} - {"`header` with `claim`"}

    assert told == {f"`{name}`" for name in Condition.__slots__} - {"`exact`", "`prefix`"}
