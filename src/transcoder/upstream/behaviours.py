"""What a servicer or an interceptor made, called in one way whatever it is.

gRPC takes methods as coroutine functions, async generators and plain functions, of four kinds; and
an interceptor may answer a method with a handler of another kind than the method's.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import functools
import inspect
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeAlias

import grpc

from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream.blocking import BlockingCall
from transcoder.upstream.requests import Requests

Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_END = object()


class Style(enum.Enum):
    """How a behaviour is called."""

    AWAITED = enum.auto()
    YIELDING = enum.auto()
    PLAIN = enum.auto()


@dataclass(frozen=True, slots=True)
class Threads:
    """Where plain behaviours run: those of one request and reply, and those with a stream."""

    single: Executor
    stream: Executor


@dataclass(frozen=True, slots=True)
class Behaviour:
    """What answers a call.

    Args:
        function: takes the request, or the stream of them, and the context.
        style: how to call it.
        takes_stream, returns_stream: its kind.
    """

    function: Callable[[Any, Any], Any]
    style: Style
    takes_stream: bool
    returns_stream: bool

    @property
    def writes(self) -> bool:
        """Whether its replies are those that it writes to the context."""
        return self.returns_stream and self.style is Style.AWAITED

    async def requests(self, request: Any) -> Any:
        """Return a call's request, or its `Requests`, in the form that the behaviour takes.

        Raises:
            StatusError: it takes one message, and there is none.
        """
        if self.takes_stream:
            return request if isinstance(request, Requests) else Requests(_Only(request))
        if not isinstance(request, Requests):
            return request
        first = await anext(request, _END)
        if first is _END:
            raise StatusError(Code.INTERNAL, "a call without a request")
        return first

    async def reply(self, request: Any, context: Any, threads: Threads) -> Any:
        """Return the one reply, or None where there is none.

        Raises:
            TypeError: there are more.
        """
        if not self.returns_stream:
            if self.style is not Style.PLAIN:
                return await self.function(request, context)
            call = BlockingCall(context, self._executor(threads))
            return await call.reply(self.function, self._on_thread(call, request))
        async with contextlib.aclosing(self.replies(request, context, threads)) as replies:
            reply = await anext(replies, None)
            if reply is not None and await anext(replies, _END) is not _END:
                raise TypeError("a stream of replies where one was expected")
            return reply

    def replies(self, request: Any, context: Any, threads: Threads) -> AsyncGenerator[Any, None]:
        """Return the stream of replies; where there is one reply, of that one."""
        if not self.returns_stream:
            return _stream(self.reply(request, context, threads))
        if self.style is Style.PLAIN:
            call = BlockingCall(context, self._executor(threads))
            return call.replies(self.function, self._on_thread(call, request))
        if self.style is Style.AWAITED:
            replies: AsyncGenerator[Any, None] = context.written(self.function(request, context))
            return replies
        yielded: AsyncGenerator[Any, None] = self.function(request, context)
        return yielded

    def _executor(self, threads: Threads) -> Executor:
        return threads.stream if self.takes_stream or self.returns_stream else threads.single

    def _on_thread(self, call: BlockingCall, request: Any) -> Any:
        if not self.takes_stream:
            return request
        # An interceptor may put a stream of its own in the place of the client's.
        requests = request if isinstance(request, Requests) else Requests(request)
        return call.requests(requests.read)


class _Plain:
    """A plain behaviour that others may await, or iterate, too; on a thread it stays plain."""

    def __init__(self, behaviour: Behaviour, threads: Threads) -> None:
        self._behaviour = behaviour
        self._threads = threads

    def __call__(self, request: Any, context: Any) -> Any:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._behaviour.function(request, context)
        if self._behaviour.returns_stream:
            return self._behaviour.replies(request, context, self._threads)
        return self._behaviour.reply(request, context, self._threads)


def offered(handler: Handler, threads: Threads) -> Handler:
    """Return a handler as interceptors get it: what they wrap in `async def` can be awaited.

    Args:
        handler: the method's.
        threads: for its behaviour, if it is a plain one.
    """
    behaviour = behaviour_of(handler)
    if behaviour.style is not Style.PLAIN:
        return handler
    return answered_by(handler, _Plain(behaviour, threads))


def answered_by(handler: Handler, function: Callable[[Any, Any], Any]) -> Handler:
    """Return a handler that differs from one in what answers.

    Args:
        handler: the one.
        function: that answers, of the same kind as its own.
    """
    make = getattr(grpc, f"{_kind(handler)}_rpc_method_handler")
    made: Handler = make(function, handler.request_deserializer, handler.response_serializer)
    return made


def function_of(handler: Handler) -> Callable[[Any, Any], Any]:
    """Return the function that answers."""
    function: Callable[[Any, Any], Any] = getattr(handler, _kind(handler))
    return function


def behaviour_of(handler: Handler) -> Behaviour:
    """Return what a handler does."""
    function = function_of(handler)
    takes, returns = bool(handler.request_streaming), bool(handler.response_streaming)
    return Behaviour(function, style_of(function), takes, returns)


def style_of(function: Callable[..., Any]) -> Style:
    """Say how grpc.aio would call a behaviour: on the loop, in either way, or on a thread."""
    while isinstance(function, functools.partial):
        function = function.func
    flags = getattr(getattr(function, "__code__", None), "co_flags", 0)
    if flags & inspect.CO_COROUTINE:
        return Style.AWAITED
    for each in (function, getattr(function, "__call__", None)):  # noqa: B004  its kind is asked
        if inspect.isasyncgenfunction(each):
            return Style.YIELDING
        if inspect.iscoroutinefunction(each):
            return Style.AWAITED
    return Style.PLAIN


def is_cancelled(error: BaseException) -> bool:
    """Say whether an error is the cancellation of the running task.

    A CancelledError may also come out of something else that a servicer waited for.
    """
    task = asyncio.current_task()
    return isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling() > 0


def _kind(handler: Handler) -> str:
    takes = "stream" if handler.request_streaming else "unary"
    return f"{takes}_{'stream' if handler.response_streaming else 'unary'}"


class _Only:
    """A stream of one message."""

    def __init__(self, message: Any) -> None:
        self._messages = [message]

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        if not self._messages:
            raise StopAsyncIteration
        return self._messages.pop()


async def _stream(reply: Awaitable[Any]) -> AsyncGenerator[Any, None]:
    yield await reply
