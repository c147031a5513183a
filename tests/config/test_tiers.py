"""What `check` says of several gateways together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from over_tls import HERE, write
from tokens import jwks, rsa
from transcoder.cli import main

SERVICE: dict[str, Any] = {"module": "services.user.v1.user_service_pb2", "upstream": "a"}
GOOD: dict[str, Any] = {
    "upstreams": {"a": {"target": "localhost:1"}},
    "services": [SERVICE],
    "tls": {"certificate": "here.pem", "key": "here.key", "client_ca": "here.pem"},
}
JWT = {"issuers": [{"name": "https://a.example", "audiences": ["api"], "keys": "keys.json"}]}
BOTH = {
    "request_id": {},
    "jwt": JWT,
    "rate_limits": [{"rate": "5/second"}],
    "concurrency": {},
    "mutual_tls": {"allow": ["*"]},
    "security_headers": {},
}
PEERS = {"trusted_peers": ["edge.internal"]}
NOBODY = "role: internal trusts nobody: name the edge's certificate in trusted_peers"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a certificate where the files are."""
    monkeypatch.chdir(tmp_path)
    write(tmp_path, HERE, "here")


@pytest.mark.parametrize(
    ("internal", "noted"),
    [
        # What is asked of everybody else stands before trusted peers no more.
        ({**PEERS, "policies": BOTH}, ["security-headers"]),
        ({**PEERS, "policies": BOTH, "skip_for_trusted": ["jwt"]}, ["rate-limit", "security-he"]),
        ({"policies": BOTH}, [NOBODY, "jwt", "rate-limit", "security-headers"]),
        ({**PEERS, "policies": {"ip_filter": {}}}, []),  # not at the edge
    ],
)
def test_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, internal: dict[str, Any], noted: list[str]
) -> None:
    """A policy that runs at an edge and behind it, for the same calls, is noted; that is all."""
    monkeypatch.chdir(tmp_path)
    Path("keys.json").write_text(json.dumps(jwks(rsa())))
    Path("edge.yaml").write_text(json.dumps({**GOOD, "role": "edge", "policies": BOTH}))
    Path("inner.yaml").write_text(
        json.dumps({**GOOD, "role": "internal", **internal}, indent=1).replace("    ", "  ")
    )

    checked = CliRunner().invoke(main, ["check", "edge.yaml", "inner.yaml"])
    lines = checked.stdout.splitlines()

    assert (checked.exit_code, checked.stderr) == (0, "no problems in edge.yaml, inner.yaml\n")
    assert len(lines) == len(noted)
    for name in noted:
        (line,) = [each for each in lines if f": note: {name}" in each]
        assert line.startswith("inner.yaml:")
        assert name == NOBODY or "runs for the same calls as at edge.yaml: " in line


def test_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each note has the place of the policy."""
    monkeypatch.chdir(tmp_path)
    Path("edge.yaml").write_text(
        json.dumps({**GOOD, "role": "edge", "policies": {"rate_limits": [{"rate": "1/second"}]}})
    )
    service = json.dumps(GOOD)[1:-1]
    Path("inner.yaml").write_text(
        f"{{{service}, role: internal, policies: {{\n  rate_limits: [{{rate: 2/second}}]}}}}"
    )
    checked = CliRunner().invoke(main, ["check", "edge.yaml", "inner.yaml"])

    [_, told] = checked.stdout.splitlines()
    assert told == (
        "inner.yaml:2:17: note: rate-limit runs for the same calls as at edge.yaml: "
        "name the edge's certificate in trusted_peers"
    )


def listed(given: dict[str, Any]) -> str:
    """Return a file with a line for each of its keys."""
    return "\n".join(f"{key}: {json.dumps(value)}" for key, value in given.items())


def test_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the edge says of a caller, and anybody can say behind it, is noted."""
    monkeypatch.chdir(tmp_path)
    Path("keys.json").write_text(json.dumps(jwks(rsa())))
    Path("api.json").write_text('{"keys": []}')
    told = {"tenant": "x-tenant", "sub": "x-user-id", "plan": "x-plan", "realm": "x-realm"}
    keys = {"keys": "api.json", "forward": {"id": "x-key-id"}}
    edge = {
        "policies": {"request_id": {}, "jwt": {**JWT, "forward": told}},
        "overrides": {"/docs": {"api_keys": keys}},
    }
    Path("edge.yaml").write_text(listed({"role": "edge", **GOOD, **edge}))
    behind = {**GOOD, **PEERS, "role": "internal"}
    Path("inner.yaml").write_text(listed({"strip": ["X_Plan"], **behind}))
    Path("safe.yaml").write_text(listed({**behind, "strip": ["x-plan", "x-r*", "x-key-id"]}))
    checked = CliRunner().invoke(main, ["check", "edge.yaml", "inner.yaml", "safe.yaml"])

    assert checked.exit_code == 0
    assert [line for line in checked.stdout.splitlines() if "believed of everybody" in line] == [
        f"inner.yaml:1:1: note: {name}: said by edge.yaml, and believed of everybody: "
        "name it in strip"
        for name in ("x-key-id", "x-realm")
    ]


