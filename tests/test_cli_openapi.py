from __future__ import annotations

import asyncio
import http.client
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from compiled import descriptor_set
from transcoder import Listening, Server
from transcoder.cli import main
from transcoder.policies.key_file import create_key

USERS = ("--module", "services.user.v1.user_service_pb2")
API = """\
syntax = "proto3";
package api.v1;
import "google/api/annotations.proto";
import "google/api/visibility.proto";
message Book { string name = 1; }
service Books {
  // Finds a book.
  rpc Get(Book) returns (Book) { option (google.api.http).get = "/v1/{name=books/*}"; }
  rpc Burn(Book) returns (Book) {
    option (google.api.http).delete = "/v1/{name=books/*}";
    option (google.api.method_visibility).restriction = "INTERNAL";
  }
}
"""


def run(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["openapi", *arguments])


@pytest.fixture
def books(tmp_path: Path) -> str:
    """Return a descriptor set with comments."""
    path = tmp_path / "api.binpb"
    path.write_bytes(descriptor_set(API))
    return str(path)


def test_help() -> None:
    """The help has examples."""
    told = run("--help").stdout

    assert "transcoder openapi services.user.app:create_app > openapi.json" in told
    assert "transcoder openapi --module" in told


def test_json() -> None:
    """The document of a module is printed as JSON, with the comments that are kept beside it."""
    made = json.loads(run(*USERS).stdout)

    summary = made["paths"]["/v1/users/{id}"]["get"]["summary"]
    assert summary == "Returns one user, by id or by email."


def test_yaml() -> None:
    """YAML says the same as JSON."""
    told = run(*USERS, "--format", "yaml").stdout

    assert yaml.safe_load(told) == json.loads(run(*USERS).stdout)


def test_again() -> None:
    """The same command prints the same bytes."""
    assert run(*USERS).stdout_bytes == run(*USERS).stdout_bytes


def test_options() -> None:
    """Title, version and servers are those of the options."""
    said = ("--title", "Users", "--version", "7", "--server", "https://a.test")
    made = json.loads(run(*USERS, *said).stdout)

    assert (made["info"]["title"], made["info"]["version"]) == ("Users", "7")
    assert made["servers"] == [{"url": "https://a.test"}]


def test_comments_of_a_descriptor_set(books: str) -> None:
    """Comments come from the descriptor set; what is restricted stays away."""
    made = json.loads(run("--descriptor-set", books).stdout)

    (path,) = made["paths"].values()
    assert list(path) == ["get"]
    assert path["get"]["summary"] == "Finds a book."


def test_labels(books: str) -> None:
    """What is restricted to a label is told to whoever has it."""
    made = json.loads(run("--descriptor-set", books, "--label", "INTERNAL").stdout)

    (path,) = made["paths"].values()
    assert list(path) == ["get", "delete"]


APP = """\
from google.longrunning.operations_pb2_grpc import (
    OperationsServicer, add_OperationsServicer_to_server
)
from transcoder import Gateway, OpenApi, Timeouts
from transcoder.multipart import FormLimits
from transcoder.policies.api_keys import ApiKeys

def create():
    app = Gateway(
        forms=FormLimits(),
        timeouts=Timeouts(default=7),
        errors=lambda status, http: None,
        body_limit=77,
        policies=[ApiKeys("keys.json")],
        public=["/openapi.json", "/openapi.yaml"],
        openapi=OpenApi(title="Operations", servers=["https://api.test"]),
    )
    add_OperationsServicer_to_server(OperationsServicer(), app)
    return app

def refuse():
    return Gateway(unbound=True, public=["no.such.Service.Method"])

def silent():
    return Gateway(openapi=None)

def broken():
    raise OSError("no disk")
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], str]:
    """Return what names an application by its attribute."""
    monkeypatch.chdir(tmp_path)
    module = f"described_{tmp_path.parent.name}_{tmp_path.name}".replace("-", "_")
    (tmp_path / f"{module}.py").write_text(APP)
    create_key(tmp_path / "keys.json", "ann", [], datetime.now(UTC))
    monkeypatch.syspath_prepend(str(tmp_path))
    return lambda attribute: f"{module}:{attribute}"


async def served(app: str, *paths: str) -> list[bytes]:
    """Return what a server of an application answers."""
    ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    server = Server(app, settle=0, on_ready=ready.set_result)
    running = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
    waiting: set[asyncio.Future[Any]] = {ready, running}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    try:
        return [await asyncio.to_thread(got, ready.result().http.target, path) for path in paths]
    finally:
        server.stop()
        await running


def got(target: str, path: str) -> bytes:
    connection = http.client.HTTPConnection(target, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


def test_an_application(app: Callable[[str], str]) -> None:
    """The document of an application is the one that it serves, to the byte, in both forms."""
    name = app("create")
    as_json, as_yaml = asyncio.run(served(name, "/openapi.json", "/openapi.yaml"))
    printed = run(name).stdout_bytes
    made: dict[str, Any] = json.loads(printed)

    assert printed == as_json
    assert run(name, "--format", "yaml").stdout_bytes == as_yaml
    assert made["info"]["title"] == "Operations"
    assert list(made["components"]["securitySchemes"]) == ["api-keys"]
    assert "77 bytes" in made["components"]["responses"]["PayloadTooLarge"]["description"]


@pytest.mark.parametrize(
    ("attribute", "code", "words"),
    [
        ("nothing", 2, "has no attribute 'nothing'"),
        ("broken", 2, "cannot be loaded: OSError: no disk"),
        ("refuse", 1, "no.such.Service.Method"),
        ("silent", 1, "the gateway has no OpenAPI document: its openapi is None"),
    ],
)
def test_no_application(app: Callable[[str], str], attribute: str, code: int, words: str) -> None:
    """An application that cannot be loaded, would not start or has no document is one line."""
    done = run(app(attribute))

    assert (done.exit_code, done.stdout) == (code, "")
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert words in done.stderr


@pytest.mark.parametrize(
    "options", [("--title", "Users"), USERS, ("--unbound",), ("--descriptor-set", "-")]
)
def test_options_beside_an_application(app: Callable[[str], str], options: tuple[str, ...]) -> None:
    """What an application says itself is no option beside it."""
    done = run(app("create"), *options)

    assert done.exit_code == 2
    assert f"{options[0]} goes with services" in done.stderr
