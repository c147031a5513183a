"""The commands of the services that speak TLS only."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from over_tls import HERE, write, write_ca
from services.inventory.__main__ import main as inventory
from services.order.__main__ import main as order
from services.payment.__main__ import main as payment

COMMANDS = {"INVENTORY": inventory, "ORDER": order, "PAYMENT": payment}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize(
    "option", ["http", "grpc", "database", "tls-certificate", "access-log", "admin"]
)
def test_help_tells_the_variable(name: str, option: str) -> None:
    """Each option says which variable of the environment sets it."""
    shown = " ".join(CliRunner().invoke(COMMANDS[name], ["--help"]).output.split())
    help_line = shown.partition(f"--{option} ")[2].partition(" --")[0]

    assert f"[env var: {name}_{option.upper().replace('-', '_')}" in help_line


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_no_service_without_tls(command: click.Command) -> None:
    """A service whose certificate is not told does not start."""
    result = CliRunner().invoke(command, [])

    assert result.exit_code == 2
    assert "Missing option '--tls-certificate'" in result.output


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--database", "mysql://me:secret@host/x"], "mysql is not a database"),
        (["--database", "sqlite:////no/such/folder/x.db"], "unable to open database file"),
        (["--tls-key", "none.key"], "tls: key: none.key cannot be read"),
        (["--tls-key", "ca.pem"], "tls: key: ca.pem"),
    ],
)
def test_a_wrong_option_is_told_in_one_line(
    command: click.Command,
    options: list[str],
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The command ends with 1 before it serves, and tells no password."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, HERE)
    write_ca(tmp_path)
    usual = ["--tls-certificate", "server.pem", "--tls-key", "server.key", "--tls-ca", "ca.pem"]
    usual += ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0", "--database", "sqlite://"]
    result = CliRunner().invoke(command, [*usual, *options])

    assert result.exit_code == 1
    assert problem in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert "secret" not in result.stderr
