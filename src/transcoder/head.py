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
_LOOKED_AT = frozenset({b"host", b"transfer-encoding", b"expect"})
_REMEMBERED = 256


def check_head(headers: RawHeaders, version: str, *, is_long: bool = True) -> None:
    """Refuse a request for its headers.

    Args:
        headers: names in lower case.
        version: of HTTP; before 1.1 there may be no Host.
        is_long: whether they may be over HEADER_LIMIT at all.

    Raises:
        InvalidRequest: there is not one Host, or it is none; or HTTP/1.0 says chunks.
        StatusError: 431, they are too many or too long; 501, the body is coded in a way that is not
            taken; 417, more is expected than to be told to go on.

    >>> check_head([(b"host", b"localhost:8080")], "1.1")
    """
    if len(headers) > HEADERS_LIMIT:
        raise too_large(f"{len(headers)} headers: {HEADERS_LIMIT} are allowed")
    if is_long and sum(len(name) + len(value) for name, value in headers) > HEADER_LIMIT:
        raise too_large(f"the headers are over the limit of {HEADER_LIMIT} bytes")
    told = [pair for pair in headers if pair[0] in _LOOKED_AT]
    if len(told) != 1 or told[0][0] != b"host":
        _check_framing(told, version)
    hosts = [value for name, value in told if name == b"host"]
    if len(hosts) != 1:
        if not hosts and version == "1.0":
            return
        raise InvalidRequest("exactly one Host header is expected")
    if len(hosts[0]) > _LONGEST_HOST or not _is_host(hosts[0]):
        raise InvalidRequest("the Host header is not a host with or without a port")


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
