"""An error on its way to the client: logged once, and told as much as is the client's."""

from __future__ import annotations

import logging
from typing import Final

from starlette.types import Scope

from transcoder.asgi import raw_path
from transcoder.call_details import CALL, CallDetails
from transcoder.errors import StatusError, Unprintable
from transcoder.marshaler import accept_of
from transcoder.metadata import request_id
from transcoder.response import INTERNAL, Payload, error_payload
from transcoder.status import Code

_log = logging.getLogger(__name__)

SHAPE: Final = "transcoder.errors"
"""The key of a scope under which the gateway says how errors are told, if not as usual."""

POOL: Final = "transcoder.pool"
"""The key of a scope under which it says where types are looked up, if not in the default pool."""


def refuse(error: BaseException, scope: Scope) -> Payload:
    """Log an error and return what the client is told.

    Args:
        error: a StatusError speaks for itself; anything else is a defect, and told as INTERNAL.
        scope: of the request that ended with it.
    """
    accept = accept_of(scope["headers"])
    payload = error_payload(error, accept, scope.get(SHAPE), scope.get(POOL))
    call: CallDetails | None = scope.get(CALL)
    if call is None:
        name = request_id(value for key, value in scope["headers"] if key == b"x-request-id")
    else:
        name = call.request_id
        call.fail(error if isinstance(error, StatusError) else INTERNAL)
    # Other servers than ours let control bytes through, and logs end up in terminals.
    method, path = scope.get("method", "GET"), ascii(raw_path(scope)[:256])[1:-1]
    defect = error if not isinstance(error, StatusError) else error.__cause__
    if isinstance(defect, Unprintable):
        # A traceback would show the values that the text leaves out, and tells no more.
        _log.error("%s %s failed, request id %s: %s", method, path, name, defect)
    elif defect is not None:
        _log.error("%s %s failed, request id %s", method, path, name, exc_info=defect)
    elif isinstance(error, StatusError):
        ordinary = payload.status < 500 or error.status.code is Code.UNIMPLEMENTED
        level = logging.INFO if ordinary and not error.log else logging.WARNING
        text = "%s %s answered %d: %.256r, request id %s%s"
        why = f": {error.log}" if error.log else ""
        _log.log(level, text, method, path, payload.status, error.status.message, name, why)
    return payload._replace(headers=[*payload.headers, (b"x-request-id", name.encode())])
