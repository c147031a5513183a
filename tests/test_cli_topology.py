"""`transcoder topology`, before ports that tell what processes see."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner, Result

from transcoder.cli import main
from transcoder.topology import CLIENTS, Edge, Topology

TO_GATE = Edge(source=CLIENTS, destination="gate", rate=12, failed=0.25, p50=0.004, p99=0.02)
TO_USERS = Edge(source="gate", destination="users.v1.Users", target="users:1", rate=9)
GATE = Topology(name="gate", edges=(TO_GATE, TO_USERS))
USERS = Topology(name="users", services=("users.v1.Users",))
TOKEN = "secret"


def test_text() -> None:
    """The edges of all processes are told once each, between the names of processes."""
    with telling(GATE) as gate, telling(USERS) as users:
        result = run(gate, users)

    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        "clients -> gate       12.0/s   25.0% failed  p50     4.0 ms  p99    20.0 ms",
        "gate    -> users       9.0/s    0.0% failed  p50       -     p99       -   ",
    ]


def test_json() -> None:
    """As JSON an edge is a line."""
    with telling(GATE) as gate:
        result = run("--json", gate)

    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        TO_GATE.as_json(),
        TO_USERS.as_json(),
    ]


def test_silent() -> None:
    """A process that does not answer is told, the others are shown, and the exit code is 1."""
    with socket.socket() as taken, telling(GATE) as gate:
        taken.bind(("127.0.0.1", 0))
        silent = f"127.0.0.1:{taken.getsockname()[1]}"
        result = run(silent, gate)

    assert (result.exit_code, result.stderr) == (1, f"{silent}: Connection refused\n")
    assert "clients -> gate" in result.stdout


def test_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """The token of the environment is shown to the ports."""
    with telling(GATE, token=TOKEN) as gate:
        assert run(gate).exit_code == 1
        monkeypatch.setenv("TRANSCODER_ADMIN_TOKEN", TOKEN)
        assert run(gate).exit_code == 0


def test_names() -> None:
    """A name that a terminal would obey is escaped."""
    with telling(Topology(name="g", edges=(Edge(source="\x1b[31m", destination="g"),))) as port:
        assert run(port).stdout.startswith("\\x1b[31m -> g")


def test_no_address() -> None:
    """What is no address is told, with exit code 2."""
    result = run("nowhere")

    assert (result.exit_code, "HOST:PORT" in result.stderr) == (2, True)


def run(*arguments: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["topology", *arguments])


@contextlib.contextmanager
def telling(topology: Topology, token: str = "") -> Iterator[str]:
    """Serve what a process sees, to whoever shows the token; the address is the value."""
    body = json.dumps(topology.as_json()).encode()

    class Port(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            shown = self.headers.get("authorization", "") == (f"Bearer {token}" if token else "")
            self.send_response(200 if shown else 401)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Port) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
