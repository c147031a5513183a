"""The target of a request line, down to its path and query (RFC 9112, section 3.2)."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Sequence

from transcoder.errors import InvalidRequest

_ABSOLUTE = re.compile(rb"https?://([^/?]*)(.*)", re.IGNORECASE)
_PORTS = {"http": 80, "https": 443}
_NOT_SENT = re.compile(r"[^\x21-\x7e]")


def origin_form(target: bytes, hosts: Sequence[bytes]) -> bytes:
    """Return the path and the query of a request target; `*` stays as it is.

    Args:
        target: as it stands in the request line, and begins with no slash or holds a `#`.
        hosts: the values of all Host headers.

    Raises:
        InvalidRequest: it holds a fragment, is neither a path nor a URL, or names another host.

    >>> origin_form(b"http://a.example?x=1", [b"A.example"])
    b'/?x=1'
    """
    if b"#" in target:
        raise InvalidRequest("the request target holds a fragment")
    if target == b"*":
        return target
    absolute = _ABSOLUTE.fullmatch(target)
    if absolute is None:
        raise InvalidRequest("the request target is neither a path nor a URL")
    authority, rest = absolute.groups()
    if [host.lower() for host in hosts] != [authority.lower()]:
        raise InvalidRequest("the request target names another host than the Host header")
    return rest if rest.startswith(b"/") else b"/" + rest


def host_of(target: str) -> tuple[str, int | None]:
    """Return host and port of a URL that somebody typed; an empty host for a path.

    >>> host_of("https://a.example:8443/v1/users"), host_of("http://a.example"), host_of("/v1")
    (('a.example', 8443), ('a.example', 80), ('', None))
    """
    try:
        parts = urllib.parse.urlsplit(target)
        return parts.hostname or "", parts.port or _PORTS.get(parts.scheme)
    except ValueError:
        return "", None


def typed(target: str) -> str:
    """Return the path and the query of a target that somebody typed, as a server would read it.

    Of a URL it is what a client sends that is given it.

    Raises:
        InvalidRequest: no client can send it, or every server refuses it.

    >>> typed("https://a.example/v1/users?x=1")
    '/v1/users?x=1'
    """
    if _NOT_SENT.search(target):
        raise InvalidRequest("the request target holds a character that is to be percent-encoded")
    if target.startswith("/") and "#" not in target:
        return target
    data = target.encode()
    absolute = _ABSOLUTE.fullmatch(data)
    return origin_form(data, [] if absolute is None else [absolute[1]]).decode()
