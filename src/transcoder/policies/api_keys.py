"""API keys: long secrets that clients send in a header."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from transcoder.call_details import CallDetails, Principal
from transcoder.errors import ConfigError
from transcoder.metadata import is_key
from transcoder.policies.key_file import ApiKey, KeyFile, digest
from transcoder.policies.policy import Denied, Now, Stage
from transcoder.status import Code

_HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
_KEY_LIMIT: Final = 256
_NOBODYS: Final = bytes(32)
_TELLS: Final = ("id", "scopes", "subject")


class Keys(Protocol):
    """Where keys are known; a `KeyFile` is one."""

    def find(self, name: str, now: float) -> ApiKey | None:
        """Return a key by its id; None if there is none. `now` is of `time.monotonic`."""
        ...


class ApiKeys:
    """Knows callers by their API keys.

    Args:
        keys: where they are known, or the path of a file; `transcoder keys` makes one.
        header: that holds the key. Servicers do not see it.
        forward: what servicers are told, by `subject`, `id` or `scopes`: under which metadata keys.
        name: of the policy, for logs, overrides and the API's description.

    Raises:
        ConfigError: an option is none, or the file holds no keys.
    """

    stage: Final = Stage.AUTHENTICATION

    def __init__(
        self,
        keys: Keys | str | Path,
        *,
        header: str = "x-api-key",
        forward: Mapping[str, str] | None = None,
        name: str = "api-keys",
    ) -> None:
        self.name: Final = name
        self._keys: Keys = KeyFile(keys) if isinstance(keys, str | Path) else keys
        self.header: Final = header.lower()
        """That holds the key."""
        if not _HEADER.fullmatch(self.header):
            raise ConfigError(f"{name}: header {header!r} is no name of a header")
        self._forward = dict(forward or {})
        for told, key in self._forward.items():
            if told not in _TELLS or not is_key(key) or key.endswith("-bin"):
                raise ConfigError(f"{name}: forward: {told!r} as {key!r}: id, scopes or subject")
        self._raw_header = self.header.encode()
        self.writes: Final = (self.header, *self._forward.values())
        self.challenge: Final = f'ApiKey header="{self.header}"'

    @property
    def security(self) -> Mapping[str, Mapping[str, Any]]:
        """The security scheme, for the API's description."""
        return {self.name: {"type": "apiKey", "in": "header", "name": self.header}}

    def decide(self, call: CallDetails, now: Now) -> None:
        """Find out whose key a call brings; one without a key passes."""
        given = call.all(self._raw_header)
        if not given:
            return
        if len(given) > 1:
            raise self._refusal("several")
        if len(given[0]) > _KEY_LIMIT:
            raise self._refusal("too-long")
        name, _, secret = given[0].decode("latin-1").partition(".")
        key = self._keys.find(name, now.monotonic)
        known = _NOBODYS if key is None else bytes.fromhex(key.sha256)
        # Compared for an unknown name too: how long this takes tells nothing.
        fits = hmac.compare_digest(digest(secret), known)
        if key is None or not fits:
            raise self._refusal("unknown")
        if not key.holds(now.wall):
            raise self._refusal("revoked" if key.revoked else "expired")
        self._let_in(call, key)

    def _let_in(self, call: CallDetails, key: ApiKey) -> None:
        call.principal = Principal(
            subject=key.subject, scheme="api-key", scopes=frozenset(key.scopes)
        )
        told = {"id": key.id, "scopes": " ".join(key.scopes), "subject": key.subject}
        for what, under in self._forward.items():
            call.tell_servicer(under, told[what])

    def _refusal(self, reason: str) -> Denied:
        headers = [("www-authenticate", self.challenge)]
        return Denied(
            Code.UNAUTHENTICATED, "the API key is not valid", reason=reason, headers=headers
        )
