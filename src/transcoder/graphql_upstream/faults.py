"""GraphQL's errors, as what a client of REST is told: pure.

An error says what kind it is in `extensions.code`, which GraphQL leaves to servers. The words are
those of Apollo Server, which others have taken over, and the names of google.rpc.Code. Whatever
else an error says is a fault of the backend, and its text is for the log.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from transcoder.errors import StatusError
from transcoder.response import INTERNAL
from transcoder.status import FAULTS, Code, http_status, shortened
from transcoder.upstream.failures import UNAVAILABLE
from transcoder.upstream.passing import PASSED

CODES: Final[Mapping[str, Code]] = {
    "FORBIDDEN": Code.PERMISSION_DENIED,
    "BAD_USER_INPUT": Code.INVALID_ARGUMENT,
    "GRAPHQL_PARSE_FAILED": Code.INVALID_ARGUMENT,
    "GRAPHQL_VALIDATION_FAILED": Code.INVALID_ARGUMENT,
    **{code.name: code for code in Code if code is not Code.OK},
}
"""What `extensions.code` means; all else is INTERNAL."""

DOMAIN: Final = "graphql"
"""Of `google.rpc.ErrorInfo`."""

_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]")
_FIELD_LIMIT: Final = 128


def fault(error: Mapping[str, Any], backend: str) -> StatusError:
    """Return what a client is told of an error.

    Args:
        error: of a reply's `errors`.
        backend: for the log.

    >>> told = fault({"message": "no such user", "extensions": {"code": "NOT_FOUND"}}, "a")
    >>> told.http, told.status.message
    (404, 'no such user')
    """
    extensions = error.get("extensions")
    given = extensions.get("code") if isinstance(extensions, Mapping) else None
    word = given if isinstance(given, str) else ""
    code = CODES.get(word, Code.INTERNAL)
    message = error.get("message")
    said = message if isinstance(message, str) else ""
    if code in FAULTS or http_status(code) >= 500:
        told = StatusError(code, _OURS.get(code, INTERNAL.status.message))
        told.log = f"GraphQL at {backend}: {word[:64]!a} {said[:300]!a}"
        return told
    place = _place(error.get("path"))
    return StatusError(code, said, [_packed(_detail(code, word, place, said))])


_OURS: Final = {Code.UNAVAILABLE: UNAVAILABLE, Code.DEADLINE_EXCEEDED: PASSED}


def _detail(code: Code, word: str, place: str, said: str) -> Message:
    if code is Code.INVALID_ARGUMENT and place:
        problem = shortened(said)
        violation = error_details_pb2.BadRequest.FieldViolation(field=place, description=problem)
        return error_details_pb2.BadRequest(field_violations=[violation])
    reason = word if _REASON.fullmatch(word) else code.name
    metadata = {"path": place} if place else {}
    return error_details_pb2.ErrorInfo(reason=reason, domain=DOMAIN, metadata=metadata)


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _place(path: Any) -> str:
    """Return the path of an error as clients of REST spell it, `users[0].name`."""
    if not isinstance(path, Sequence) or isinstance(path, str):
        return ""
    text = ""
    for each in path:
        if isinstance(each, int):
            text += f"[{each}]"
        elif isinstance(each, str):
            text += f".{each}" if text else each
    return shortened(text, _FIELD_LIMIT)
