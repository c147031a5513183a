from __future__ import annotations

import asyncio

import pytest
from click.testing import CliRunner

from services.user.__main__ import main
from services.user.app import create_app
from transcoder import Server


@pytest.mark.parametrize("option", ["http", "grpc", "workers", "database"])
def test_help_tells_the_default_and_the_variable(option: str) -> None:
    """Each option says what it is without it, and which variable sets it."""
    shown = " ".join(CliRunner().invoke(main, ["--help"]).output.split())
    help_line = shown.partition(f"--{option} ")[2].partition("--")[0]

    assert f"[env var: USER_{option.upper()}; default: " in help_line


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--database", "mysql://me:secret@host/users"], "mysql is not a database"),
        (["--database", "secret"], "the database is not a URL"),
        (["--database", "sqlite://", "--workers", "2"], "cannot be in memory"),
        (["--workers", "0"], "--workers"),
    ],
)
def test_a_wrong_option_is_told(arguments: list[str], problem: str) -> None:
    """A wrong option ends the command before it listens, and no password is shown."""
    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 2
    assert problem in result.output
    assert "secret" not in result.output


def test_a_database_that_cannot_be_opened_is_told_in_one_line() -> None:
    """The command ends with 1 and names the database."""
    arguments = ["--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0"]
    arguments += ["--database", "sqlite:////no/such/folder/users.db"]

    result = CliRunner().invoke(main, arguments)

    assert result.exit_code == 1
    assert result.stderr == (
        "Error: database sqlite:////no/such/folder/users.db: unable to open database file\n"
    )


def test_the_factory_reads_the_environment(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers make the application of the database that USER_DATABASE names."""
    monkeypatch.setenv("USER_DATABASE", sqlite_url)

    async def scenario() -> int:
        server = Server("services.user.app:create_app", settle=0, on_ready=lambda _: server.stop())
        return await server.serve("127.0.0.1:0", "127.0.0.1:0")

    assert asyncio.run(scenario()) == 0


def test_the_application_serves_the_users() -> None:
    """The gateway has the one service, under its full name."""
    assert create_app("sqlite://").services == ("services.user.v1.UserService",)
