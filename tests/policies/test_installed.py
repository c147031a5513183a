"""A policy of somebody else's package, found by its entry point."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from transcoder.errors import ConfigError
from transcoder.policies import load

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "acme-opening-hours"
version = "1.0"

[project.entry-points."transcoder.policies"]
acme-opening-hours = "acme_opening_hours:OpeningHours"
acme-broken = "acme_opening_hours:missing"
acme-nothing = "acme_opening_hours:nothing"
"""

MODULE = '''
from datetime import UTC, datetime

from transcoder import Code
from transcoder.policies import Denied, Stage


class OpeningHours:
    """Lets nobody in at night."""

    name = "acme-opening-hours"
    stage = Stage.ADDRESS

    def __init__(self, opens=8, closes=20):
        self._hours = range(opens, closes)

    def decide(self, call, now):
        if datetime.fromtimestamp(now.wall, UTC).hour not in self._hours:
            raise Denied(Code.UNAVAILABLE, "we are closed", reason="closed")


def nothing():
    return None
'''

SCRIPT = """
import json, sys
from entrances import call_each
from transcoder.errors import ConfigError
from transcoder.policies import load

def code(hours):
    policy = load("acme-opening-hours", **hours)
    outcomes = call_each({}, policies=[policy])
    return sorted({calls[0].code.name for calls in outcomes.values()})

def problem(name, **options):
    try:
        load(name, **options)
    except ConfigError as error:
        return str(error)

print(json.dumps({
    "open": code({"opens": 0, "closes": 24}),
    "closed": code({"opens": 0, "closes": 0}),
    "by name": sorted({
        calls[0].code.name
        for calls in call_each({}, policies=["acme-opening-hours"]).values()
    } - {"OK", "UNAVAILABLE"}),
    "option": problem("acme-opening-hours", until=9),
    "broken": problem("acme-broken"),
    "nothing": problem("acme-nothing"),
    "unknown": problem("acme"),
}))
"""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """What a process says that has the package installed."""
    folder = tmp_path_factory.mktemp("acme")
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "acme_opening_hours.py").write_text(MODULE)
    site = folder / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*pip, "--target", str(site), str(folder)], check=True)
    root = Path(__file__).parents[2]
    paths = [str(site), str(root / "src"), str(root / "tests" / "apps")]
    script = f"import sys; sys.path[:0] = {paths!r}\n{SCRIPT}"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    found: dict[str, object] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(("hours", "code"), [("open", "OK"), ("closed", "UNAVAILABLE")])
def test_decides(told: dict[str, object], hours: str, code: str) -> None:
    """An installed policy decides through every entrance, with the options that it was given."""
    assert told[hours] == [code]


def test_by_name(told: dict[str, object]) -> None:
    """A gateway takes it by its name alone."""
    assert told["by name"] == []


@pytest.mark.parametrize(
    ("what", "problem"),
    [
        ("option", "policies: acme-opening-hours: TypeError: "),
        ("broken", "policies: acme-broken: AttributeError: "),
        ("nothing", "policies: NoneType is no policy: name, stage and decide() are expected"),
        ("unknown", "policies: there is no policy 'acme': installed are acme-broken, acme-nothing"),
    ],
)
def test_wrong(told: dict[str, object], what: str, problem: str) -> None:
    """What is wrong with it is told in one line, with its name."""
    assert str(told[what]).startswith(problem)
    assert "\n" not in str(told[what])


def test_none() -> None:
    """Where none is installed, that is told."""
    with pytest.raises(ConfigError, match="there is no policy 'acme': none is installed"):
        load("acme")
