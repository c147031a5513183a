"""docs/console.md says what the code does."""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING

import pytest

from command import serve_options
from pages import commands, fits, page
from scraping import LOCAL, asked
from transcoder import Admin, Server
from transcoder.console import NAMELESS
from transcoder.console.history import KEPT, WINDOW
from transcoder.console.page import PATH
from transcoder.console.peers import TIMEOUT
from transcoder.console.tables import FAILURES, ROUTES
from transcoder.observers.callers import CALLERS
from transcoder.status import FAULTS
from transcoder.topology import CLIENTS, Edge
from transcoder.upstream.backend_calls import LIMIT

if TYPE_CHECKING:
    from tests.conftest import Start

PAGE = page("console.md")


def test_python() -> None:
    """The block of Python makes a server."""
    (block,) = PAGE.blocks("python")
    assert isinstance(PAGE.run(block)["server"], Server)


@pytest.mark.parametrize("block", PAGE.blocks("sh"))
def test_command(block: str) -> None:
    """The command takes the options that it is given."""
    assert serve_options(*shlex.split(block)[2:])["admin"] == "127.0.0.1:9901"


def test_topology(start: Start) -> None:
    """A process tells what it sees as the page shows it, and has the console."""
    served = start(admin=LOCAL)
    (shown,) = PAGE.blocks("console")
    ((command, expected),) = commands(shown)

    assert command == "curl localhost:9901/topology"
    told = asked(served.admin_target, "/topology")[2].decode()
    expected = expected.replace('["hello.v1.Greeter"]', '["hello.v1.Greeter",...]')
    assert fits(expected.replace("hello.v1.Greeter", "google.longrunning.Operations"), told)
    assert asked(served.admin_target, PATH)[0] == 200


def test_options() -> None:
    """The table has the options of the port, with their defaults."""
    told = {
        name.strip("`"): default.strip("`")
        for name, default, _ in PAGE.rows("## Several processes")
    }
    assert told == {
        each.name: "" if each.default is MISSING else json.dumps(each.default).replace("[]", "()")
        for each in fields(Admin)
    }


def test_numbers() -> None:
    """Numbers and names are the code's."""
    text = " ".join(PAGE.text.split())
    assert f"lines of the last {KEPT / 60:g} minutes; the {ROUTES} with the most calls" in text
    assert f"last {FAILURES} of the server's own, and the last {FAILURES} calls" in text
    assert f"the last {WINDOW:g} seconds" in text
    assert TIMEOUT == 1
    assert f"{CALLERS} callers and {LIMIT} backends are told apart" in text
    assert f"are `{CLIENTS}`" in text
    assert f"or `{NAMELESS}` if" in text
    (listed,) = re.findall(r"\*Failed\* is the server's fault: (.*?) and statuses", text)
    assert set(listed.split(", ")) == {code.name for code in FAULTS}
    (edge,) = re.findall(r"An edge has (.*?) in seconds", text)
    assert set(re.findall("`(.*?)`", edge)) == {each.name for each in fields(Edge)} - {"target"}
