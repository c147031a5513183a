"""The backend's reply, as the answer of a route: pure.

GraphQL over HTTP has two media types. Under its own, `application/graphql-response+json`, any
status is the server's; under plain JSON an error status may be of somebody before it. So it is
asked what the body is: what has `errors` or `data` is of GraphQL, whatever its status.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import orjson

from transcoder.errors import NotFound, StatusError
from transcoder.graphql_upstream.faults import fault
from transcoder.marshaler import is_json
from transcoder.response import JSON, Payload
from transcoder.status import Code
from transcoder.upstream.failures import UNAVAILABLE, UNREADABLE

_BUSY: Final = frozenset({429, 502, 503, 504})
_REFUSED: Final = {401: Code.UNAUTHENTICATED, 403: Code.PERMISSION_DENIED}


class Reply(NamedTuple):
    """What a backend sent.

    Args:
        status: of HTTP.
        content_type: as it says.
        body: all of it.
    """

    status: int
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Which part of a reply is the answer of a route.

    Args:
        path: names with dots between them; empty for all of the data.
        partial: whether data answer that come with errors.
        credentials: whether the backend has seen the client's, so that it is the client's to hear
            that they are refused.
        backend: for the log.
    """

    path: str
    partial: bool
    credentials: bool
    backend: str

    def __call__(self, reply: Reply) -> Payload:
        """Return the answer.

        Raises:
            StatusError: it is none of GraphQL, or says what is wrong.
            NotFound: the part is null.
        """
        told = self._told(reply)
        errors = self._errors(reply, told)
        part = self._part(reply, told.get("data"))
        if errors and (part is None or not self.partial):
            raise fault(errors[0], self.backend)
        if part is None:
            raise NotFound("there is none")
        try:
            return Payload(200, JSON, orjson.dumps(part))
        except orjson.JSONEncodeError:
            raise self._unreadable(reply, "a part that is nested too deep") from None

    def _told(self, reply: Reply) -> Mapping[str, Any]:
        if not is_json(reply.content_type):
            raise self._unreadable(reply, f"a body of {reply.content_type[:64]!a}")
        try:
            told = orjson.loads(reply.body)
        except orjson.JSONDecodeError:
            raise self._unreadable(reply, "a body that is no JSON") from None
        if not isinstance(told, dict):
            raise self._unreadable(reply, "a body that is no object")
        return told

    def _errors(self, reply: Reply, told: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        errors = told.get("errors")
        if errors is None:
            errors = []
        if not isinstance(errors, list) or not all(isinstance(each, dict) for each in errors):
            raise self._unreadable(reply, "errors that are none")
        worked = 200 <= reply.status < 300 and isinstance(told.get("data"), dict)
        if not errors and not worked:
            raise self._unreadable(reply, "no data and no errors")
        return errors

    def _part(self, reply: Reply, data: Any) -> Any:
        part = data
        for name in self.path.split(".") if self.path else ():
            if part is None:
                return None
            if not isinstance(part, dict):
                raise self._unreadable(reply, f"no object around {name!r}")
            part = part.get(name)
        return part

    def _unreadable(self, reply: Reply, why: str) -> StatusError:
        code = _REFUSED.get(reply.status)
        if code is not None and self.credentials:
            error = StatusError(code, "the backend refused the call")
        elif reply.status in _BUSY:
            error = StatusError(Code.UNAVAILABLE, UNAVAILABLE)
        else:
            error = StatusError(Code.INTERNAL, UNREADABLE, http=502)
        error.log = f"GraphQL at {self.backend}: status {reply.status}, {why}"
        return error
