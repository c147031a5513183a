"""Bearer tokens in calls (RFC 6750): where they stand, and what is told of a bad one."""

from __future__ import annotations

from typing import Final

from transcoder.call_details import CallDetails
from transcoder.policies.policy import Denied
from transcoder.status import Code

AUTHORIZATION: Final = "authorization"
"""The metadata key that they stand under."""

TOKEN_LIMIT: Final = 8192
"""Bytes of a token; a longer one is refused before anything of it is read."""

_SCHEME = b"bearer"


class BadToken(Exception):
    """A token is not what it should be.

    Args:
        reason: why, in a word for logs and metrics; clients are told nothing of it.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def bearer(call: CallDetails) -> bytes | None:
    """Return the bearer token of a call; None where it has none.

    Raises:
        BadToken: there is more than one `Authorization`, or the token is over TOKEN_LIMIT.
    """
    given = call.all(b"authorization")
    if not given:
        return None
    if len(given) > 1:
        if any(value[:6].lower() == _SCHEME for value in given):
            raise BadToken("several")
        return None
    scheme, _, token = given[0].partition(b" ")
    if scheme != b"Bearer" and scheme.lower() != _SCHEME:
        return None
    if token[:1] == b" ":
        token = token.lstrip(b" ")
    if len(token) > TOKEN_LIMIT:
        raise BadToken("too-large")
    return token


def refusal(reason: str) -> Denied:
    """Return the one answer to every bad token, whatever is wrong with it.

    Args:
        reason: for logs and metrics.
    """
    return Denied(
        Code.UNAUTHENTICATED,
        "the token is not valid",
        reason=reason,
        headers=[("www-authenticate", 'Bearer error="invalid_token"')],
    )
