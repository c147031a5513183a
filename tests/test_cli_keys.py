from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from transcoder.cli import main


def run(path: Path, *arguments: str) -> Result:
    """Run `transcoder keys` on a file."""
    command, *rest = arguments
    return CliRunner().invoke(main, ["keys", command, "--file", str(path), *rest])


def listed(path: Path) -> list[dict[str, Any]]:
    """Return what `list --json` prints."""
    rows: list[dict[str, Any]] = json.loads(run(path, "list", "--json").stdout)
    return rows


def test_create(tmp_path: Path) -> None:
    """A new key is printed, and the file holds its hash and not its secret."""
    path = tmp_path / "keys.json"
    done = run(path, "create", "--subject", "billing", "--scope", "a", "--scope", "b")
    name, _, secret = done.stdout.strip().partition(".")
    assert done.exit_code == 0
    assert len(secret) >= 43
    assert secret not in path.read_text()
    (row,) = listed(path)
    assert (row["id"], row["subject"], row["scopes"]) == (name, "billing", ["a", "b"])
    assert row["state"] == "holds"


def test_owner_only(tmp_path: Path) -> None:
    """Only its owner reads the file."""
    path = tmp_path / "keys.json"
    run(path, "create", "--subject", "billing")
    assert path.stat().st_mode & 0o077 == 0


def test_list(tmp_path: Path) -> None:
    """The table says whose a key is and whether it holds."""
    path = tmp_path / "keys.json"
    name = run(path, "create", "--subject", "billing").stdout.partition(".")[0]
    run(path, "create", "--subject", "audit")
    run(path, "revoke", name)
    lines = run(path, "list").stdout.splitlines()
    assert [line.split()[-1] for line in lines] == ["state", "revoked", "holds"]
    assert lines[1].split()[:2] == [name, "billing"]


def test_revoke(tmp_path: Path) -> None:
    """A key is revoked once; whoever does it again is told since when it is."""
    path = tmp_path / "keys.json"
    key = run(path, "create", "--subject", "billing").stdout.strip()
    first = run(path, "revoke", key)
    assert first.stdout.startswith(f"{key.partition('.')[0]} of billing is revoked since 20")
    assert run(path, "revoke", key).stdout == first.stdout
    assert listed(path)[0]["state"] == "revoked"


def test_lifetime(tmp_path: Path) -> None:
    """A key may hold for a time only."""
    path = tmp_path / "keys.json"
    run(path, "create", "--subject", "billing", "--lifetime", "90d")
    assert listed(path)[0]["expires"] > listed(path)[0]["created"]


@pytest.mark.parametrize(
    ("text", "arguments", "problem"),
    [
        (None, ["list"], "No such file or directory"),
        ("[]", ["list"], 'not {"keys": […]} as it should be'),
        ('{"keys": []}', ["revoke", "abc"], "there is no key abc"),
        (None, ["create", "--subject", "a", "--lifetime", "long"], "write one as 90d or 12h"),
        (None, ["create", "--subject", ""], "id and subject are expected"),
    ],
)
def test_errors(tmp_path: Path, text: str | None, arguments: list[str], problem: str) -> None:
    """What is wrong is told in one line."""
    path = tmp_path / "keys.json"
    if text is not None:
        path.write_text(text)
    done = run(path, *arguments)
    assert done.exit_code != 0
    assert problem in done.stderr.splitlines()[-1]
