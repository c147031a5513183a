"""docs/tls.md says what the code does."""

from __future__ import annotations

import contextlib
import dataclasses
import http.client
import os
import re
import select
import shlex
import shutil
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from over_tls import CA, CLIENT, EXPIRED, HERE, trust, write, write_ca
from pages import ROOT, commands, fits, page
from transcoder import ConfigError, Server, ServerTls
from transcoder.certificates import PERIOD, Certificates

PAGE = page("tls.md")
SECTIONS = ["# How does it speak TLS?", "## How do clients show who they are?"]
READY = "on_ready=lambda _: print(flush=True)"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with the files of the page."""
    for leaf, name in ((HERE, "server"), (CLIENT, "client")):
        write(tmp_path, leaf, name)
    write_ca(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def free_port() -> str:
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def blocks(heading: str, language: str) -> list[str]:
    """Return what stands in a section before the next heading, of one language."""
    text = PAGE.text.partition(f"{heading}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("heading", SECTIONS)
def test_commands(folder: Path, heading: str) -> None:
    """The server of a section is what its commands meet, and they print what it shows."""
    ports = {":8443": f":{free_port()}", ":50051": f":{free_port()}"}

    def here(text: str) -> str:
        for shown, real in ports.items():
            text = text.replace(shown, real)
        return text

    (code,) = blocks(heading, "python")
    program = folder / "program.py"
    program.write_text(here(code).replace("tls=tls)", f"tls=tls, {READY})"))
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    environment = {**os.environ, "PATH": path, "USER_DATABASE": "sqlite://"}
    (console,) = blocks(heading, "console")
    assert len(commands(console)) > 2
    with subprocess.Popen(
        [sys.executable, str(program)], stdout=subprocess.PIPE, env=environment
    ) as server:
        try:
            assert server.stdout is not None
            assert select.select([server.stdout], [], [], 20)[0]
            for command, expected in commands(console):
                done = subprocess.run(
                    ["sh", "-c", here(command)],
                    env=environment,
                    capture_output=True,
                    text=True,
                    check=False,
                )
                assert fits(expected, done.stdout or done.stderr), command
        finally:
            server.terminate()


@contextlib.contextmanager
def serving(folder: Path, *more: str) -> Iterator[str]:
    """Run the page's command with more options; yield the target of REST, and leave `log`."""
    (command,) = PAGE.blocks("sh")
    name, *words = shlex.split(command)
    told = {"HTTP": "127.0.0.1:0", "GRPC": "127.0.0.1:0", "SETTLE": "0"}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            [Path(sys.executable).with_name(name), *words, *more],
            cwd=folder,
            env={
                **os.environ,
                **{f"TRANSCODER_{key}": value for key, value in told.items()},
                "PYTHONPATH": str(ROOT / "src"),
                "USER_DATABASE": "sqlite://",
            },
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], 30)[0]
            found = re.match(r"REST on (\S+), ", process.stdout.readline())
            assert found is not None
            yield found[1]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def test_the_command(folder: Path) -> None:
    """The command of the page speaks TLS."""
    with serving(folder) as target:
        client = http.client.HTTPSConnection(target, context=trust(), timeout=30)
        with contextlib.closing(client):
            client.request("GET", "/v1/users")

            assert client.getresponse().read() == b"{}"


def test_a_failed_handshake(folder: Path) -> None:
    """A client without a certificate is told in the log as the page shows it."""
    (_, shown) = PAGE.blocks("text")
    with serving(folder, "--tls-client-ca", "ca.pem") as target:
        host, port = target.split(":")
        with socket.create_connection((host, int(port)), timeout=30) as plain:
            own = plain.getsockname()[1]
            refused = contextlib.suppress(ssl.SSLError, ConnectionError)
            with refused, trust().wrap_socket(plain, server_hostname=host) as client:
                client.recv(1)

    assert shown.replace(":53412", f":{own}") in (folder / "log").read_text()


def test_ports_that_differ(folder: Path) -> None:
    """The third server has TLS on one port, as the command would have it."""
    (code,) = blocks("## May the ports differ?", "python")

    assert isinstance(PAGE.run(code)["server"], Server)
    assert (folder / "server.pem").exists()


def test_options() -> None:
    """The table has every option, with its default."""
    rows = {row[0].strip("`"): row[1] for row in PAGE.rows("# How does it speak TLS?") if row[1:]}
    fields = {field.name: field.default for field in dataclasses.fields(ServerTls)}
    told = {
        name: "" if default is dataclasses.MISSING else f"`{default!r}`".replace("'", '"')
        for name, default in fields.items()
    }

    assert {name: rows[name] for name in told} == told


def test_names() -> None:
    """What the page says of names, numbers and signals is so."""
    assert PERIOD == 1.0
    assert "once a second" in PAGE.text
    assert "`transcoder.policies.mutual_tls.MutualTls`" in PAGE.text


ERRORS = {row[0]: row[1].strip("`") for row in PAGE.rows("## What if one is wrong?")}


def spoiled(folder: Path, how: str) -> None:
    """Spoil the files of a server."""
    key, certificate = folder / "server.key", folder / "server.pem"
    if how == "no such file":
        certificate.unlink()
    elif how == "no PEM":
        key.write_bytes(b"no PEM")
    elif how == "another key":
        shutil.copy(write(folder, CA.issue_cert("other"), "other")["key"], key)
    elif how == "a password":
        locked = ["-aes256", "-passout", "pass:x", "-out", "locked"]
        subprocess.run(["openssl", "pkey", "-in", key, *locked], check=True)
        (folder / "locked").rename(key)
    else:
        assert how == "expired"
        write(folder, EXPIRED)


@pytest.mark.parametrize("how", ERRORS)
def test_errors(folder: Path, caplog: pytest.LogCaptureFixture, how: str) -> None:
    """Each error of the table is told in these words, as is what a reload says."""
    tls = ServerTls(certificate="server.pem", key="server.key")
    before = Certificates(tls, "tls")
    spoiled(folder, how)
    caught: Any = None
    try:
        Certificates(tls, "tls")
    except ConfigError as error:
        caught = error

    assert ERRORS[how] == (caplog.messages[0] if caught is None else str(caught))
    if how == "another key":
        before.reload()
        assert caplog.messages == [blocks("## What if a certificate changes?", "text")[0].strip()]
