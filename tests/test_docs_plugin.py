"""docs/plugin.md says what the code does."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import google.api
import pytest

from generating import BIN
from pages import commands, page
from transcoder.plugin.options import KNOWN, parse

PAGE = page("plugin.md")
OPTIONS = re.findall(r"^\| `(\w+)` \| (?:`([^`]*)`)? ?\|", PAGE.text, re.MULTILINE)


def shell(folder: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script with our commands on the path."""
    environment = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    environment["BUF_CACHE_DIR"] = str(folder / ".cache")
    return subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with the page's proto."""
    (proto,) = PAGE.blocks("proto")
    path = tmp_path / proto.splitlines()[0].removeprefix("// ")
    path.parent.mkdir(parents=True)
    path.write_text(proto, encoding="utf-8")
    return tmp_path


def test_commands(project: Path) -> None:
    """Each command prints what the page shows, and the module is the one that it shows."""
    setting = ""
    for command, expected in PAGE.commands:
        done = shell(project, f"{setting}{command}")
        assert done.stdout + done.stderr == expected, command
        if command.startswith("export "):
            setting = f"{command}\n"

    generated, _ = PAGE.blocks("python")
    assert (project / "books/v1/books_transcoder.py").read_text() == generated


def test_registering(project: Path) -> None:
    """The servicer of the page answers."""
    console = PAGE.blocks("console")[0]
    shell(project, "\n".join(command for command, _ in commands(console)))
    request = (
        "from starlette.testclient import TestClient\n"
        "client = TestClient(app)\n"
        "print([client.get(path.replace('{name}', 'b')).text for path in paths][1])\n"
    )
    script = PAGE.blocks("python")[1] + request
    told = subprocess.run(
        [sys.executable, "-c", script], cwd=project, capture_output=True, text=True, check=True
    )

    assert told.stdout == '{"name":"b"}\n'


def test_buf(project: Path) -> None:
    """The configuration for buf gives the same modules."""
    (config,) = PAGE.blocks("yaml")
    (project / "buf.gen.yaml").write_text(config)
    (project / "buf.yaml").write_text("version: v2\n")
    annotations = project / "google/api"
    annotations.mkdir(parents=True)
    for name in ("annotations.proto", "http.proto"):
        shutil.copy(Path(google.api.__path__[0], name), annotations)
    done = shell(project, "buf generate --path books")

    assert (done.returncode, done.stderr) == (0, "")
    assert (project / "books/v1/books_transcoder.py").read_text() == PAGE.blocks("python")[0]
    assert {path.name for path in (project / "books/v1").glob("*.py*")} == {
        "books_pb2.py",
        "books_pb2.pyi",
        "books_pb2_grpc.py",
        "books_transcoder.py",
    }


def test_options() -> None:
    """Each option has its row, with its default."""
    assert [name for name, _ in OPTIONS] == list(KNOWN)
    assert parse(",".join(f"{name}={default}" for name, default in OPTIONS if default)) == parse("")
