"""`transcoder serve`, as a process of its own."""

from __future__ import annotations

import http.client
import json
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from click.testing import CliRunner
from google.longrunning import operations_pb2_grpc
from google.longrunning.operations_pb2 import GetOperationRequest

from over_tls import CLIENT, HERE, SECURED, connect, trust, write, write_ca
from pages import page
from transcoder.cli import main

SCRIPT = str(Path(sys.executable).with_name("transcoder"))
APP = """
from google.longrunning.operations_pb2 import Operation
from google.longrunning.operations_pb2_grpc import (
    OperationsServicer, add_OperationsServicer_to_server
)
from transcoder import Gateway

class Operations(OperationsServicer):
    async def GetOperation(self, request, context):
        return Operation(name=request.name)

def create():
    app = Gateway()
    add_OperationsServicer_to_server(Operations(), app)
    return app
"""
Serve = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Run the command in a folder with an application, `hello:create`."""
    (tmp_path / "hello.py").write_text(APP)
    started: list[subprocess.Popen[str]] = []

    def run(*arguments: str, **variables: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [SCRIPT, "serve", *arguments],
            cwd=tmp_path,
            env={**os.environ, **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.terminate()
        process.communicate(timeout=20)


def told(process: subprocess.Popen[str]) -> tuple[str, str]:
    """The addresses that a server tells when it is ready."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], 20)
    line = process.stdout.readline() if ready else ""
    found = re.fullmatch(r"REST on (\S+), gRPC on (\S+)\n", line)
    assert found is not None, line
    return found[1], found[2]


LOOPBACK = ("--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--settle", "0")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_both_doors(serve: Serve, workers: str) -> None:
    """An application is served on both ports, and SIGTERM ends it with 0."""
    process = serve("hello:create", *LOOPBACK, "--workers", workers)
    over_http, over_grpc = told(process)
    connection = http.client.HTTPConnection(over_http, timeout=20)
    connection.request("GET", "/v1/operations/1")
    body = json.loads(connection.getresponse().read())
    connection.close()
    with grpc.insecure_channel(over_grpc) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
        reply = stub.GetOperation(GetOperationRequest(name="operations/1"), timeout=10)
    process.send_signal(signal.SIGTERM)

    assert body == {"name": "operations/1"}
    assert reply.name == "operations/1"
    assert process.wait(20) == 0


def test_environment(serve: Serve, tmp_path: Path) -> None:
    """Each option may be a variable of the environment; an option on the line goes before it."""
    socket = f"unix:{tmp_path}/http.sock"
    variables = {"TRANSCODER_HTTP": socket, "TRANSCODER_GRPC": "nonsense"}
    process = serve("hello:create", "--grpc", "127.0.0.1:0", **variables)

    assert told(process)[0] == socket


@pytest.mark.parametrize(
    ("app", "words"),
    [
        ("hello", "'hello' is no import string: write 'package.module:app'"),
        (
            "hello:nothing",
            (
                "hello:nothing cannot be loaded: AttributeError: "
                "module 'hello' has no attribute 'nothing'"
            ),
        ),
        (
            "missing:app",
            "missing:app cannot be loaded: ModuleNotFoundError: No module named 'missing'",
        ),
    ],
)
def test_wrong_app(serve: Serve, app: str, words: str) -> None:
    """What cannot be served is told in a line, and the exit code is 1."""
    process = serve(app, *LOOPBACK)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == 1
    assert errors == f"Error: {words}\n"


@pytest.mark.parametrize(("level", "shown"), [("info", True), ("error", False)])
def test_log_level(serve: Serve, level: str, shown: bool) -> None:  # noqa: FBT001  a column
    """What is logged below the level is not."""
    process = serve("hello:create", *LOOPBACK, "--log-level", level)
    told(process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)

    assert ("INFO transcoder.server: http on 127.0.0.1:" in errors) is shown
    assert ("INFO transcoder.server: limits: " in errors) is shown
    assert ("; body: 1048576 B, 240 B/s after 30 s; " in errors) is shown


