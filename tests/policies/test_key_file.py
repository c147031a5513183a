from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from transcoder.errors import ConfigError
from transcoder.policies.key_file import KeyFile, create_key, digest, revoke_key

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
LATER = NOW + timedelta(days=1)


def made(path: Path, **options: Any) -> tuple[str, str]:
    """Add a key to a file; return its id and its secret."""
    name, _, secret = create_key(path, "ann", ["a"], NOW, **options).partition(".")
    return name, secret


def test_found(tmp_path: Path) -> None:
    """A key is found by its id, and its secret fits its hash."""
    path = tmp_path / "keys"
    name, secret = made(path)
    key = KeyFile(path).find(name, 0.0)
    assert key is not None
    assert bytes.fromhex(key.sha256) == digest(secret)
    assert (key.subject, key.scopes, key.created) == ("ann", ("a",), "2026-01-31T12:00:00Z")


def test_changes(tmp_path: Path) -> None:
    """A change of the file is seen when a second has passed."""
    path = tmp_path / "keys"
    name, _ = made(path)
    keys = KeyFile(path)
    assert keys.find(name, 0.0) is not None
    other, _ = made(path)
    revoke_key(path, name, LATER)
    assert keys.find(other, 0.5) is None
    assert keys.find(other, 1.0) is not None
    found = keys.find(name, 1.0)
    assert found is not None
    assert not found.holds(NOW.timestamp())


@pytest.mark.parametrize("text", ["{", None])
def test_bad_change(tmp_path: Path, text: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """While a file cannot be read, what it held before counts, and that is logged once."""
    path = tmp_path / "keys"
    name, _ = made(path)
    keys = KeyFile(path)
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    caplog.set_level(logging.WARNING)
    for second in range(1, 4):
        assert keys.find(name, float(second)) is not None
    assert len(caplog.messages) == 1
    assert keys.problem.startswith(f"api-keys: {path}: ")


def test_expires(tmp_path: Path) -> None:
    """A key with a lifetime holds until it is over."""
    path = tmp_path / "keys"
    name, _ = made(path, lifetime=timedelta(days=1))
    key = KeyFile(path).find(name, 0.0)
    assert key is not None
    assert key.holds(LATER.timestamp() - 1)
    assert not key.holds(LATER.timestamp())


ROW = {"id": "a", "sha256": "0" * 64, "subject": "ann"}


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", 'not {"keys": […]}'),
        ("[]", 'not {"keys": […]}'),
        ('{"keys": 1}', 'not {"keys": […]}'),
        ('{"keys": ["a"]}', 'not {"keys": […]}'),
        (json.dumps({"keys": [{**ROW, "colour": "red"}]}), "unexpected keyword argument 'colour'"),
        (json.dumps({"keys": [{**ROW, "sha256": "0"}]}), "a: sha256: 64 hexadecimal digits"),
        (json.dumps({"keys": [{**ROW, "sha256": "x" * 64}]}), "non-hexadecimal"),
        (json.dumps({"keys": [{**ROW, "subject": ""}]}), "id and subject are expected"),
        (json.dumps({"keys": [{**ROW, "expires": "soon"}]}), "'soon' is no time of RFC 3339"),
        (json.dumps({"keys": [{**ROW, "expires": "2026-01-01T00:00:00"}]}), "has no time zone"),
        (json.dumps({"keys": [ROW, ROW]}), "two keys have the same id"),
    ],
)
def test_malformed(tmp_path: Path, text: str, problem: str) -> None:
    """A file that holds no keys is an error at start, which names the file."""
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        KeyFile(path)
    assert str(caught.value).startswith(f"api-keys: {path}: ")
    assert problem in str(caught.value)


def test_missing(tmp_path: Path) -> None:
    """So is one that is not there."""
    with pytest.raises(ConfigError, match="No such file"):
        KeyFile(tmp_path / "keys")
