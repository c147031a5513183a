"""RPC method handlers for the gRPC port, with deserializer, behaviour and serializer guarded.

grpc.aio answers an exception in any of the three with the exception's own text. Here the handler
works on bytes, so that all three run inside one guard: the client learns INTERNAL and a request
id, the log has the traceback under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NoReturn, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.rpc import status_pb2
from grpc_status import rpc_status

from transcoder.blocking import BlockingCall
from transcoder.errors import StatusError
from transcoder.metadata import checked, request_id
from transcoder.response import INTERNAL
from transcoder.status import Status, shortened
from transcoder.upstream import check_reply
from transcoder.upstream.codes import number_of, status_code, to_abort

_log = logging.getLogger(__name__)

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Codec = Callable[[Any], Any]

_END = object()
_ANY: Mapping[str, type[Message]] = {}


def is_async(behaviour: Callable[..., Any]) -> bool:
    """Say whether grpc.aio would call this behaviour on the loop rather than on a thread."""
    while isinstance(behaviour, functools.partial):
        behaviour = behaviour.func
    candidates = (behaviour, getattr(behaviour, "__call__", None))  # noqa: B004  its kind is asked
    return any(
        inspect.iscoroutinefunction(each) or inspect.isasyncgenfunction(each) for each in candidates
    )


@dataclass(frozen=True, slots=True)
class HandlerDetails:
    """What a generic handler is asked with, as `grpc.HandlerCallDetails`."""

    method: str
    invocation_metadata: tuple[Any, ...] = ()


class GuardedHandlers(grpc.ServiceRpcHandler):
    """The handlers of one service, guarded; see `guarded`.

    Args:
        inner: the handlers.
        executor: threads for plain (not `async`) behaviours.
        stream_executor: threads for those of them that take or return a stream, if others.
        replies: what each method must return, by its gRPC path; methods may be left out.
    """

    def __init__(
        self,
        inner: grpc.GenericRpcHandler,
        executor: Executor,
        stream_executor: Executor | None = None,
        replies: Mapping[str, type[Message]] = _ANY,
    ) -> None:
        self._inner = inner
        self._executor = executor
        self._stream_executor = stream_executor or executor
        self._replies = replies
        self._guarded: dict[str, Handler] = {}

    def service_name(self) -> str:
        """Return the full name of the service."""
        name: str = getattr(self._inner, "service_name", str)()
        return name

    def service(self, handler_call_details: Any) -> Handler | None:
        """Return the guarded handler of a method, or None when there is no such method."""
        path = handler_call_details.method
        known = self._guarded.get(path)
        if known is None:
            handler = self._inner.service(handler_call_details)
            if handler is None:
                return None
            reply = self._replies.get(path)
            streams = handler.request_streaming or handler.response_streaming
            executor = self._stream_executor if streams else self._executor
            known = self._guarded[path] = guarded(path, handler, executor, reply)
        return known


def guarded(
    path: str, handler: Handler, executor: Executor, reply: type[Message] | None = None
) -> Handler:
    """Return a handler that behaves the same and tells nothing of an exception.

    Args:
        path: the gRPC path, for the log.
        handler: of any of the four kinds, with a coroutine, async generator or plain behaviour.
        executor: threads for plain behaviours.
        reply: what it must return. Generated serializers take a message of any type.
    """
    guard = _Guard(path, handler, executor, reply)
    if handler.stream_stream is not None:
        return grpc.stream_stream_rpc_method_handler(guard.stream(handler.stream_stream))
    if handler.stream_unary is not None:
        return grpc.stream_unary_rpc_method_handler(guard.single(handler.stream_unary))
    if handler.unary_stream is not None:
        return grpc.unary_stream_rpc_method_handler(guard.stream(handler.unary_stream))
    if handler.unary_unary is not None:
        return grpc.unary_unary_rpc_method_handler(guard.single(handler.unary_unary))
    return handler


class _Guard:
    def __init__(
        self, path: str, handler: Handler, executor: Executor, reply: type[Message] | None
    ) -> None:
        self.path = path
        self.executor = executor
        self.deserialize: Codec = handler.request_deserializer or _same
        serializer: Codec = handler.response_serializer or _same
        self.serialize = serializer if reply is None else _checked(serializer, reply)
        self.takes_stream = bool(handler.request_streaming)

    def single(self, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """Guard a behaviour that returns one reply."""

        async def on_loop(data: Any, context: Any) -> bytes:
            async with _Telling(self, context):
                request = self._requests(data) if self.takes_stream else self.deserialize(data)
                reply = await behaviour(request, _Coded(context, self))
                return b"" if number_of(context.code()) else self.serialize(reply)

        async def on_thread(data: Any, context: Any) -> bytes:
            call = BlockingCall(context, self.executor)
            try:
                async with _Telling(self, context):
                    reply = await call.run(behaviour, self._blocking(data, call), call.context)
                    return b"" if number_of(context.code()) else self.serialize(reply)
            finally:
                call.end()

        return on_loop if is_async(behaviour) else on_thread

    def stream(self, behaviour: Callable[..., Any]) -> Callable[..., Any]:
        """Guard a behaviour that returns a stream, by yielding or by `context.write()`."""

        async def yielding(data: Any, context: Any) -> AsyncIterator[bytes]:
            async with _Telling(self, context):
                request = self._requests(data) if self.takes_stream else self.deserialize(data)
                replies = behaviour(request, _Coded(context, self))
                async with contextlib.aclosing(replies):
                    async for reply in replies:
                        yield self.serialize(reply)

        async def writing(data: Any, context: Any) -> None:
            async with _Telling(self, context):
                request = self._requests(data) if self.takes_stream else self.deserialize(data)
                await behaviour(request, _Coded(context, self))

        async def on_thread(data: Any, context: Any) -> None:
            call = BlockingCall(context, self.executor)
            replies: Any = None
            try:
                async with _Telling(self, context):
                    request = self._blocking(data, call)
                    replies = iter(await call.run(behaviour, request, call.context))
                    while (reply := await call.run(next, replies, _END)) is not _END:
                        await context.write(self.serialize(reply))
                    replies = None
            finally:
                call.end(replies)

        if inspect.isasyncgenfunction(behaviour):
            return yielding
        return writing if is_async(behaviour) else on_thread

    def _blocking(self, data: Any, call: BlockingCall) -> Any:
        return call.requests(self.deserialize) if self.takes_stream else self.deserialize(data)

    async def _requests(self, stream: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        async for data in stream:
            yield self.deserialize(data)

    def answer(self, error: BaseException, context: Any) -> tuple[grpc.StatusCode, str, Any]:
        """Return the status that tells the client of an error; log what is a defect."""
        trailing = tuple(context.trailing_metadata() or ())
        if isinstance(error, StatusError):
            return _on_the_wire(error.status, trailing)
        code = status_code(context.code())
        if code is not grpc.StatusCode.OK and isinstance(error, NotImplementedError):
            return code, _text(context.details()), trailing
        metadata = context.invocation_metadata() or ()
        name = request_id(value for key, value in metadata if key == "x-request-id")
        _log.error("%s failed, request id %s", self.path, name, exc_info=error)
        if code is not grpc.StatusCode.OK:
            # A status set before an exception stands, as grpc.aio has it.
            return code, _text(context.details()), trailing
        return _on_the_wire(INTERNAL.status, (("x-request-id", name),))


class _Telling:
    """Ends the call with a status when its body raises, and lets pass what ends it by itself."""

    __slots__ = ("_context", "_guard")

    def __init__(self, guard: _Guard, context: Any) -> None:
        self._guard = guard
        self._context = context

    async def __aenter__(self) -> None:
        """Do nothing."""

    async def __aexit__(self, _type: object, error: BaseException | None, _tb: object) -> None:
        if error is None or isinstance(error, grpc.aio.AbortError | GeneratorExit):
            return
        if is_cancelled(error) or self._context.cancelled():
            return
        await self._context.abort(*self._guard.answer(error, self._context))


def is_cancelled(error: BaseException) -> bool:
    """Say whether an error is the cancellation of the running task.

    A CancelledError may also come out of something else that a servicer waited for.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


