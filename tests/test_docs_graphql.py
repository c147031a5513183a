"""docs/graphql.md says what the code does."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from graphs import SDL, graph, serving
from pages import commands, page
from transcoder import Gateway, GraphQl
from transcoder.cli import main
from transcoder.config import build, load
from transcoder.graphql_upstream.faults import CODES
from transcoder.status import Code, http_status
from transcoder.upstream.onward import TRACE

PAGE = page("graphql.md")
CHECKED, ASKED = PAGE.blocks("console")
OPTIONS = {
    name: parameter.default
    for name, parameter in inspect.signature(GraphQl).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The files of the page, before a server that runs."""
    (document,), (file,) = PAGE.blocks("graphql"), PAGE.blocks("yaml")
    path = tmp_path_factory.mktemp("page")
    (path / "users.graphql").write_text(document)
    (path / "schema.graphql").write_text(SDL)
    with graph() as served:
        (path / "gateway.yaml").write_text(file.replace("http://localhost:8000/", served.url))
        yield path


def test_check(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file is one that can be served."""
    monkeypatch.chdir(folder)
    ((command, printed),) = commands(CHECKED)
    result = CliRunner().invoke(main, command.split()[1:])

    assert result.stdout + result.stderr == printed


def test_answers(folder: Path) -> None:
    """Clients get the answers that the page shows."""
    gateway = build(load(folder / "gateway.yaml"), folder).gateway
    printed = []
    with serving(gateway) as address:
        for command, _ in commands(ASKED):
            words = shlex.split(command.replace("localhost:8080", address))
            done = subprocess.run(words, check=True, capture_output=True, text=True, timeout=60)
            printed.append(f"{done.stdout}\n")

    assert printed == [told for _, told in commands(ASKED)]


def test_python() -> None:
    """The program is one that runs."""
    (block,) = PAGE.blocks("python")

    gateway = PAGE.run(block)["gateway"]
    assert isinstance(gateway, Gateway)
    gateway.compile()


@pytest.mark.parametrize("option", OPTIONS)
def test_options(option: str) -> None:
    """Each option has its row, with its default."""
    (told,) = re.findall(rf"^\| `{option}` \| `([^|]*)` \|", PAGE.text, re.MULTILINE)

    assert told == str(OPTIONS[option])


def test_codes() -> None:
    """The table of codes is what the code has, beside the names of google.rpc.Code."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([A-Z_]+) \| (\d+) \|", PAGE.text, re.MULTILINE)
    told = {word: (code, int(http)) for word, code, http in rows}
    known = {word: (code.name, http_status(code)) for word, code in CODES.items()}

    assert {word for word in known if word not in Code.__members__} <= told.keys()
    assert told == {word: known[word] for word in told}


def test_what_goes_along() -> None:
    """What the page says to pass is what is passed."""
    section = PAGE.section("## What goes along")

    assert all(f"`{key}`" in section for key in TRACE)
