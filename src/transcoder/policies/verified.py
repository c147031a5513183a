"""Tokens that were verified, kept for a while, so that a client's next call costs less.

The key is the SHA-256 of the token: nobody finds tokens here. Only what was verified comes in, so
guesses push nothing out.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

from transcoder.call_details import Principal
from transcoder.metadata import Metadatum
from transcoder.policies.policy import Now

if TYPE_CHECKING:
    from transcoder.policies.jwks import Keys
    from transcoder.policies.key_set import KeySet

KEPT_FOR: Final = 60.0
"""Seconds."""


class Passport(NamedTuple):
    """What is known of the bearer of a verified token.

    Args:
        principal: who it is.
        metadata: what the servicer is told.
        begins, ends: between which it counts by the wall clock; `ends` is its `exp`.
        issuer: whose keys verified it.
        keys: these keys, as they were then.
    """

    principal: Principal
    metadata: tuple[Metadatum, ...]
    begins: float
    ends: float
    issuer: Keys
    keys: KeySet


def fingerprint(token: bytes) -> bytes:
    """Return under which key a token's passport is kept."""
    return hashlib.sha256(token).digest()


class Verified:
    """Passports by the fingerprints of tokens.

    Args:
        size: how many; beyond it, the one that came first goes.
    """

    __slots__ = ("_kept", "_size")

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[bytes, tuple[float, Passport]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._kept)

    def get(self, key: bytes, now: Now) -> Passport | None:
        """Return the passport of a token, if it still counts."""
        found = self._kept.get(key)
        if found is None:
            return None
        until, passport = found
        if (
            now.monotonic < until
            and passport.begins <= now.wall < passport.ends
            and passport.issuer.current(now.monotonic) is passport.keys
        ):
            return passport
        del self._kept[key]
        return None

    def put(self, key: bytes, passport: Passport, now: Now) -> None:
        """Keep a passport, but not longer than KEPT_FOR."""
        if now.wall >= passport.ends:
            # Within the leeway: verified each time.
            return
        if len(self._kept) >= self._size:
            if not self._size:
                return
            self._kept.popitem(last=False)
        self._kept[key] = now.monotonic + KEPT_FOR, passport