class _Coded:
    """The context that an `async` servicer sees over a handler of bytes.

    `read()` and `write()` speak messages, and metadata may be any sequence, as in process.
    """

    __slots__ = ("_context", "_guard")

    def __init__(self, context: Any, guard: _Guard) -> None:
        self._context = context
        self._guard = guard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    async def read(self) -> Any:
        data = await self._context.read()
        return data if data is grpc.aio.EOF else self._guard.deserialize(data)

    async def write(self, message: Any) -> None:
        await self._context.write(self._guard.serialize(message))

    async def abort(self, code: Any, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        trailing = checked(trailing_metadata)
        await self._context.abort(to_abort(code), details, trailing)
        raise AssertionError

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    async def send_initial_metadata(self, initial_metadata: Any) -> None:
        await self._context.send_initial_metadata(checked(initial_metadata))

    def set_trailing_metadata(self, trailing_metadata: Any) -> None:
        self._context.set_trailing_metadata(checked(trailing_metadata))


grpc.aio.ServicerContext.register(_Coded)


def _checked(serializer: Codec, expected: type[Message]) -> Codec:
    def serialize(reply: Any) -> Any:
        check_reply(reply, expected)
        return serializer(reply)

    return serialize


def _same(value: Any) -> Any:
    return value


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


def _text(details: Any) -> str:
    return details.decode("utf-8", "replace") if isinstance(details, bytes) else details or ""
