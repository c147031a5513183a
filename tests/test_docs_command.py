"""What docs/command.md says of `serve` and `call`, with the example service as a process."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pages import ROOT, fits, page

PAGE = page("command.md")
SCRIPT = str(Path(sys.executable).with_name("transcoder"))


@pytest.fixture
def ports(tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The ports of the example service, with no users yet."""
    with subprocess.Popen(
        [sys.executable, "-m", "services.user", "--http=localhost:0", "--grpc=localhost:0"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = re.match(r"REST on \S*:(\d+), gRPC on \S*:(\d+)\.", process.stdout.readline())
        assert told is not None
        yield told[1], told[2]
        process.kill()


def test_serve(tmp_path: Path) -> None:
    """The command of the page serves, and ends with its drain."""
    command, *_ = PAGE.blocks("sh")
    _, *words = shlex.split(command.replace(":8000", ":0"))
    path = {"PYTHONPATH": str(ROOT / "src"), "TRANSCODER_GRPC": "127.0.0.1:0"}
    with subprocess.Popen(
        [SCRIPT, *words, "--settle", "0"],
        cwd=tmp_path,
        env={**os.environ, **path},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("REST on 127.0.0.1:")
        process.terminate()

    assert process.returncode == 0


def test_calls(ports: tuple[str, str], tmp_path: Path) -> None:
    """Each command does what the page says of it."""
    _, *blocks = PAGE.blocks("sh")
    commands = [line for block in blocks for line in block.splitlines()]
    http, grpc = ports
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = [
        subprocess.run(
            ["sh", "-c", command.replace(":50051", f":{grpc}").replace(":8080", f":{http}")],
            env={**os.environ, "PATH": path},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        for command in commands
    ]
    created, got, imported, refused, over_rest = done

    assert [each.returncode for each in done] == [0, 0, 0, 1, 0]
    assert fits('{"id":"ada","name":"Ada",...}', created.stdout)
    assert got.stdout == created.stdout == over_rest.stdout
    assert fits('{"createdCount":"1","failedCount":"1",...}', imported.stdout)
    (shown,) = PAGE.blocks("text")
    assert refused.stderr == shown
    assert over_rest.stderr == "GET /v1/users/ada\n"
