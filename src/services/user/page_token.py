"""Page tokens: where the next page of a list begins.

A token holds the last user's values of the fields that the list is ordered by, so that a page is
found by an index, and users that come or go meanwhile neither repeat nor hide others. Its digest
binds it to the filter and the order. The digest has no key: a forged token shows no user that the
list itself would not show.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Sequence

from services.user.filter import FIELDS, INT64, Kind, Value

_DIGEST_SIZE = 8
_LENGTH_LIMIT = 4096
_SURROGATES = re.compile("[\ud800-\udfff]")


def encode(position: Sequence[Value], *query: str) -> str:
    """Return the token of the page that begins after `position`.

    Args:
        position: values of the last user of the page before.
        query: what the request asked for besides the page.

    >>> encode(["ann"], "", "id")
    'qJ8CZYrBQd9bImFubiJd'
    """
    payload = json.dumps(position, ensure_ascii=False, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_digest(payload, query) + payload).rstrip(b"=").decode()


def decode(token: str, fields: Sequence[str], *query: str) -> tuple[Value, ...]:
    """Return the position that a token holds: a value for each of the fields.

    Raises:
        ValueError: the token was not made by `encode` for these fields and this query.
    """
    try:
        raw = _bytes(token)
        payload = raw[_DIGEST_SIZE:]
        position = json.loads(payload)
    except (ValueError, RecursionError):
        raise ValueError("not a page token of this service") from None
    if raw[:_DIGEST_SIZE] != _digest(payload, query):
        raise ValueError("not of this list: filter and order_by must be those of the page before")
    if not _fits(position, fields):
        raise ValueError("not a page token of this service")
    return tuple(position)


def _bytes(token: str) -> bytes:
    if len(token) > _LENGTH_LIMIT or not token.isascii():
        raise ValueError
    raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != token:
        raise binascii.Error
    return raw


def _digest(payload: bytes, query: Sequence[str]) -> bytes:
    bound = json.dumps([payload.decode("utf-8", "replace"), *query]).encode()
    return hashlib.blake2b(bound, digest_size=_DIGEST_SIZE).digest()


def _fits(position: object, fields: Sequence[str]) -> bool:
    if not isinstance(position, list) or len(position) != len(fields):
        return False
    return all(_is_of(FIELDS[field], value) for field, value in zip(fields, position, strict=True))


def _is_of(kind: Kind, value: object) -> bool:
    # JSON holds more than a database takes: lone surrogates, NUL, integers of any size.
    if kind is Kind.TEXT:
        return isinstance(value, str) and "\0" not in value and not _SURROGATES.search(value)
    return type(value) is int and value in INT64
