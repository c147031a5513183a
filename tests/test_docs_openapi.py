"""docs/openapi.md says what the code does."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from starlette.testclient import TestClient

from pages import page
from services.user.v1.user_service_pb2_grpc import (
    UserServiceServicer,
    add_UserServiceServicer_to_server,
)
from transcoder import Gateway, OpenApi
from transcoder.cli import main

PAGE = page("openapi.md")
BLOCKS = PAGE.blocks("python")
COMMANDS = [line for block in PAGE.blocks("sh") for line in block.splitlines()]
OPTIONS = {field.name: getattr(OpenApi(), field.name) for field in dataclasses.fields(OpenApi)}


def run(block: str) -> dict[str, Any]:
    """Run a block, and register a servicer with its gateway."""
    names = PAGE.run(block)
    if "gateway" in names:
        add_UserServiceServicer_to_server(UserServiceServicer(), names["gateway"])
    return names


@pytest.mark.parametrize("block", BLOCKS)
def test_python(block: str) -> None:
    """Each block of Python makes a gateway that compiles, or a document."""
    names = run(block)

    if "gateway" in names:
        gateway: Gateway = names["gateway"]
        gateway.compile()
    else:
        assert json.loads(names["text"])["info"]["title"] == "Users"


def test_options() -> None:
    """The table has every option, in the order of the code, with its default."""
    rows = re.findall(r"^\| `(\w+)` \| (.*?) ?\|", PAGE.text, re.MULTILINE)
    shown: dict[str, Any] = {
        "": "",
        "`()`": (),
        "`None`": None,
        "`frozenset()`": frozenset(),
    }

    assert [name for name, _ in rows] == list(OPTIONS)
    assert [shown.get(told, told.strip("`")) for _, told in rows] == list(OPTIONS.values())


def test_where() -> None:
    """Document and page are where the first example says."""
    web = TestClient(run(BLOCKS[0])["gateway"])
    info = web.get("/api/openapi.json").json()["info"]

    assert (info["title"], info["version"]) == ("Users", "1.4.0")
    assert web.get("/api/docs").status_code == 200


def test_off() -> None:
    """The second example has neither."""
    web = TestClient(run(BLOCKS[1])["gateway"])

    assert {web.get(path).status_code for path in ("/openapi.json", "/docs")} == {404}


def test_security() -> None:
    """The third example tells who may call what."""
    paths = TestClient(run(BLOCKS[2])["gateway"]).get("/openapi.json").json()["paths"]

    assert paths["/v1/users"]["get"]["security"] == [{"token": ["users"]}]
    assert paths["/v1/users/{id}"]["get"]["security"] == []


def test_comments() -> None:
    """The fourth example gives the document its comments."""
    made = TestClient(run(BLOCKS[3])["gateway"]).get("/openapi.json").json()

    assert made["paths"]["/v1/users/{id}"]["get"]["summary"] == "Finds a user."


@pytest.mark.parametrize("command", COMMANDS)
def test_commands(command: str) -> None:
    """Each command of the page prints a document."""
    printed = CliRunner().invoke(main, shlex.split(command)[1:])

    assert yaml.safe_load(printed.stdout)["openapi"] == "3.1.1"
