"""Where the service's refusals become the status of a call."""

from __future__ import annotations

import contextlib
import functools
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine
from typing import Any, NoReturn, TypeVar

import grpc.aio
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from services.database import Unavailable
from services.user import refusal
from services.user.refusal import Refused
from services.user.store import Changed, Missing, Taken
from transcoder import StatusError

Service = TypeVar("Service")
Request = TypeVar("Request")
Response = TypeVar("Response")
Context = grpc.aio.ServicerContext[Any, Any]

REFUSALS = (Refused, Missing, Changed, Taken, Unavailable)
"""What a method raises to end a call; any other exception is a defect."""

_ID_LIMIT = 128

_log = logging.getLogger(__name__)


def refused(error: Exception) -> Refused:
    """Return the refusal that one of `REFUSALS` amounts to."""
    match error:
        case Refused():
            return error
        case Missing():
            return refusal.missing(error.key)
        case Taken():
            return refusal.taken(error.field, error.value)
        case Changed():
            return refusal.changed()
    return refusal.unavailable()


def status_of(error: Exception) -> Status:
    """Return what a client is told of one of `REFUSALS`, or of a request that breaks rules."""
    if isinstance(error, StatusError):
        told = error.status
        return Status(code=int(told.code), message=told.message, details=told.details)
    return refused(error).status


def single(
    method: Callable[[Service, Request, Context], Awaitable[Response]],
) -> Callable[[Service, Request, Context], Coroutine[Any, Any, Response]]:
    """Wrap a method that answers once, so that what it raises ends the call with a status."""

    @functools.wraps(method)
    async def answered(self: Service, request: Request, context: Context) -> Response:
        try:
            return await method(self, request, context)
        except REFUSALS as error:
            await _abort(context, error)

    return answered


def stream(
    method: Callable[[Service, Request, Context], AsyncGenerator[Response, None]],
) -> Callable[[Service, Request, Context], AsyncGenerator[Response, None]]:
    """Wrap a method that answers with a stream, so that what it raises ends it with a status."""

    @functools.wraps(method)
    async def answered(
        self: Service, request: Request, context: Context
    ) -> AsyncGenerator[Response, None]:
        try:
            async with contextlib.aclosing(method(self, request, context)) as responses:
                async for response in responses:
                    yield response
        except REFUSALS as error:
            await _abort(context, error)

    return answered


async def _abort(context: Context, error: Exception) -> NoReturn:
    if isinstance(error, Unavailable):
        # One line: while the database is away every call fails for the same reason.
        _log.warning("%s%s", error, _request_id(context))
        _log.debug("the database failed", exc_info=error)
    await context.abort_with_status(rpc_status.to_status(refused(error).status))


def _request_id(context: Context) -> str:
    metadata = context.invocation_metadata() or ()
    given = [str(value) for key, value in metadata if key == "x-request-id"]
    return f", request id {given[0][:_ID_LIMIT]}" if given else ""
