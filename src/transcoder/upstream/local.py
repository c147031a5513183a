"""Servicers in this process, called without a socket."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream import Call, Request, check_reply
from transcoder.upstream.context import BlockingContext, LocalContext


@dataclass(frozen=True, slots=True)
class Method:
    """One method of a registered servicer.

    Args:
        behaviour: the servicer's bound method.
        is_async: whether it is a coroutine function; others run on a thread.
        response_class: what it must return.
    """

    behaviour: Callable[[Any, Any], Any]
    is_async: bool
    response_class: type[Message]


class Local:
    """The upstream of servicers registered with the gateway.

    An `async def` method is awaited directly; a plain one runs on `executor`, so that it cannot
    hold the loop. What it returns is checked as the wire would: a reply of another type is a
    TypeError here and INTERNAL for the client.
    """

    def __init__(self, executor: Executor) -> None:
        self._executor = executor
        self._methods: dict[str, Method] = {}

    def add(self, path: str, method: Method) -> None:
        """Register a method under its gRPC path."""
        self._methods[path] = method

    async def unary(self, call: Call, request: Request) -> Message:
        """Return the servicer's reply; see `Upstream`."""
        method = self._methods.get(call.method)
        if method is None:
            raise StatusError(Code.UNIMPLEMENTED, f"{call.method} is not served over HTTP")
        if method.is_async:
            context = LocalContext(call)
            return await _outcome(method.behaviour(request, context), context, method)
        blocking = BlockingContext(call)
        work = asyncio.get_running_loop().run_in_executor(
            self._executor, contextvars.copy_context().run, method.behaviour, request, blocking
        )
        return await _outcome(work, blocking, method)


async def _outcome(
    work: Awaitable[Any],
    context: LocalContext | BlockingContext,
    method: Method,
) -> Message:
    try:
        reply = await work
    except grpc.aio.AbortError as error:
        raise context.failure() or error from None
    except Exception as error:
        failure = context.failure()
        if failure is None or isinstance(error, StatusError):
            raise
        # A status set before an exception stands, as it does in grpc.aio.
        raise failure from None if isinstance(error, NotImplementedError) else error
    finally:
        context.finish()
    failure = context.failure()
    if failure is not None:
        raise failure
    check_reply(reply, method.response_class)
    answer: Message = reply
    return answer
