"""docs/example-services.md says what the services do."""

from __future__ import annotations

import os
import re
import select
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from click.testing import CliRunner

from over_tls import write, write_ca
from pages import fits, page
from services.order.v1.order_service_pb2 import Order
from shop import CERTIFICATES, PATIENCE
from transcoder import Code, Gateway

PAGE = page("example-services.md")
NUMBER = {"inventory": "2", "payment": "3", "order": "4"}


def free_port() -> str:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the files of the page."""
    write_ca(tmp_path)
    for name, leaf in CERTIFICATES.items():
        write(tmp_path, leaf, name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def ports(folder: Path) -> Iterator[dict[str, str]]:
    """The ports of the page, and those on which its services are served here."""
    [block] = PAGE.blocks("sh")
    lines = block.strip().splitlines()
    told = re.findall(r":(\d+)\b", PAGE.text)
    assert {"8081", "8083", "50052"} <= set(told)
    real = {f":{port}": f":{free_port()}" for port in ("8081", "8082", "8083")}
    real |= {f":5005{number}": f":{free_port()}" for number in NUMBER.values()}
    started = []
    for line, http, grpc in zip(lines, list(real)[:3], list(real)[3:], strict=True):
        program, *arguments = shlex.split(line)
        assert program == "python"
        arguments += ["--http", f"127.0.0.1{real[http]}", "--grpc", f"127.0.0.1{real[grpc]}"]
        if "services.order" in arguments:
            arguments += ["--inventory", f"localhost{real[':50052']}"]
            arguments += ["--payment", f"localhost{real[':50053']}"]
        started.append(
            subprocess.Popen([sys.executable, *arguments], cwd=folder, stdout=subprocess.PIPE)
        )
    try:
        for process in started:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], PATIENCE)[0]
        yield real
    finally:
        for process in started:
            process.kill()
            process.communicate()


def test_commands(ports: dict[str, str]) -> None:
    """Every command prints what the page shows, one after another."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    for shown, expected in PAGE.commands:
        command = shown
        for told, real in ports.items():
            command = command.replace(f"localhost{told}", f"localhost{real}")
        done = subprocess.run(
            ["sh", "-c", command],
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
        assert fits(expected, done.stdout), f"{command}\n{done.stdout}{done.stderr}"


def test_default_ports() -> None:
    """Without options the services listen where the page says."""
    mains = [import_module(f"services.{name}.__main__").main for name in NUMBER]
    help_texts = [CliRunner().invoke(main, ["--help"]).output for main in mains]
    http = [re.findall(r"default: :(80\d\d)", text)[0] for text in help_texts]
    grpc = [re.findall(r"default: :(500\d\d)", text)[0] for text in help_texts]

    assert "{}, {} and {}, gRPC on {}, {} and {}".format(*http, *grpc) in " ".join(
        PAGE.text.split()
    )
    assert "ORDER_REPLICA" in help_texts[2]


@pytest.mark.usefixtures("folder")
def test_python() -> None:
    """Each block of Python runs."""
    guarding, calling = [PAGE.run(block) for block in PAGE.blocks("python")]

    assert isinstance(guarding["app"], Gateway)
    assert calling["inventory"].ReserveStock is not None


def test_names() -> None:
    """The states and the codes that the table names are there."""
    rows = PAGE.rows("## What becomes of an order")
    states = {row[2].strip("`") for row in rows if row[2].startswith("`")}
    codes = {found for row in rows for found in re.findall(r"^[A-Z_]{2,}", row[1])}

    assert states < set(Order.State.keys())
    assert codes < {code.name for code in Code}
