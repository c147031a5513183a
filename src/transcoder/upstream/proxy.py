"""Handlers that pass calls on to an upstream.

Messages pass one at a time, the next only when the client has taken the last. Where nobody looks
at them they stay bytes, for to read and write what takes protobuf long would hold the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol, runtime_checkable

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import StatusError
from transcoder.metadata import Metadatum
from transcoder.protojson.weight import LIMIT, weight
from transcoder.status import Code
from transcoder.upstream import Call, Upstream, check_reply
from transcoder.upstream.failures import TOO_LARGE


class Remote(Upstream, Protocol):
    """An upstream for whole services, outside this process."""

    def add(self, service: ServiceDescriptor) -> None:
        """Learn the methods of a service that is going to be called."""
        ...

    async def close(self) -> None:
        """Cancel what is called, and let go of the backend."""
        ...


@runtime_checkable
class Reachable(Protocol):
    """An upstream that knows whether its backend can be reached."""

    async def check(self) -> str:
        """Return why it cannot; empty where it can."""
        ...


def handlers(
    service: ServiceDescriptor, upstream: Upstream, call: type[Call] = Call
) -> grpc.GenericRpcHandler:
    """Return the handlers of a service whose calls `upstream` answers; `guarded` is to wrap them.

    Args:
        service: its descriptor.
        upstream: who answers; it raises StatusError.
        call: how it is called; with RawCall the handlers speak bytes.
    """
    methods = {rpc.name: _handler(rpc, upstream, call) for rpc in service.methods}
    return grpc.method_handlers_generic_handler(service.full_name, methods)


class _Passing:
    def __init__(self, rpc: MethodDescriptor, upstream: Upstream, call: type[Call]) -> None:
        self._path = f"/{rpc.containing_service.full_name}/{rpc.name}"
        self._upstream = upstream
        self._call_class = call

    async def single(self, request: Any, context: Any) -> Any:
        call = self._call(context)
        try:
            reply = await self._upstream.unary(call, request)
            await _open(context, call)
        except StatusError:
            await _open(context, call)
            raise
        finally:
            context.set_trailing_metadata(call.trailing_metadata)
        return reply

    async def stream(self, request: Any, context: Any) -> AsyncGenerator[Any, None]:
        call = self._call(context)
        opening = _Opening(context, call)
        try:
            async with contextlib.aclosing(self._upstream.stream(call, request)) as replies:
                async for reply in replies:
                    await opening.sent()
                    yield reply
        except StatusError:
            if not opening.begun:
                await _open(context, call)
            raise
        finally:
            await opening.sent()
            context.set_trailing_metadata(call.trailing_metadata)

    def _call(self, context: Any) -> Call:
        left = context.time_remaining()
        deadline = None if left is None else time.monotonic() + left
        given = tuple(Metadatum(*pair) for pair in context.invocation_metadata() or ())
        made = self._call_class(self._path, deadline=deadline)
        made.told(given, getattr(context, "call", None))
        return made


class _Opening:
    """Sends initial metadata when they come, which may be long before the first reply."""

    def __init__(self, context: Any, call: Call) -> None:
        self._sending: asyncio.Task[None] | None = None
        self._context = context
        self._call = call
        call.on_open = self._begin

    async def sent(self) -> None:
        """Return when they are sent, if they came."""
        if self._sending is not None:
            await self._sending

    @property
    def begun(self) -> bool:
        """Whether they came."""
        return self._sending is not None

    def _begin(self) -> None:
        self._sending = asyncio.create_task(_open(self._context, self._call))


async def _open(context: Any, call: Call) -> None:
    if call.initial_metadata and not context.done():
        await context.send_initial_metadata(call.initial_metadata)


def _handler(rpc: MethodDescriptor, upstream: Upstream, call: type[Call]) -> Any:
    passing = _Passing(rpc, upstream, call)
    streams = rpc.client_streaming, rpc.server_streaming
    make: Callable[..., Any] = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }[streams]
    behaviour = passing.stream if rpc.server_streaming else passing.single
    write = None if call.raw else functools.partial(_serialized, GetMessageClass(rpc.output_type))
    return make(behaviour, GetMessageClass(rpc.input_type).FromString, write)


def _serialized(expected: type[Message], reply: Message) -> bytes:
    """Serialize a reply that somebody looked at; of too many messages that would take long."""
    check_reply(reply, expected)
    if weight(reply, contents=False) > LIMIT:
        error = StatusError(Code.INTERNAL, TOO_LARGE)
        error.log = f"the reply holds over {LIMIT} messages"
        raise error
    # A field may have the method's name.
    data: bytes = type(reply).SerializeToString(reply)
    return data
