"""What the handshake of a WebSocket says: from which page it comes, who asks, and for what.

A page in a browser can set no header of it. What others say there, it says elsewhere:

    subprotocol   transcoder.json        replies as JSON in text frames, as without a subprotocol
                  transcoder.protobuf    replies in binary frames
                  bearer.TOKEN           Authorization: Bearer TOKEN; it is never selected
    query         $timeout=SECONDS       X-Request-Timeout: SECONDS
                  $method=PUT            the HTTP method, where a path has streams under several
                  KEY=TOKEN              Authorization: Bearer TOKEN, if the gateway names a KEY
    cookie        NAME=TOKEN             the same, if the gateway names a NAME

But a browser says which page asks, in `Origin` (RFC 6455, section 10.2), and sends its cookies
whoever asks: so only pages of the same origin may, and those of the origins that are listed.
"""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

from transcoder.errors import ConfigError, InvalidRequest, StatusError
from transcoder.metadata import RawHeaders
from transcoder.status import Code

JSON: Final = "transcoder.json"
PROTOBUF: Final = "transcoder.protobuf"

BEARER: Final = "bearer."
"""What the subprotocol begins with that is a token."""

TIMEOUT: Final = "$timeout"
METHOD: Final = "$method"
_TAKEN: Final = "transcoder.method"

TOKEN_LIMIT: Final = 8192
"""Bytes of a token; a longer one is none."""

_TOKEN = re.compile(r"[\x21-\x7e]+")
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ORIGIN = re.compile(r"([a-z][a-z0-9+.-]*)://([^/?#@\s,]+)")
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """Where else the handshake of a WebSocket may hold a bearer token.

    A header counts before a subprotocol, that before the query, and the query before a cookie.

    Args:
        cookie: a name; browsers send cookies by themselves, so it counts from allowed pages only.
        query: a key. Proxies log queries; the gateway takes it out before anything here does.

    Raises:
        ConfigError: it is no name of such a thing.
    """

    cookie: str = ""
    query: str = ""

    def __post_init__(self) -> None:
        """Check the names."""
        for name in (self.cookie, self.query):
            if name and not _NAME.fullmatch(name):
                raise ConfigError(f"websocket_token: {name!r} is no name of a cookie or a key")


NO_TOKEN: Final = Token()


class Handshakes:
    """Reads handshakes; compiled once.

    Args:
        origins: whose pages may connect beside those of the same origin, as `https://app.example`.
        token: where else a token may stand.

    Raises:
        ConfigError: one of the origins is none.
    """

    def __init__(self, origins: Iterable[str] = (), token: Token = NO_TOKEN) -> None:
        if isinstance(origins, str):
            raise ConfigError(f"origins {origins!r}: a sequence of origins is expected")
        self._origins = frozenset(_listed(origin) for origin in origins)
        self._token = token

    def adopt(self, scope: MutableMapping[str, Any]) -> None:
        """Turn what a page could not say in headers into headers of the scope.

        The tokens are then in no other place of it.
        """
        offered: list[str] = scope.get("subprotocols", [])
        others = [name for name in offered if not name.startswith(BEARER)]
        tokens = [name[len(BEARER) :] for name in offered if name.startswith(BEARER)]
        headers = list(scope["headers"])
        if tokens:
            scope["subprotocols"] = others
            headers = [pair for pair in headers if pair[0] != b"sec-websocket-protocol"]
            headers.append((b"sec-websocket-protocol", ", ".join(others).encode("latin-1")))
        tokens += self._of_query(scope, headers)
        if self._token.cookie:
            tokens += _of_cookies(headers, self._token.cookie)
        if tokens and not any(name == b"authorization" for name, _ in headers):
            token = tokens[0]
            if len(token) <= TOKEN_LIMIT and _TOKEN.fullmatch(token):
                headers.append((b"authorization", b"Bearer " + token.encode()))
        scope["headers"] = headers

    def check_origin(self, headers: RawHeaders, *, secure: bool) -> None:
        """Refuse a page of another origin; without an Origin it is no page.

        Args:
            headers: of the handshake.
            secure: whether the connection is encrypted. If it is not here, it may be as far as a
                proxy in front: then a page of https is of the same origin too.

        Raises:
            StatusError: PERMISSION_DENIED.
        """
        given = [value.decode("latin-1").lower() for name, value in headers if name == b"origin"]
        if not given:
            return
        found = _ORIGIN.fullmatch(given[0])
        if len(given) == 1 and found is not None:
            scheme, authority = found[1], _short(found[1], found[2])
            if f"{scheme}://{authority}" in self._origins:
                return
            hosts = [value.decode("latin-1").lower() for name, value in headers if name == b"host"]
            same = [_short(scheme, host) for host in hosts] == [authority]
            if same and (scheme == "https" or (scheme == "http" and not secure)):
                return
        raise StatusError(Code.PERMISSION_DENIED, "pages of this origin may not connect")

    def _of_query(
        self, scope: MutableMapping[str, Any], headers: list[tuple[bytes, bytes]]
    ) -> list[str]:
        query: bytes = scope["query_string"]
        keys = {TIMEOUT, METHOD, self._token.query} - {""}
        if not query:
            return []
        kept, tokens = [], []
        for part in query.decode("latin-1").split("&"):
            key, _, value = part.partition("=")
            name = urllib.parse.unquote(key)
            if name not in keys:
                kept.append(part)
            elif name == METHOD:
                scope[_TAKEN] = value
            elif name == TIMEOUT:
                asked = urllib.parse.unquote(value).encode()
                headers.append((b"x-request-timeout", asked))
            else:
                tokens.append(urllib.parse.unquote(value))
        scope["query_string"] = "&".join(kept).encode("latin-1")
        return tokens


def asked_method(scope: MutableMapping[str, Any]) -> str:
    """Return the HTTP method that the handshake asks for; empty if it asks for none."""
    for part in scope["query_string"].decode("latin-1").split("&"):
        key, _, value = part.partition("=")
        if urllib.parse.unquote(key) == METHOD:
            return str(value)
    return str(scope.get(_TAKEN, ""))


def subprotocol(scope: MutableMapping[str, Any]) -> str | None:
    """Return the subprotocol to select; None if the client offers none.

    A browser gives up a connection when none is selected of those that it offers.

    Raises:
        InvalidRequest: it offers only others.
    """
    for name in scope.get("subprotocols", []):
        if name in {JSON, PROTOBUF}:
            return str(name)
    if any(name == b"sec-websocket-protocol" for name, _ in scope["headers"]):
        raise InvalidRequest(f"offer the subprotocol {JSON} or {PROTOBUF} too, or none at all")
    return None


def _of_cookies(headers: RawHeaders, wanted: str) -> Iterator[str]:
    for header, value in headers:
        if header == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                name, _, text = pair.strip(" \t").partition("=")
                if name == wanted:
                    yield text.strip('"')


def _listed(origin: str) -> str:
    found = _ORIGIN.fullmatch(origin.lower())
    if found is None:
        raise ConfigError(f"origins: {origin!r} is none: write a scheme and a host, no path")
    return f"{found[1]}://{_short(found[1], found[2])}"


def _short(scheme: str, authority: str) -> str:
    """Return an authority without the port that its scheme has anyway."""
    return authority.removesuffix(_DEFAULT_PORTS.get(scheme, ""))
