"""Keys that an issuer publishes: where, and when they are asked for.

They are kept for `refresh` seconds, and beyond that until they come again, for as long as `stale`
says: an issuer that is down keeps nobody out. A token whose key is not among them has them fetched
at once, but once in `cool_down` seconds, whatever tokens come. Nor is a fetch that failed tried
again before.
"""

from __future__ import annotations

import ipaddress
import math
import urllib.parse
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from transcoder.errors import ConfigError

if TYPE_CHECKING:
    from transcoder.policies.key_set import KeySet

WELL_KNOWN: Final = "/.well-known/openid-configuration"


@dataclass(frozen=True, slots=True)
class Published:
    """Keys are those that the issuer publishes, as JSON Web Key Set.

    Args:
        url: where; None for where the issuer says (OpenID Connect Discovery 1.0, section 4).
        refresh: seconds after which keys are fetched again.
        cool_down: seconds between two fetches for a key that is not among them, and after a fetch
            that failed.
        stale: seconds for which keys count while they cannot be fetched.
        timeout: seconds for a whole answer.
        ca: a file with the certificates of the authorities to be trusted, in PEM; without it those
            that httpx2 trusts.
        loopback: let addresses of this machine be asked over http.

    Raises:
        ConfigError: one of these is none.
    """

    url: str | None = None
    _: KW_ONLY
    refresh: float = 300.0
    cool_down: float = 30.0
    stale: float = 86_400.0
    timeout: float = 3.0
    ca: str | Path | None = None
    loopback: bool = False

    def __post_init__(self) -> None:
        """Check them."""
        for name in ("refresh", "cool_down", "stale", "timeout"):
            seconds = getattr(self, name)
            if not 0 < seconds < math.inf:
                raise ConfigError(f"{name} {seconds!r}: seconds above 0 are expected")
        if self.stale < self.refresh:
            raise ConfigError(f"stale {self.stale!r}: no less than refresh is expected")
        if self.url is not None and not self.allows(self.url):
            raise ConfigError(f"url {self.url!r}: https is expected, or a loopback address")

    def allows(self, url: str) -> bool:
        """Say whether a URL may be asked."""
        try:
            parts = urllib.parse.urlsplit(url)
            host, _ = parts.hostname, parts.port
        except ValueError:
            return False
        if not host or parts.username is not None or not url.isprintable():
            return False
        if parts.scheme == "http":
            return self.loopback and _is_loopback(host)
        return parts.scheme == "https"


BY_DISCOVERY: Final = Published()


def discovery_url(issuer: str) -> str:
    """Return where an issuer tells about itself (OpenID Connect Discovery 1.0, section 4.1).

    >>> discovery_url("https://login.example/tenant/")
    'https://login.example/tenant/.well-known/openid-configuration'
    """
    return issuer.removesuffix("/") + WELL_KNOWN


class Rotation:
    """Published keys, and when to fetch them; it fetches nothing itself.

    Args:
        published: says when.
    """

    __slots__ = ("_began", "_failed", "_keys", "_published", "_sought")

    def __init__(self, published: Published) -> None:
        self._published = published
        self._keys: KeySet | None = None
        self._began = -math.inf
        """When the keys were asked for that came."""
        self._failed = -math.inf
        self._sought = -math.inf
        """When keys were last asked for because one was not among them."""

    def current(self, now: float) -> KeySet | None:
        """Return the keys; None while there are none, and when they are too old."""
        return self._keys if now - self._began < self._published.stale else None

    def is_due(self, now: float) -> bool:
        """Say whether to fetch the keys because of their age."""
        return now - self._began >= self._published.refresh and self._is_cool(now)

    def seek(self, now: float) -> bool:
        """Say whether to fetch them because one is not among them, which is then noted."""
        if self.current(now) is None:
            return self._is_cool(now)
        if now - self._sought < self._published.cool_down or not self._is_cool(now):
            return False
        self._sought = now
        return True

    def succeeded(self, began: float, keys: KeySet) -> None:
        """Take keys that came."""
        self._keys, self._began, self._failed = keys, began, -math.inf

    def failed(self, now: float) -> None:
        """Note that none came."""
        self._failed = now

    def retry_after(self, now: float) -> float:
        """Return in how many seconds a fetch may be tried again."""
        return max(0.0, self._failed + self._published.cool_down - now)

    def _is_cool(self, now: float) -> bool:
        return now - self._failed >= self._published.cool_down


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
