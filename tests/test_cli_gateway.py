"""`transcoder gateway`, as a process of its own before real services."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from over_tls import CLIENT, HERE, write
from services.user.v1.user_service_pb2 import GetUserRequest
from services.user.v1.user_service_pb2_grpc import UserServiceStub
from tokens import ISSUER, claims, jwks, mint, rsa
from transcoder.cli import main

if TYPE_CHECKING:
    from tests.conftest import Start

LISTENER = "listeners:\n- http: ':8443'\n  tls: "
BACKEND = "upstreams:\n  a:\n    "
SCRIPT = str(Path(sys.executable).with_name("transcoder"))
Gateway = Callable[..., "subprocess.Popen[str]"]
MODULE = "services.user.v1.user_service_pb2"
USERS = "services.user.v1.UserService"
ROUTE = "{path: '/a/*', upstream: b}"

FILE = """
listen: {{http: "127.0.0.1:0", grpc: "127.0.0.1:0"}}
upstreams:
  users: {{target: "{target}", breaker: {{}}}}
services:
  - reflection: users
    names: [services.user.v1.UserService]
    upstream: users
policies:
  request_id: {{}}
  rate_limits: [{{rate: 1000/second}}]
  jwt:
    issuers: [{{name: "{issuer}", audiences: [api], keys: keys.json}}]
    forward: {{sub: x-user-id}}
observers: {{access_log: {{path: access.log}}, metrics: {{}}}}
"""


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Gateway]:
    """Run the command in a folder."""
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [SCRIPT, "gateway", *arguments],
            cwd=tmp_path,
            env=os.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.terminate()
        process.communicate(timeout=30)


def get(target: str, path: str, **headers: str) -> tuple[int, Any]:
    """Ask for a path; return the status and the answer."""
    connection = http.client.HTTPConnection(target, timeout=30)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    told = json.loads(answer.read())
    connection.close()
    return answer.status, told


def test_before_a_service(run: Gateway, start: Start, tmp_path: Path) -> None:
    """It learns a service by reflection, knows callers, and passes both kinds of calls on."""
    served = start("users:create")
    (tmp_path / "keys.json").write_text(json.dumps(jwks(rsa())))
    (tmp_path / "g.yaml").write_text(FILE.format(target=served.grpc_target, issuer=ISSUER))
    process = run("g.yaml")
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 60)
    line = process.stdout.readline() if ready else ""
    found = re.fullmatch(r"REST on (\S+), gRPC on (\S+)\n", line)
    assert found is not None, line
    token = mint(claims(time.time()))

    refused = get(found[1], "/v1/users/7")
    answered = get(found[1], "/v1/users/7", authorization=f"Bearer {token}")
    with grpc.insecure_channel(found[2]) as channel:
        stub: Any = UserServiceStub(channel)
        metadata = (("authorization", f"Bearer {token}"),)
        reply = stub.GetUser(GetUserRequest(id="7"), metadata=metadata, timeout=30)
    process.terminate()
    process.communicate(timeout=30)

    assert refused[0] == 401
    assert (answered[0], answered[1]["id"], reply.id) == (200, "7", "7")
    records = [json.loads(each) for each in (tmp_path / "access.log").read_text().splitlines()]
    assert [each.get("subject") for each in records] == [None, "ann", "ann"]
    assert process.returncode == 0


def test_a_wrong_file(run: Gateway, tmp_path: Path) -> None:
    """What is wrong ends it with one line, which names the place."""
    (tmp_path / "g.yaml").write_text("upstreams: {}\nservices: 1\nlisten: 1\n")
    process = run("g.yaml")
    _, told = process.communicate(timeout=60)

    assert process.returncode == 1
    assert told == "Error: g.yaml:2:1: services: a list is expected (and 1 more)\n"


def test_check(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`check` tells all that is wrong, a line each; or that nothing is."""
    monkeypatch.chdir(tmp_path)
    Path("g.yaml").write_text("upstreams: {}\nservices: 1\nlisten: 1\n")
    wrong = CliRunner().invoke(main, ["check", "g.yaml"])
    Path("g.yaml").write_text(
        "upstreams: {a: {target: 'localhost:1'}}\n"
        "services: [{module: services.user.v1.user_service_pb2, upstream: a}]\n"
    )
    good = CliRunner().invoke(main, ["check", "g.yaml"])

    assert (wrong.exit_code, wrong.stdout.splitlines()) == (
        1,
        [
            "g.yaml:2:1: services: a list is expected",
            "g.yaml:3:1: listen: a mapping is expected",
        ],
    )
    assert (good.exit_code, good.stdout, good.stderr) == (0, "", "no problems in g.yaml\n")


