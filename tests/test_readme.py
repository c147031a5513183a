"""The README's commands, run as they stand against the running example service."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pages import ROOT, fits, readme

# In a folder of its own: what needs the hello of test_packaging, or is the test run itself.
ELSEWHERE = ("localhost:8000", "make test")


def commands() -> list[tuple[str, str]]:
    """Return the README's commands with what they print, in order."""
    found = readme().commands
    return [pair for pair in found if not any(words in pair[0] for words in ELSEWHERE)]


@dataclass(frozen=True)
class Service:
    """The running service: what it printed, and how to reach it."""

    told: str
    http: str
    grpc: str

    def here(self, text: str) -> str:
        """Return a text of the README with this service's ports."""
        return text.replace(":8080", f":{self.http}").replace(":50051", f":{self.grpc}")


def free_port() -> str:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """The example service as `make run` starts it, on free ports and in an empty folder."""
    http, grpc = free_port(), free_port()
    recipe = subprocess.run(
        ["make", "--no-print-directory", "-C", str(ROOT), "-n", "run"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert recipe.strip().endswith("-m services.user")
    process = subprocess.Popen(
        [sys.executable, "-m", "services.user", "--http", f":{http}", "--grpc", f":{grpc}"],
        cwd=tmp_path_factory.mktemp("service"),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    told = "".join(process.stdout.readline() for _ in range(4))
    yield Service(told, http, grpc)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)


def test_run(service: Service) -> None:
    """What `make run` prints is what the README shows."""
    [(_, expected)] = [pair for pair in commands() if pair[0] == "make run"]

    assert fits(service.here(expected), service.told)


def test_commands(service: Service) -> None:
    """Every curl and grpcurl command of the README prints what the README shows."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for command, expected in commands():
        if command == "make run":
            continue
        done = subprocess.run(
            ["sh", "-c", service.here(command)],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        assert fits(service.here(expected), done.stdout), f"{command}\n{done.stdout}{done.stderr}"


def test_make_test() -> None:
    """What `make test` runs ends as the README shows, here with the tests of one file."""
    [(command, expected)] = [pair for pair in readme().commands if pair[0] == "make test"]
    chosen = "-q tests/test_facts.py"
    made = ["--no-print-directory", "-C", str(ROOT), "-n", f"ARGS={chosen}"]
    recipe = subprocess.run([*command.split(), *made], capture_output=True, text=True, check=True)
    name, *words = recipe.stdout.splitlines()[-1].split()
    done = subprocess.run(
        [Path(sys.executable).with_name(Path(name).name), *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert fits(expected, done.stdout), done.stdout


def test_in_chinese() -> None:
    """The README in Chinese has the same blocks, and each README leads to the other."""
    chinese, english = readme("README.zh.md"), readme()
    blocks = [
        [(each.language, each.text) for each in told.all_blocks] for told in (chinese, english)
    ]

    assert blocks[0] == blocks[1]
    assert len(chinese.rows("## 现有功能")) == len(english.rows("## What works today"))
    assert "(README.md)" in chinese.text
    assert "(README.zh.md)" in english.text


def test_a_wrong_request_changes_nothing(service: Service) -> None:
    """After everything wrong that the README shows, the service still answers."""
    with socket.create_connection(("127.0.0.1", int(service.http)), timeout=5) as client:
        client.sendall(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")

        assert client.recv(100).startswith(b"HTTP/1.1 200")
