"""What the head of a request must hold before an application sees it.

A parser says that it is HTTP. Here stands what RFC 9112 asks for beside: one Host, well-formed
(section 3.2), no transfer coding but chunks (section 6.1), and how much a head may hold at all.
"""

from __future__ import annotations

import functools
from typing import Final

from transcoder.errors import InvalidRequest, StatusError
from transcoder.forwarded import is_host
from transcoder.metadata import RawHeaders
from transcoder.status import Code

HEADER_LIMIT: Final = 32_768
"""Bytes of all names and values of a request's headers."""

HEADERS_LIMIT: Final = 100
"""Headers of a request."""

_LONGEST_HOST = 300
_ONE_HOST = "exactly one Host header is expected"
_REMEMBERED = 256


def check_head(headers: RawHeaders, version: str, *, is_long: bool = True) -> bool:
    """Refuse a request for its headers; say whether its client waits to be told to go on.

    Args:
        headers: names in lower case.
        version: of HTTP; before 1.1 there may be no Host.
        is_long: whether they may be over HEADER_LIMIT at all.

    Raises:
        InvalidRequest: there is not one Host, or it is none; or HTTP/1.0 says chunks.
        StatusError: 431, they are too many or too long; 501, the body is coded in a way that is not
            taken; 417, more is expected than to be told to go on.

    >>> check_head([(b"host", b"localhost:8080"), (b"expect", b"100-continue")], "1.1")
    True
    """
    if len(headers) > HEADERS_LIMIT:
        raise too_large(f"{len(headers)} headers: {HEADERS_LIMIT} are allowed")
    if is_long and sum(len(name) + len(value) for name, value in headers) > HEADER_LIMIT:
        raise too_large(f"the headers are over the limit of {HEADER_LIMIT} bytes")
    named = dict(headers)
    expects = b"expect" in named
    host = named.get(b"host")
    # Of several with one name there is only the last; most requests have no two.
    if expects or b"transfer-encoding" in named or len(named) < len(headers):
        _check_framing(headers, version)
        if sum(name == b"host" for name, _ in headers) > 1:
            raise InvalidRequest(_ONE_HOST)
    if host is None:
        if version != "1.0":
            raise InvalidRequest(_ONE_HOST)
    elif len(host) > _LONGEST_HOST or not _is_host(host):
        raise InvalidRequest("the Host header is not a host with or without a port")
    return expects


def _check_framing(headers: RawHeaders, version: str) -> None:
    for name, value in headers:
        if name == b"transfer-encoding":
            if version == "1.0":
                raise InvalidRequest("HTTP/1.0 has no Transfer-Encoding")
            if value.strip(b" \t").lower() != b"chunked":
                problem = "Transfer-Encoding: nothing but chunked is taken"
                raise StatusError(Code.UNIMPLEMENTED, problem, http=501)
        elif name == b"expect" and value.strip(b" \t").lower() != b"100-continue":
            problem = "Expect: nothing but 100-continue is met"
            raise StatusError(Code.INVALID_ARGUMENT, problem, http=417)


@functools.lru_cache(_REMEMBERED)
def _is_host(value: bytes) -> bool:
    return is_host(value.decode("latin-1"))


def too_large(problem: str) -> StatusError:
    """Return the error for headers over a limit (RFC 6585, section 5)."""
    return StatusError(Code.RESOURCE_EXHAUSTED, problem, http=431)
