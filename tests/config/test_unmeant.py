"""What `check` says of what has no effect."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from transcoder.cli import main

KEYS = {"api_keys": {"keys": "keys.json"}}


def checked(by: dict[str, Any], **told: Any) -> list[str]:
    """Return what is noted of a file whose second line begins with how a version is chosen."""
    service = {
        "module": "services.user.v1.user_service_pb2",
        "versions": [{"name": "v1", "upstream": "a", "weight": 100}],
        **by,
    }
    said = {"upstreams": {"a": {"target": "localhost:1"}}, **told, "services": [service]}
    text = json.dumps(said)
    for key in by:
        text = text.replace(f'"{key}": [', f'"{key}": [\n').replace(
            f'"{key}": {{', f'\n"{key}": {{'
        )
    Path("g.yaml").write_text(text)
    result = CliRunner().invoke(main, ["check", "g.yaml"])
    assert (result.exit_code, result.stderr) == (0, "no problems in g.yaml\n"), result.stdout
    return result.stdout.splitlines()


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have keys where the file is."""
    monkeypatch.chdir(tmp_path)
    Path("keys.json").write_text('{"keys": []}')


NOT = "over HTTP it is not looked at"


@pytest.mark.parametrize(
    ("by", "told", "noted"),
    [
        ({"claim": "tenant"}, {}, "claim tenant: there is no policy that knows callers"),
        ({"claim": "tenant"}, {"policies": KEYS}, ""),
        ({"claim": "tenant"}, {"overrides": {"*": KEYS}}, ""),
        ({"claim": "tenant", "header": "x-tenant"}, {}, ""),  # the header, where no claim is
        ({"header": "Host"}, {}, f"header Host: {NOT}"),
        ({"header": "grpc-timeout"}, {}, f"header grpc-timeout: {NOT}"),
        ({"header": "cookie"}, {}, f"header cookie: {NOT}"),
        ({"header": "cookie"}, {"profile": "grpc-gateway"}, ""),  # Grpc-Metadata-Cookie
        ({"header": "grpcgateway-cookie"}, {"profile": "grpc-gateway"}, ""),
        ({"header": "x-group"}, {"profile": "grpc-gateway"}, ""),  # Grpc-Metadata-X-Group
        ({"header": "x-forwarded-host"}, {}, ""),
        ({"header": "x-group"}, {"profile": "strict"}, f"header x-group: {NOT}"),
    ],
)
def test_unfit(by: dict[str, str], told: dict[str, Any], noted: str) -> None:
    """A match that no call fits is noted, at its place."""
    expected = [f"g.yaml:2:1: note: {noted}"] if noted else []
    assert checked({"matches": [{**by, "exact": "a", "to": "v1"}]}, **told) == expected


def test_unfit_of_several() -> None:
    """Of several conditions the one is noted that no call fits."""
    both = [{"header": "x-a", "exact": "a"}, {"claim": "b", "exact": "b"}]
    [line] = checked({"matches": [{"all": both, "to": "v1"}]})
    assert line.startswith("g.yaml:2:43: note: claim b: ")


def test_sticky() -> None:
    """So is what calls stick by, and never have."""
    told = "claim b: there is no policy that knows callers"
    assert checked({"sticky": {"claim": "b"}}) == [f"g.yaml:2:1: note: {told}"]


def test_discovery() -> None:
    """A file of endpoints may come later, and is noted until it does."""
    upstreams = {"a": {"discovery": {"file": "a.yaml"}}}
    before = checked({}, upstreams=upstreams)
    Path("a.yaml").write_text("endpoints: ['localhost:1']")

    assert before == ["g.yaml:1:36: note: a.yaml is not there: there are no endpoints until it is"]
    assert checked({}, upstreams=upstreams) == []
