"""gRPC metadata as values: what they may hold, and the two that speak of HTTP.

How headers become metadata is in `inbound`, how metadata become headers in `outbound`.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

RawHeaders: TypeAlias = Sequence[tuple[bytes, bytes]]

Matcher: TypeAlias = Callable[[str], "str | None"]
"""From a header's name in lower case to a metadata key, or the other way; None leaves it out."""

METADATA_LIMIT: Final = 8000
"""Bytes of all metadata of one request, or of one answer; gRPC peers refuse more than 8 KiB."""

HTTP_CODE: Final = "x-http-code"
"""The metadata key under which a servicer says the HTTP status of its answer."""

OF_THE_CONNECTION: Final = frozenset(
    {
        "connection",
        "host",
        "http2-settings",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers that are about one connection (RFC 9110, section 7.6.1)."""

OF_THE_BODY: Final = frozenset(
    {"accept-encoding", "content-encoding", "content-length", "content-type", "expect"}
)
"""Headers that are about how a body is sent, which is not the servicer's."""

TIMEOUT_HEADERS: Final = frozenset({b"grpc-timeout", b"x-request-timeout"})
"""The headers in which a client says how long it waits."""

_KEY = re.compile(r"[0-9a-z_.-]+")
_HEADER = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")
_STANDARD_ALPHABET = str.maketrans("-_", "+/")


class Metadatum(NamedTuple):
    """One pair of metadata; the value of a key that ends in `-bin` is bytes."""

    key: str
    value: str | bytes


def is_key(text: str) -> bool:
    """Say whether gRPC takes this as the key of metadata, once it is in lower case."""
    return _KEY.fullmatch(text) is not None


def is_text(text: str) -> bool:
    """Say whether gRPC takes this as a value of metadata that is not binary."""
    return text.isascii() and text.isprintable()


def is_header(name: bytes, value: bytes) -> bool:
    """Say whether a header can be sent as it is (RFC 9110, section 5)."""
    return _HEADER.fullmatch(name) is not None and is_text(value.decode("latin-1"))


def size_of(metadata: Iterable[tuple[str, str | bytes]]) -> int:
    """Return how many bytes of METADATA_LIMIT these metadata take."""
    return sum(len(key) + len(value) for key, value in metadata)


def checked(pairs: Iterable[tuple[str, str | bytes]]) -> tuple[Metadatum, ...]:
    """Return the metadata that a servicer sends, if gRPC can carry them.

    Raises:
        ValueError: a key or a value cannot be sent, or all together are over METADATA_LIMIT.

    >>> checked([("x-cost", "3")])
    (Metadatum(key='x-cost', value='3'),)
    """
    metadata = tuple(Metadatum(key, value) for key, value in pairs)
    for key, value in metadata:
        if not is_key(key):
            raise ValueError(f"metadata key {key!r}: a-z, 0-9, _, - and . are allowed")
        if key.endswith("-bin"):
            if not isinstance(value, bytes):
                raise ValueError(f"metadata {key}: a key in -bin takes bytes")
        elif not isinstance(value, str) or not is_text(value):
            raise ValueError(f"metadata {key}: printable ASCII is allowed, or bytes under -bin")
    size = size_of(metadata)
    if size > METADATA_LIMIT:
        raise ValueError(f"metadata of {size} bytes are over the limit of {METADATA_LIMIT}")
    return metadata


def from_base64(text: str) -> tuple[bytes, ...]:
    r"""Return the values of a binary header: of either alphabet, padded or not.

    Several may stand in one line, with commas between them (gRPC over HTTP/2, "Requests").

    Raises:
        ValueError: one of them is not base64.

    >>> from_base64("AAE=,_w")
    (b'\x00\x01', b'\xff')
    """
    values = []
    for each in text.split(","):
        digits = each.strip(" \t").translate(_STANDARD_ALPHABET)
        try:
            padded = digits + "=" * (-len(digits) % 4)
            values.append(base64.b64decode(padded, validate=True))
        except binascii.Error as error:
            raise ValueError(str(error)) from None
    return tuple(values)


class Trailing(Protocol):
    """The part of a servicer's context that tells of metadata after the reply."""

    def trailing_metadata(self) -> Any:
        """Return what was set so far."""
        ...

    def set_trailing_metadata(self, trailing_metadata: Any, /) -> None:
        """Set it, in place of what was."""
        ...


def set_http_status(context: Trailing, status: int) -> None:
    """Have the HTTP answer carry this status, from the servicer.

    It becomes trailing metadata under `x-http-code`, beside those that are set already; a later
    `set_trailing_metadata` takes them all away. On the gRPC port it is metadata, and nothing else.

    Args:
        context: any `grpc.ServicerContext` or `grpc.aio.ServicerContext`.
        status: from 200 to 399 for a reply, from 400 to 599 for a call that ends in an error.
            204, 205 and 304 have no body, so the reply is not sent.

    Raises:
        ValueError: it is none of these.
    """
    if status not in range(200, 600):
        raise ValueError(f"HTTP status {status!r}: a number from 200 to 599 is expected")
    others = [pair for pair in context.trailing_metadata() or () if pair[0] != HTTP_CODE]
    context.set_trailing_metadata((*others, (HTTP_CODE, str(int(status)))))


def request_id(values: Iterable[str | bytes]) -> str:
    """Return the id that names a request: the client's when it is well-formed, else a new one.

    Args:
        values: of all `X-Request-ID` headers or metadata of the request.
    """
    given = list(values)
    if len(given) == 1:
        text = given[0].decode("latin-1") if isinstance(given[0], bytes) else given[0]
        if _REQUEST_ID.fullmatch(text):
            return text
    return os.urandom(16).hex()
