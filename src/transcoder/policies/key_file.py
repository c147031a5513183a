"""API keys in a file, of which it holds the hashes.

A key is `ID.SECRET`. The secret is 32 random bytes, so its SHA-256 tells nobody what it was, and
there is nothing to gain by a slower hash. The file is JSON:

    {"keys": [{"id": "…", "sha256": "…", "subject": "billing", "scopes": ["orders.read"],
               "created": "2026-01-31T12:00:00Z", "expires": "", "revoked": ""}]}

Times are of RFC 3339; empty is never.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Generator, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from transcoder.errors import ConfigError

_log = logging.getLogger(__name__)

_LOOK: Final = 1.0
"""Seconds between two looks at whether the file has changed."""

_ID_SIZE: Final = 8
_SECRET_SIZE: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """What is kept of a key.

    Args:
        id: its name, which may be told.
        sha256: of its secret, in hexadecimal digits.
        subject: whose it is.
        scopes: what it grants.
        created: when it was made.
        expires: when it no longer holds.
        revoked: since when it does not.
    """

    id: str
    sha256: str
    subject: str
    scopes: tuple[str, ...] = ()
    created: str = ""
    expires: str = ""
    revoked: str = ""

    def __post_init__(self) -> None:
        """Check what a file says."""
        texts = self.id, self.subject, self.created, self.expires, self.revoked, *self.scopes
        if not all(isinstance(each, str) for each in texts) or not self.id or not self.subject:
            raise ConfigError("id and subject are expected, and texts")
        if len(self.sha256) != hashlib.sha256().digest_size * 2:
            raise ConfigError(f"{self.id}: sha256: 64 hexadecimal digits are expected")
        bytes.fromhex(self.sha256)
        _seconds(self.expires)

    def holds(self, now: float) -> bool:
        """Say whether the key holds at this time, in seconds since 1970."""
        return not self.revoked and (not self.expires or now < _seconds(self.expires))


class KeyFile:
    """API keys in a file; a change of it is seen within a second.

    Args:
        path: of the file.

    Raises:
        ConfigError: it cannot be read, or holds no keys.
    """

    def __init__(self, path: str | Path) -> None:
        self.path: Final = Path(path)
        self._keys: dict[str, ApiKey] = {}
        self._seen: tuple[int, int, int] | None = None
        self._looked = float("-inf")
        self.problem = ""
        """Why the file as it is now does not count; empty while it does."""
        self._load()
        if self.problem:
            raise ConfigError(self.problem)

    def find(self, name: str, now: float) -> ApiKey | None:
        """Return a key by its id; None if there is none.

        Args:
            name: the id.
            now: on the clock of `time.monotonic`.
        """
        if now - self._looked >= _LOOK:
            self._looked = now
            self._load()
        return self._keys.get(name)

    def _load(self) -> None:
        try:
            seen = _stamp(self.path)
            if seen == self._seen:
                return
            self._keys = {key.id: key for key in read_keys(self.path)}
            self._seen, self.problem = seen, ""
        except (OSError, ConfigError) as error:
            # What was read last still holds: a file that is being written is no reason to lock up.
            why = error.strerror if isinstance(error, OSError) else error
            problem = f"api-keys: {self.path}: {why}"
            if self._keys and problem != self.problem:
                _log.warning("%s; the keys that it held before still count", problem)
            self.problem = problem


def read_keys(path: Path) -> tuple[ApiKey, ...]:
    """Return the keys of a file.

    Raises:
        OSError: it cannot be read.
        ConfigError: it holds no keys.
    """
    try:
        rows = json.loads(path.read_bytes())["keys"]
        keys = tuple(ApiKey(**{**row, "scopes": tuple(row.get("scopes", ()))}) for row in rows)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(f'not {{"keys": […]}} as it should be: {error}') from None
    if len({key.id for key in keys}) != len(keys):
        raise ConfigError("two keys have the same id")
    return keys


def create_key(
    path: Path,
    subject: str,
    scopes: Iterable[str],
    now: datetime,
    lifetime: timedelta | None = None,
) -> str:
    """Add a key to a file, which is made if there is none; return it, as it is told once.

    Raises:
        OSError, ConfigError: as of `read_keys`.
    """
    name = secrets.token_hex(_ID_SIZE)
    secret = secrets.token_urlsafe(_SECRET_SIZE)
    key = ApiKey(
        id=name,
        sha256=digest(secret).hex(),
        subject=subject,
        scopes=tuple(scopes),
        created=_text(now),
        expires="" if lifetime is None else _text(now + lifetime),
    )
    with _changing(path):
        known = read_keys(path) if path.exists() else ()
        _write(path, (*known, key))
    return f"{name}.{secret}"


def revoke_key(path: Path, name: str, now: datetime) -> ApiKey:
    """Have a key no longer hold; return it.

    Raises:
        OSError, ConfigError: as of `read_keys`; or there is none of that id.
    """
    with _changing(path):
        keys = read_keys(path)
        found = next((key for key in keys if key.id == name), None)
        if found is None:
            raise ConfigError(f"there is no key {name}")
        revoked = found if found.revoked else replace(found, revoked=_text(now))
        _write(path, [revoked if key is found else key for key in keys])
    return revoked


def digest(secret: str) -> bytes:
    """Return what is kept of a secret."""
    return hashlib.sha256(secret.encode()).digest()


def _write(path: Path, keys: Iterable[ApiKey]) -> None:
    text = json.dumps({"keys": [asdict(key) for key in keys]}, indent=2) + "\n"
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


@contextlib.contextmanager
def _changing(path: Path) -> Generator[None, None, None]:
    """Keep others from changing the file meanwhile."""
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _stamp(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns, found.st_size


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _seconds(text: str) -> float:
    if not text:
        return 0.0
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no time of RFC 3339") from None
    if moment.tzinfo is None:
        raise ConfigError(f"{text!r} has no time zone")
    return moment.timestamp()
