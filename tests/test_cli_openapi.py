from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from compiled import descriptor_set
from transcoder.cli import main

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
    assert "transcoder openapi --module" in run("--help").stdout


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