def test_unsaid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an internal gateway believes of an edge that takes its clients' word is noted."""
    monkeypatch.chdir(tmp_path)
    both = [{"name": "v1", "upstream": "a", "weight": 100}]
    matches = [
        {"header": "user-agent", "prefix": "Phone", "to": "v1"},
        {"header": "x-tenant-id", "exact": "a", "to": "v1"},
    ]
    service = {"module": SERVICE["module"], "versions": both, "matches": matches}
    behind = {**PEERS, "role": "internal", "strip": ["x-shop-*"], **GOOD, "services": [service]}
    Path("inner.yaml").write_text(listed(behind))
    Path("alone.yaml").write_text(listed({**behind, "trusted_peers": []}))
    Path("edge.yaml").write_text(listed({"role": "edge", **GOOD}))
    Path("safe.yaml").write_text(listed({"role": "edge", "strip": ["x-shop-*", "x-t*"], **GOOD}))
    checked = CliRunner().invoke(
        main, ["check", "edge.yaml", "safe.yaml", "inner.yaml", "alone.yaml"]
    )

    told = "believed of edge.yaml, whose clients may say it: name it in strip there"
    assert checked.exit_code == 0
    assert checked.stdout.splitlines() == [
        f"inner.yaml:3:9: note: x-shop-*: {told}",
        f"alone.yaml:2:1: note: {NOBODY}",
    ]


def test_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What an edge lets clients say, and an internal gateway believes of it, is noted."""
    monkeypatch.chdir(tmp_path)
    Path("edge.yaml").write_text(
        listed({"role": "edge", "keep": ["x-plan", "x-tenant-id"], **GOOD})
    )
    Path("inner.yaml").write_text(listed({**PEERS, "role": "internal", **GOOD}))
    checked = CliRunner().invoke(main, ["check", "edge.yaml", "inner.yaml"])

    told = "clients may say it, and inner.yaml believes it of this gateway"
    assert checked.exit_code == 0
    assert checked.stdout == f"edge.yaml:2:18: note: x-tenant-id: {told}\n"


def test_unheard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A match by a header that an edge takes away is noted, unless it is kept."""
    monkeypatch.chdir(tmp_path)
    both = [{"name": "v1", "upstream": "a", "weight": 100}]
    matches = [{"header": "x-tenant-id", "exact": "a", "to": "v1"}]
    service = {"module": SERVICE["module"], "versions": both, "matches": matches}
    edge = {"role": "edge", **GOOD, "services": [service]}
    Path("edge.yaml").write_text(listed(edge))
    Path("kept.yaml").write_text(listed({"keep": ["x-tenant-*"], **edge}))
    checked = CliRunner().invoke(main, ["check", "edge.yaml", "kept.yaml"])

    told = "taken away of what clients say: match a claim, or name it in keep"
    [line] = checked.stdout.splitlines()
    assert line.startswith("edge.yaml:")
    assert line.endswith(f": note: x-tenant-id: {told}")


def test_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is wrong is told, in whichever of the files."""
    monkeypatch.chdir(tmp_path)
    Path("edge.yaml").write_text(json.dumps({**GOOD, "role": "middle"}))
    Path("inner.yaml").write_text(json.dumps({**GOOD, "skip_for_trusted": ["jwt"]}))
    checked = CliRunner().invoke(main, ["check", "edge.yaml", "inner.yaml"])

    assert checked.exit_code == 1
    assert checked.stderr == "2 problems in edge.yaml, inner.yaml\n"
    assert "role: 'edge' or 'internal' is expected" in checked.stdout
    assert "inner.yaml:1:230: skip_for_trusted: no policy is named 'jwt'" in checked.stdout
