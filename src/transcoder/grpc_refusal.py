"""An error on its way to a gRPC client: logged once, and told as much as is the client's."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import grpc
import grpc.aio
from google.rpc import status_pb2
from grpc_status import rpc_status

from transcoder.call_details import CallDetails
from transcoder.errors import StatusError
from transcoder.metadata import request_id
from transcoder.response import INTERNAL
from transcoder.status import Status, shortened
from transcoder.upstream.behaviours import is_cancelled
from transcoder.upstream.codes import status_code
from transcoder.upstream.context import is_being_cancelled

_log = logging.getLogger(__name__)

_TOLD = frozenset({"retry-after", "www-authenticate"})
"""Headers of refusals that gRPC clients are told too, in trailing metadata."""


class Refusing:
    """Ends a call with a status when its body raises, and lets pass what ends it by itself.

    Args:
        path: the gRPC path, for the log.
        context: grpc.aio's.
    """

    __slots__ = ("_context", "_path")

    def __init__(self, path: str, context: Any) -> None:
        self._path = path
        self._context = context

    async def __aenter__(self) -> None:
        """Do nothing."""

    async def __aexit__(self, _type: object, error: BaseException | None, _tb: object) -> None:
        if error is None or isinstance(error, GeneratorExit) or is_cancelled(error):
            return
        if isinstance(error, grpc.aio.AbortError) and self._context.done():
            return
        try:
            await self._context.abort(*_status(self._path, error, self._context))
        except grpc.aio.UsageError:
            if not is_being_cancelled():
                raise
            # The servicer has aborted before: nothing is left to tell.
            raise asyncio.CancelledError from None


def _status(path: str, error: BaseException, context: Any) -> tuple[grpc.StatusCode, str, Any]:
    """Return the status that tells the client of an error; log what is a defect.

    What is raised after the call was cancelled is not: by then much fails for that alone.
    """
    trailing = tuple(context.trailing_metadata() or ())
    if isinstance(error, StatusError):
        if error.log:
            name = _request_id(context)
            _log.warning("%s failed, request id %s: %s", path, name, error.log)
            trailing = (*trailing, ("x-request-id", name))
        told = [(key.lower(), value) for key, value in error.headers if key.lower() in _TOLD]
        return _on_the_wire(error.status, (*trailing, *told))
    code = status_code(context.code())
    if code is not grpc.StatusCode.OK and isinstance(error, NotImplementedError):
        return code, _text(context.details()), trailing
    name = _request_id(context)
    if is_being_cancelled():
        _log.info("%s was cancelled, then raised %s", path, type(error).__name__)
    else:
        _log.error("%s failed, request id %s", path, name, exc_info=error)
    if code is not grpc.StatusCode.OK:
        # A status set before an exception stands, as grpc.aio has it.
        return code, _text(context.details()), trailing
    return _on_the_wire(INTERNAL.status, (("x-request-id", name),))


def _on_the_wire(status: Status, trailing: tuple[Any, ...]) -> tuple[grpc.StatusCode, str, Any]:
    details = status.sent_details()
    told = shortened(status.message)
    if not details:
        return status_code(int(status.code)), told, trailing
    message = status_pb2.Status(code=int(status.code), message=told, details=details)
    packed_status = rpc_status.to_status(message)
    return (
        packed_status.code,
        packed_status.details,
        (*trailing, *(packed_status.trailing_metadata or ())),
    )


def _request_id(context: Any) -> str:
    call: CallDetails | None = getattr(context, "call", None)
    if call is not None:
        return call.request_id
    metadata = context.invocation_metadata() or ()
    return request_id(value for key, value in metadata if key == "x-request-id")


def _text(details: Any) -> str:
    return details.decode("utf-8", "replace") if isinstance(details, bytes) else details or ""