def test_check_builds(tmp_path: Path) -> None:
    """What a file names is looked at too: a service that there is not is a mistake."""
    path = tmp_path / "g.yaml"
    path.write_text("upstreams: {a: {target: 'a:1'}}\nservices: [{module: no_pb2, upstream: a}]\n")
    result = CliRunner().invoke(main, ["check", str(path)])

    assert result.exit_code == 1
    assert result.stdout.startswith(f"{path}:2:12: services[0]: no module is named no_pb2")


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (
            "tls:\n  certificate: none.pem\n  key: none.key\n",
            "4:3: tls.certificate: none.pem cannot be read: no such file or directory",
        ),
        (
            "tls:\n  certificate: good.pem\n  key: none.key\n",
            "5:3: tls.key: none.key cannot be read: no such file or directory",
        ),
        (
            "tls: {certificate: good.pem, key: other.key}\n",
            "3:30: tls.key: other.key is not the key of good.pem",
        ),
        (
            f"{LISTENER}{{certificate: good.pem, key: good.key, client_ca: good.key}}\n",
            "5:47: listeners[0].tls.client_ca: good.key holds no certificate in PEM",
        ),
        (
            "tls: {certificate: good.pem, key: good.key, client_certificates: required}\n",
            "3:1: tls: client_certificates is 'required', and no client_ca says",
        ),
        (
            "role: internal\ntrusted_peers: [edge]\n",
            "4:1: trusted_peers: nobody shows a certificate to be trusted by",
        ),
        (
            "tls: {certificate: good.pem, key: good.key}\ntrusted_peers: [edge]\n",
            "4:1: trusted_peers: nobody shows a certificate to be trusted by",
        ),
        (
            "policies: {mutual_tls: {allow: ['*']}}\n",
            "3:12: policies.mutual_tls: nobody shows a certificate: give tls a client_ca",
        ),
        (
            "overrides: {'*': {mutual_tls: {allow: ['*']}}}\n",
            "3:19: overrides.*.mutual_tls: nobody shows a certificate: give tls a client_ca",
        ),
        (
            f"{BACKEND}target: localhost:1\n    tls:\n      ca: none.pem\n",
            "6:7: upstreams.a: tls: ca: none.pem cannot be read",
        ),
        (
            f"{BACKEND}endpoints: ['localhost:1']\n    tls:\n      ca: empty.pem\n",
            "6:7: upstreams.a: tls: ca: empty.pem holds no certificate",
        ),
        (
            f"{BACKEND}target: localhost:1\n    tls: {{certificate: good.pem, key: other.key}}\n",
            "5:11: upstreams.a: tls: certificate: good.pem and its key cannot be used",
        ),
    ],
)
def test_wrong_serving(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, problem: str
) -> None:
    """What cannot be served is told at its option, by `check` and before anything is served."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, HERE, "good")
    write(tmp_path, CLIENT, "other")
    Path("empty.pem").touch()
    upstreams = "" if "upstreams:" in told else "upstreams: {a: {target: 'localhost:1'}}\n"
    Path("g.yaml").write_text(f"services: [{{module: {MODULE}, upstream: a}}]\n{upstreams}{told}")
    checked = CliRunner().invoke(main, ["check", "g.yaml"])
    served = CliRunner().invoke(main, ["gateway", "g.yaml"])

    assert (checked.exit_code, served.exit_code) == (1, 1)
    assert checked.stdout.startswith(f"g.yaml:{problem}")
    assert served.stderr == f"Error: {checked.stdout}"


def test_certificates_at_one_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trusted peers may come by one of several ports."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, HERE, "good")
    Path("g.yaml").write_text(
        "upstreams: {a: {target: 'localhost:1'}}\n"
        "services: [{module: services.user.v1.user_service_pb2, upstream: a}]\n"
        "trusted_peers: [edge]\npolicies: {mutual_tls: {allow: ['*']}}\n"
        f"{LISTENER}{{certificate: good.pem, key: good.key, client_ca: good.pem}}\n"
    )
    checked = CliRunner().invoke(main, ["check", "g.yaml"])

    assert (checked.exit_code, checked.stdout) == (0, "")


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        ("rules: none.yaml", "3:1: rules: none.yaml: No such file or directory"),
        ("rules: wrong.yaml", "3:1: rules: wrong.yaml"),
        (
            "trusted_proxies: [10.0.0.0/8, x]",
            "3:31: trusted_proxies[1]: trusted proxy 'x': 'x' does not appear to be",
        ),
        ("health: {path: healthz}", "3:10: health.path: 'healthz', column 1: expected '/'"),
        (
            f"internal: [{USERS}.GetUser, {USERS}.Get]",
            f"3:50: internal[1]: no method here fits {USERS}.Get",
        ),
        (f"internal: [{USERS}.*, /x]", "3:44: internal: '/x': a method or a service is expected"),
        (
            "skip_for_trusted: [cors, jwt]\npolicies: {cors: {origins: ['*']}}",
            "3:26: skip_for_trusted: no policy is named 'jwt': there are cors",
        ),
        (
            "overrides:\n  '*': {}\n  services.*: {cors: null}",
            "5:3: overrides: services.*: no policy is named 'cors': there are none",
        ),
        (
            "policies: {cors: {origins: ['*'], headers: [x y]}}",
            "3:35: policies.cors: headers: 'x y' is no name of a header",
        ),
        (
            "observers: {access_log: {headers: [cookie]}}",
            "3:26: observers.access_log: headers: cookie holds secrets",
        ),
        (
            f"routes: [{ROUTE}, {ROUTE}]",
            "3:39: routes[1]: * /a/* and * /a/* answer the same requests: remove one of them",
        ),
        (
            f"services: [{{module: {MODULE}, names: [{USERS}, no.Such], upstream: a}}]",
            "3:94: services[0]: names[1]: no service is named no.Such",
        ),
    ],
)
def test_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, told: str, problem: str) -> None:
    """What is wrong is told once, at its key and its place in a list."""
    monkeypatch.chdir(tmp_path)
    Path("wrong.yaml").write_text("http: 1")
    services = f"services: [{{module: {MODULE}, upstream: a}}]"
    Path("g.yaml").write_text(
        "upstreams: {a: {target: 'localhost:1'}, b: {url: 'http://localhost:1'}}\n"
        f"{services if 'services: ' not in told else ''}\n{told}\n"
    )
    checked = CliRunner().invoke(main, ["check", "g.yaml"])

    assert checked.exit_code == 1
    assert checked.stdout.startswith(f"g.yaml:{problem}")


def test_schema() -> None:
    """The schema takes a file that the command takes, and refuses what it refuses."""
    schema = json.loads(CliRunner().invoke(main, ["gateway", "--schema"]).stdout)
    good = yaml.safe_load(FILE.format(target="a:1", issuer=ISSUER))
    jsonschema.validate(good, schema)

    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**good, "upstream": {}}, schema)


def test_no_file() -> None:
    """Without a file the command says what it wants."""
    result = CliRunner().invoke(main, ["gateway"])

    assert result.exit_code == 2
    assert "say which file describes the gateway" in result.stderr
