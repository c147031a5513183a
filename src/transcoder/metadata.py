"""HTTP headers to gRPC metadata and back, and the request's id.

In the `google` profile every header passes under its own name, less what belongs to the
connection or to gRPC itself. Nothing here raises on what a client sends: what metadata cannot
carry is left out.
"""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Iterable, Sequence
from typing import NamedTuple

RawHeaders = Sequence[tuple[bytes, bytes]]

METADATA_LIMIT = 8000
"""Bytes of all metadata sent with one answer; clients refuse more than 8 KiB of them."""


class Metadatum(NamedTuple):
    """One pair of metadata; the value of a key that ends in `-bin` is bytes."""

    key: str
    value: str | bytes


_HOP_BY_HOP = {
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
_FRAMING = {"content-length", "content-type", "content-encoding", "accept-encoding", "expect"}
_NOT_IN = _HOP_BY_HOP | _FRAMING
_NOT_OUT = _HOP_BY_HOP | _FRAMING | {"date", "server"}
# A client may not speak for the gateway, in any spelling that a server folds together.
_STRIPPED = {"x-internal"}
_KEY = re.compile(r"[0-9a-z_.-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,128}")


def to_metadata(headers: RawHeaders) -> tuple[Metadatum, ...]:
    r"""Return the metadata that request headers become.

    >>> to_metadata([(b"x-tenant", b"a"), (b"connection", b"close"), (b"trace-bin", b"AAE=")])
    (Metadatum(key='x-tenant', value='a'), Metadatum(key='trace-bin', value=b'\x00\x01'))
    """
    return tuple(pair for name, value in headers if (pair := _incoming(name, value)) is not None)


def _incoming(raw_name: bytes, raw_value: bytes) -> Metadatum | None:
    name = raw_name.decode("latin-1").lower()
    if name in _NOT_IN or name.startswith("grpc-") or not _KEY.fullmatch(name):
        return None
    if name.replace("_", "-") in _STRIPPED:
        return None
    value = raw_value.decode("latin-1")
    if name.endswith("-bin"):
        return _binary(name, value)
    return Metadatum(name, value) if _VALUE.fullmatch(value) else None


def _binary(name: str, value: str) -> Metadatum | None:
    try:
        return Metadatum(name, base64.b64decode(value + "=" * (-len(value) % 4), validate=True))
    except (binascii.Error, ValueError):
        return None


def checked(pairs: Iterable[tuple[str, str | bytes]]) -> tuple[Metadatum, ...]:
    """Return the metadata that a servicer sends, if gRPC can carry them.

    Raises:
        ValueError: a key or a value cannot be sent, or all together are over METADATA_LIMIT.

    >>> checked([("x-cost", "3")])
    (Metadatum(key='x-cost', value='3'),)
    """
    metadata = tuple(Metadatum(key, value) for key, value in pairs)
    for key, value in metadata:
        if not _KEY.fullmatch(key):
            raise ValueError(f"metadata key {key!r}: a-z, 0-9, _, - and . are allowed")
        if key.endswith("-bin"):
            if not isinstance(value, bytes):
                raise ValueError(f"metadata {key}: a key in -bin takes bytes")
        elif not isinstance(value, str) or not _VALUE.fullmatch(value):
            raise ValueError(f"metadata {key}: printable ASCII is allowed, or bytes under -bin")
    size = sum(len(key) + len(value) for key, value in metadata)
    if size > METADATA_LIMIT:
        raise ValueError(f"metadata of {size} bytes are over the limit of {METADATA_LIMIT}")
    return metadata


def to_headers(metadata: Iterable[tuple[str, str | bytes]]) -> list[tuple[bytes, bytes]]:
    r"""Return the response headers that a servicer's metadata become.

    Binary values are base64; what could break the framing of the answer is left out.

    >>> to_headers([("x-cost", "3"), ("content-length", "1"), ("seal-bin", b"\x00")])
    [(b'x-cost', b'3'), (b'seal-bin', b'AA==')]
    """
    headers = []
    for name, value in metadata:
        key = name.lower()
        if key in _NOT_OUT or key.startswith("grpc-") or not _KEY.fullmatch(key):
            continue
        text = base64.b64encode(value).decode() if isinstance(value, bytes) else value
        if _VALUE.fullmatch(text):
            headers.append((key.encode(), text.encode()))
    return headers


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
    return uuid.uuid4().hex
