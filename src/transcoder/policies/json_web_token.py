"""JSON Web Tokens in the compact form, read strictly.

    token   = header "." claims "." signature       each base64url, without padding
    header  = {"alg": …, "kid": …, "typ": …}        RFC 7515, section 4
    claims  = {"iss": …, "exp": …, …}               RFC 7519, section 4

What is read here is not verified yet. Each of a header's other members is passed over, but those
that say how to read the rest: `crit` and `b64` are refused, so nothing of a header can have
anything fetched or left out. A name that stands twice in an object is refused, since two readers
may take different ones of it.
"""

from __future__ import annotations

import binascii
import functools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeAlias, TypeGuard

import orjson

from transcoder.policies.bearer import BadToken

Claims: TypeAlias = dict[str, Any]

# A named tuple's own constructor is a function more, and a new token has several of them.
_new = tuple.__new__
_LATEST = 253_402_300_799
"""The last second of the year 9999; a date beyond is none."""
_NUMBERS = frozenset({int, float})
_HEADS = 64

_DIGITS = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
_STANDARD = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_TO_STANDARD = bytes(
    _STANDARD[_DIGITS.index(digit)] if digit in _DIGITS else 0 for digit in range(256)
)
_PADDING = (b"", None, b"==", b"=")
_LAST = (_DIGITS, b"", _DIGITS[::16], _DIGITS[::4])
"""By the length modulo 4: the last digits whose unused bits are zero."""


class Head(NamedTuple):
    """What a token's header says that counts; empty for nothing."""

    algorithm: str
    key: str | None
    type: str


class Token(NamedTuple):
    """A token as it was read.

    Args:
        head: what its header says.
        claims: what it says.
        signed: the bytes that are signed.
        signature: of these.
    """

    head: Head
    claims: Claims
    signed: bytes
    signature: bytes


def read(token: bytes) -> Token:
    """Read a token of at most `bearer.TOKEN_LIMIT` bytes.

    Raises:
        BadToken: it is none.
    """
    parts = token.split(b".")
    if len(parts) != 3:
        raise BadToken("malformed")
    head, claims, signature = parts
    signed = token[: len(head) + 1 + len(claims)]
    return _new(Token, (_head(head), _object(claims), signed, _decoded(signature)))


def check_times(claims: Mapping[str, Any], wall: float, leeway: float) -> float:
    """Refuse a token whose time has not come, or is over (RFC 7519, sections 4.1.4 to 4.1.6).

    Args:
        claims: of the token; `exp` must be among them.
        wall: seconds since 1970.
        leeway: seconds that clocks may differ.

    Returns:
        When its time came, with the leeway.

    Raises:
        BadToken: `expired`, `not-yet` or `claim`.
    """
    expires, before, issued = claims.get("exp"), claims.get("nbf", 0), claims.get("iat", 0)
    if not (_is_date(expires) and _is_date(before) and _is_date(issued)):
        raise BadToken("claim")
    if wall >= expires + leeway:
        raise BadToken("expired")
    begins = (max(issued, before)) - leeway
    if wall < begins:
        raise BadToken("not-yet")
    return begins


def parsed(data: bytes) -> Any:
    """Return what JSON says, if no object in it has a name twice and every number is finite.

    Raises:
        ValueError: it is none, or one of these.
    """
    try:
        found = orjson.loads(data)
        # What comes out as it went in had no name twice: one of them would be missing.
        if orjson.dumps(found) == data:
            return found
    except ValueError:
        pass
    try:
        return _DECODER.decode(data.decode())
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def _is_date(value: Any) -> TypeGuard[float]:
    # bool is an int, and NaN is less and more than nothing.
    return type(value) in _NUMBERS and 0 <= value <= _LATEST


# A client's tokens have one header, and an issuer's as many as it has keys.
@functools.lru_cache(_HEADS)
def _head(data: bytes) -> Head:
    found = _object(data)
    if "crit" in found or "b64" in found:
        raise BadToken("critical")
    key, kind = found.get("kid"), found.get("typ", "")
    if not (key is None or isinstance(key, str)) or not isinstance(kind, str):
        raise BadToken("malformed")
    algorithm = found.get("alg")
    if not isinstance(algorithm, str):
        raise BadToken("algorithm")
    return Head(algorithm, key, kind.lower().removeprefix("application/"))


def _object(data: bytes) -> Claims:
    try:
        found = parsed(_decoded(data))
    except ValueError as error:
        raise BadToken("malformed") from error
    if not isinstance(found, dict):
        raise BadToken("malformed")
    return found


def _decoded(digits: bytes) -> bytes:
    """Return what base64url says; of all that say it, one only (RFC 4648, section 3.5)."""
    rest = len(digits) % 4
    padding = _PADDING[rest]
    if not digits or padding is None or digits[-1] not in _LAST[rest]:
        raise BadToken("malformed")
    try:
        return binascii.a2b_base64(digits.translate(_TO_STANDARD) + padding, strict_mode=True)
    except binascii.Error as error:
        raise BadToken("malformed") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found


def _finite(text: str) -> float:
    number = float(text)
    if number - number != 0:
        raise ValueError("a number is not finite")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_finite, parse_float=_finite)