def test_help() -> None:
    """The help tells the default and the variable of each option."""
    text = CliRunner().invoke(main, ["serve", "--help"], terminal_width=200).stdout
    # A long option has its help in the next line.
    option = r"^  --(\S+)(?:.|\n   )*?\[env var: (\w+); default: \(?([^\s;)\]]+)"
    options = re.findall(option, text, re.MULTILINE)

    assert len(options) == len(re.findall(r"^  --", text, re.MULTILINE))
    assert {name: variable for name, variable, _ in options} == {
        name: f"TRANSCODER_{name.replace('-', '_').upper()}" for name, _, _ in options
    }
    shown = page("command.md").text
    assert all(f"| `--{name}` | `{told}` | `{value}` |" in shown for name, told, value in options)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--admin-name", "gate"], 2, "--admin-name and --admin-peer go with --admin"),
        (["--admin-peer", "users:9901"], 2, "--admin-name and --admin-peer go with --admin"),
        (
            ["--admin", "127.0.0.1:0", "--admin-peer", "users"],
            1,
            "admin: peer 'users': HOST:PORT or http://HOST:PORT is expected",
        ),
    ],
)
def test_wrong_admin(serve: Serve, options: list[str], code: int, words: str) -> None:
    """What is wrong with the admin port is told in a line before anything is served."""
    process = serve("hello:create", *LOOPBACK, *options)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == code
    assert errors.splitlines()[-1].removeprefix("Error: ") == words


def test_tls(serve: Serve, tmp_path: Path) -> None:
    """Both ports speak TLS with the files that the options and the environment name."""
    files = write(tmp_path, HERE)
    options = ("--tls-key", files["key"], "--tls-client-ca", write_ca(tmp_path))
    variables = {"TRANSCODER_TLS_CERTIFICATE": files["certificate"]}
    over_http, over_grpc = told(serve("hello:create", *LOOPBACK, *options, **variables))
    own = write(tmp_path, CLIENT, "client")
    call = [SCRIPT, "call", over_grpc, "GetOperation", '{"name": "operations/1"}', "--tls"]
    authority = ["--ca", str(tmp_path / "ca.pem")]
    shown = ["--cert", own["certificate"], "--key", own["key"]]
    rest = ["--rest", f"https://{over_http}"]

    for extra in ([], rest):
        done = subprocess.run(
            [*call, *authority, *shown, *extra], capture_output=True, text=True, check=False
        )
        assert (done.returncode, json.loads(done.stdout)) == (0, {"name": "operations/1"})
    refused = subprocess.run([*call, *authority], capture_output=True, text=True, check=False)
    assert refused.returncode == 2


def test_tls_of_one_port(serve: Serve, tmp_path: Path) -> None:
    """One port may speak TLS alone, and ask clients for certificates without wanting them."""
    files = write(tmp_path, HERE)
    pair = ("--tls-certificate", files["certificate"], "--tls-key", files["key"])
    optional = ("--tls-client-ca", write_ca(tmp_path), "--tls-client-certificates", "optional")
    version = ("--tls-min-version", "1.3", "--tls-ports", "http")
    over_http, over_grpc = told(serve("hello:create", *LOOPBACK, *pair, *optional, *version))
    for client in (None, CLIENT):
        with connect(f"{SECURED}{over_http}", context=trust(client)) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(12) == b"HTTP/1.1 200"
    with grpc.insecure_channel(over_grpc) as channel:
        stub = operations_pb2_grpc.OperationsStub(channel)  # type: ignore[no-untyped-call]
        assert stub.GetOperation(GetOperationRequest(name="operations/1"), timeout=10).name


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--tls-certificate", "a.pem"], 2, "TLS needs both --tls-certificate and --tls-key"),
        (["--tls-client-ca", "a.pem"], 2, "TLS needs both --tls-certificate and --tls-key"),
        (
            ["--tls-certificate", "a.pem", "--tls-key", "a.key"],
            1,
            "tls: certificate: a.pem cannot be read: no such file or directory",
        ),
    ],
)
def test_wrong_tls(serve: Serve, options: list[str], code: int, words: str) -> None:
    """What is wrong with the files is told in a line before anything is served."""
    process = serve("hello:create", *LOOPBACK, *options)
    _, errors = process.communicate(timeout=20)

    assert process.returncode == code
    assert errors.splitlines()[-1] == f"Error: {words}"
