"""docs/gateway.md says what the code does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pages import page
from tokens import jwks, rsa
from transcoder.cli import main
from transcoder.config import Config, build, load
from transcoder.upstream.split import Split

PAGE = page("gateway.md")
(EXAMPLE,) = PAGE.blocks("yaml")
WRONG = """\
upstreams:
  users: {taget: "localhost:50061", target: "localhost:50061"}
services:
  - {module: services.user.v1.user_service_pb2, upstream: users}
polices: {}
"""


def test_example(tmp_path: Path) -> None:
    """The file is one that can be served, and is what it looks like."""
    (tmp_path / "keys.json").write_text(json.dumps(jwks(rsa())))
    (tmp_path / "gateway.yaml").write_text(EXAMPLE)
    gateway = build(load(tmp_path / "gateway.yaml"), tmp_path).gateway
    gateway.compile()
    found = gateway._registry.upstream_of("/services.user.v1.UserService/GetUser")

    assert isinstance(found, Split)
    assert found.counts == {"v1": 0, "v2": 0}


@pytest.mark.parametrize(("command", "printed"), PAGE.commands)
def test_commands(
    command: str, printed: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commands print what the page shows."""
    monkeypatch.chdir(tmp_path)
    Path("keys.json").write_text(json.dumps(jwks(rsa())))
    Path("gateway.yaml").write_text(EXAMPLE)
    Path("wrong.yaml").write_text(WRONG)
    result = CliRunner().invoke(main, command.split()[1:])

    assert result.stdout + result.stderr == printed


def test_keys() -> None:
    """The table has each key that a file may have."""
    told = {
        key
        for row in PAGE.rows("## What the file may say")
        for key in re.findall(r"`(\w+)`", row[0])
    }

    assert told == set(Config.model_fields)
    assert yaml.safe_load(EXAMPLE).keys() <= told
