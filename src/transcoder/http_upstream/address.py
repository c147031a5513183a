"""Where a backend is, and what a request asks it for: pure.

The path that the router matched is the path that the backend sees, byte for byte, behind what is
put before it or taken away. The router lets no dot segments in; other servers find some where it
sees none, as `..;` and behind backslashes, and would leave the paths that they were let in by.
"""

from __future__ import annotations

import re
import urllib.parse
from dataclasses import dataclass
from typing import Final, Self

from transcoder.discovery.source import joined
from transcoder.errors import ConfigError, InvalidRequest

_PORTS: Final = {"http": 80, "https": 443}
_SEPARATORS = re.compile(r"[/\\]")
_DOTS = frozenset({".", ".."})


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a backend is.

    Args:
        secure: whether it speaks TLS.
        host: a name or an address.
        port: of it.
        base: what stands before all paths, without a slash at its end.
    """

    secure: bool
    host: str
    port: int
    base: str = ""

    @classmethod
    def parse(cls, url: str) -> Self:
        """Return what a URL says.

        Raises:
            ConfigError: it is none of a backend.

        >>> Address.parse("https://orders.internal/v2/")
        Address(secure=True, host='orders.internal', port=443, base='/v2')
        """
        problem = f"url {url!r}: http://HOST:PORT/PATH or https://HOST:PORT/PATH is expected"
        try:
            parts = urllib.parse.urlsplit(url)
            port = parts.port
        except ValueError:
            raise ConfigError(problem) from None
        more = parts.query or parts.fragment or "@" in parts.netloc
        printable = url.isascii() and url.isprintable() and " " not in url
        if parts.scheme not in _PORTS or not parts.hostname or more or not printable:
            raise ConfigError(problem)
        base = parts.path.rstrip("/")
        secure = parts.scheme == "https"
        return cls(secure=secure, host=parts.hostname, port=port or _PORTS[parts.scheme], base=base)

    @property
    def authority(self) -> str:
        """The value of a Host header."""
        usual = _PORTS["https" if self.secure else "http"]
        return self.located.removesuffix(f":{usual}") if self.port == usual else self.located

    @property
    def located(self) -> str:
        """Host and port, as endpoints have them."""
        return joined(self.host, self.port)

    def path(self, path: str, prefix: str = "") -> str:
        """Return the path that the backend is asked for.

        Args:
            path: as the client sent it.
            prefix: that is taken away; all paths of the route have it.

        Raises:
            InvalidRequest: it has what some servers take for a dot segment.

        >>> Address.parse("http://a/base").path("/legacy/x%2Fy", "/legacy")
        '/base/x%2Fy'
        """
        # In most paths there is nothing to find.
        if "." in path or "%" in path:
            _check_dots(path)
        if prefix:
            path = _without(path, prefix)
        return self.base + path


def _without(path: str, prefix: str) -> str:
    """Take a prefix away, however the client spelled it."""
    depth = prefix.count("/") + 1
    return "/" + "/".join(path.split("/")[depth:])


def _check_dots(path: str) -> None:
    segments = _SEPARATORS.split(urllib.parse.unquote(path, "latin-1"))
    if any(segment.partition(";")[0] in _DOTS for segment in segments):
        raise InvalidRequest("the path holds a dot segment")
