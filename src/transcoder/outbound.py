"""A servicer's metadata to the headers and trailers of the HTTP answer.

Which metadata are told, and under which names, is the profile's to say, or a matcher's of one's
own. Nothing that could break the framing of the answer passes, whoever says it. Binary values are
base64.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import Final

from transcoder.metadata import (
    HTTP_CODE,
    OF_THE_BODY,
    OF_THE_CONNECTION,
    Matcher,
    RawHeaders,
    is_key,
    is_text,
)
from transcoder.profile import GOOGLE, MetadataNames, Profile

Metadata = Iterable[tuple[str, str | bytes]]

STRICT_METADATA: Final = frozenset(
    {
        "cache-control",
        "content-disposition",
        "content-language",
        "deprecation",
        "etag",
        "last-modified",
        "link",
        "location",
        "retry-after",
        "sunset",
        "vary",
        "www-authenticate",
    }
)
"""The metadata that are told where only listed ones are."""

# What HTTP has a meaning for keeps its name in every profile.
_OF_HTTP = frozenset({"etag", "location", "retry-after", "www-authenticate"})
_NEVER = OF_THE_CONNECTION | OF_THE_BODY | {"date", "server", "x-content-type-options", HTTP_CODE}
# RFC 9110, section 6.5.1: what routes, authenticates or steers the answer must come before it.
_HEADERS_ONLY = STRICT_METADATA | {"set-cookie", "age", "expires", "allow", HTTP_CODE}


class Outbound:
    r"""How metadata become headers; compiled once.

    Args:
        profile: says which metadata are told, under which names.
        matcher: says it in the profile's place, for headers and for trailers.

    >>> Outbound().headers([("x-cost", "3"), ("content-length", "1"), ("seal-bin", b"\x00")])
    [(b'x-cost', b'3'), (b'seal-bin', b'AA==')]
    """

    __slots__ = ("_match", "_trailer_match")

    def __init__(self, profile: Profile = GOOGLE, *, matcher: Matcher | None = None) -> None:
        self._match = matcher or _MATCHERS[profile.response_metadata]
        prefixed = matcher is None and profile.response_metadata == "prefixed"
        self._trailer_match = _grpc_trailer if prefixed else self._match

    def headers(self, initial: Metadata, trailing: Metadata = ()) -> list[tuple[bytes, bytes]]:
        """Return the headers that metadata become; trailing ones are promoted to headers."""
        early, late = _printed(initial, self._match), _printed(trailing, self._trailer_match)
        return [*early, *late]

    def trailers(self, trailing: Metadata) -> list[tuple[bytes, bytes]]:
        """Return the HTTP trailers that trailing metadata become.

        What must not come after the body is left out: `split` keeps it among the headers.
        """
        return _printed(trailing, self._trailer_match)


def split(
    trailing: Iterable[tuple[str, str | bytes]],
) -> tuple[list[tuple[str, str | bytes]], list[tuple[str, str | bytes]]]:
    """Return trailing metadata in two: what HTTP wants before the body, and what may follow it.

    >>> split([("etag", "1"), ("x-cost", "3")])
    ([('etag', '1')], [('x-cost', '3')])
    """
    before: list[tuple[str, str | bytes]] = []
    after: list[tuple[str, str | bytes]] = []
    for pair in trailing:
        (before if pair[0].lower() in _HEADERS_ONLY else after).append(pair)
    return before, after


def takes_trailers(headers: RawHeaders) -> bool:
    """Say whether a client asks for trailers, by `TE: trailers` (RFC 9110, section 10.1.4)."""
    return any(
        token.partition(b";")[0].strip(b" \t").lower() == b"trailers"
        for name, value in headers
        if name == b"te"
        for token in value.split(b",")
    )


def announced(trailers: RawHeaders) -> tuple[bytes, bytes]:
    """Return the `Trailer` header that announces trailers (RFC 9110, section 6.6.2).

    >>> announced([(b"x-cost", b"3"), (b"x-cost", b"4")])
    (b'trailer', b'x-cost')
    """
    return b"trailer", b", ".join(dict.fromkeys(name for name, _ in trailers))


def _printed(metadata: Metadata, match: Callable[[str], str | None]) -> list[tuple[bytes, bytes]]:
    headers = []
    for given, value in metadata:
        key = given.lower()
        name = None if key in _NEVER else match(key)
        if name is None or not _is_told(name := name.lower()):
            continue
        text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
        if is_text(text):
            headers.append((name.encode(), text.encode()))
    return headers


def _is_told(name: str) -> bool:
    of_grpc = name.startswith("grpc-") and not name.startswith(("grpc-metadata-", "grpc-trailer-"))
    return is_key(name) and name not in _NEVER and not of_grpc


def _all(key: str) -> str | None:
    return None if key.startswith("grpc-") else key


def _without_cookies(key: str) -> str | None:
    return None if key == "set-cookie" else _all(key)


def _grpc_metadata(key: str) -> str | None:
    if key.startswith("grpc-"):
        return None
    return key if key in _OF_HTTP else f"grpc-metadata-{key}"


def _grpc_trailer(key: str) -> str | None:
    if key.startswith("grpc-"):
        return None
    return key if key in _OF_HTTP else f"grpc-trailer-{key}"


def _listed(key: str) -> str | None:
    return key if key in STRICT_METADATA else None


_MATCHERS: dict[MetadataNames, Callable[[str], str | None]] = {
    "all": _all,
    "no-cookies": _without_cookies,
    "prefixed": _grpc_metadata,
    "listed": _listed,
}
