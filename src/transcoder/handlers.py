"""RPC method handlers for the gRPC port, with deserializer, behaviour and serializer guarded.

grpc.aio answers an exception in any of the three with the exception's own text. Here the handler
works on bytes, so that all three run inside one guard: the client learns INTERNAL and a request
id, the log has the traceback under the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import Any, TypeAlias

import grpc
import grpc.aio
from google.protobuf.message import Message

from transcoder.errors import StatusError
from transcoder.grpc_door import Behaviour as Entered
from transcoder.grpc_door import GrpcDoor
from transcoder.grpc_refusal import Refusing
from transcoder.offload import Offload
from transcoder.status import Code
from transcoder.time_limit import Within, limit
from transcoder.timeouts import NO_TIMEOUTS, Timeouts
from transcoder.upstream import check_reply
from transcoder.upstream.behaviours import Behaviour, Handler, Threads, behaviour_of, offered
from transcoder.upstream.coded import CodedContext, sent
from transcoder.upstream.codes import number_of
from transcoder.upstream.current import current
from transcoder.upstream.interceptors import Find, HandlerDetails, chained, intercepted
from transcoder.upstream.requests import Requests
from transcoder.wire import class_read_by, is_heavy, parse

Codec = Callable[[Any], Any]
Admitted: TypeAlias = Callable[[Any], tuple[Any, ...]]
Check: TypeAlias = Callable[[Any, int | None], None]

_MOMENT = 0.001
"""Seconds in which a cancellation follows the end of a stream that it caused."""

_ANY: Mapping[str, type[Message]] = {}


def metadata_of(context: Any) -> tuple[Any, ...]:
    """Return all metadata that a client sent."""
    return tuple(context.invocation_metadata() or ())


class GuardedHandlers(grpc.ServiceRpcHandler):
    """The handlers of one service, guarded; see `guarded`.

    Args:
        inner: the handlers.
        executor: threads for plain (not `async`) behaviours.
        stream_executor: threads for those of them that take or return a stream, if others.
        replies: what each method must return, by its gRPC path; methods may be left out.
        interceptors: stand before every method, inside the guard.
        admitted: what of its metadata a client may say, by grpc.aio's context.
        check: refuses a request, given its place in a stream if it is of one.
        offload: where requests are read that would hold the loop.
        door: lets calls in, outside of all that; None where nothing stands there.
        raw: whether the handlers take requests as bytes; they are read for `check` alone.
        timeouts: how long calls may take.
        withheld: gRPC paths of methods that are not there for clients.
    """

    def __init__(
        self,
        inner: grpc.GenericRpcHandler,
        executor: Executor,
        stream_executor: Executor | None = None,
        replies: Mapping[str, type[Message]] = _ANY,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        *,
        admitted: Admitted = metadata_of,
        check: Check | None = None,
        offload: Offload | None = None,
        door: GrpcDoor | None = None,
        raw: bool = False,
        timeouts: Timeouts = NO_TIMEOUTS,
        withheld: frozenset[str] = frozenset(),
    ) -> None:
        self._inner = inner
        self._withheld = withheld
        self._door = door
        self._raw = raw
        self._timeouts = timeouts
        self._offload = offload or Offload()
        self._check = check
        self._admitted = admitted
        self._threads = Threads(executor, stream_executor or executor)
        self._replies = replies
        self._chain = chained(interceptors, self._offered)
        self._offers: dict[str, Handler] = {}
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
            handler = self._offered(handler_call_details)
            if handler is None:
                return None
            reply = self._replies.get(path)
            known = guarded(
                path,
                handler,
                self._threads,
                reply,
                self._chain,
                admitted=self._admitted,
                check=self._check,
                offload=self._offload,
                door=self._door or None,
                raw=self._raw,
                timeouts=self._timeouts,
            )
            self._guarded[path] = known
        return known

    def _offered(self, details: Any) -> Handler | None:
        """Return the handler that the interceptors are given, always the same one."""
        known = self._offers.get(details.method)
        if known is None:
            known = None if details.method in self._withheld else self._inner.service(details)
            if known is not None and self._chain is not None:
                known = self._offers[details.method] = offered(known, self._threads)
        return known


def guarded(
    path: str,
    handler: Handler,
    threads: Threads,
    reply: type[Message] | None = None,
    chain: Find | None = None,
    *,
    admitted: Admitted = metadata_of,
    check: Check | None = None,
    offload: Offload | None = None,
    door: GrpcDoor | None = None,
    raw: bool = False,
    timeouts: Timeouts = NO_TIMEOUTS,
) -> Handler:
    """Return a handler that behaves the same and tells nothing of an exception.

    Args:
        path: the gRPC path, for the log.
        handler: of any of the four kinds, with a coroutine, async generator or plain behaviour.
        threads: for plain behaviours.
        reply: what it must return. Generated serializers take a message of any type.
        chain: the interceptors before it.
        admitted: what of its metadata a client may say.
        check: refuses a request.
        offload: where requests are read that would hold the loop.
        door: lets calls in.
        raw: whether the handler takes requests as bytes.
        timeouts: how long a call may take.
    """
    guard = _Guard(path, handler, threads, reply, chain)
    guard.offload = offload or Offload()
    guard.admitted = admitted
    guard.check = check
    guard.raw = raw
    streams = handler.request_streaming, handler.response_streaming
    name = path[1:].replace("/", ".")
    guard.allowed = timeouts.allowed(name, streams=any(streams))
    behaviour: Entered = guard.stream if handler.response_streaming else guard.single
    if door is not None:
        telling = functools.partial(Refusing, path)
        behaviour = door.before(path, behaviour, telling, streams=streams)
    return _MAKERS[streams](behaviour)


_MAKERS: dict[tuple[bool, bool], Callable[[Entered], Handler]] = {
    (False, False): grpc.unary_unary_rpc_method_handler,
    (False, True): grpc.unary_stream_rpc_method_handler,
    (True, False): grpc.stream_unary_rpc_method_handler,
    (True, True): grpc.stream_stream_rpc_method_handler,
}


def missing(path: str, door: GrpcDoor, executor: Executor) -> Handler:
    """Return a handler in the place of one that there is not: only who is let in learns that.

    Args:
        path: that the client called.
        door: lets calls in.
        executor: as for other handlers; it is not used.
    """
    guard = _Guard(path, _MISSING, Threads(executor, executor), None, None)
    guard.offload = Offload()
    telling = functools.partial(Refusing, path)
    behaviour = door.before("", guard.stream, telling, streams=(True, True))
    return grpc.stream_stream_rpc_method_handler(behaviour)


async def _miss(_requests: Any, _context: Any) -> None:
    raise StatusError(Code.UNIMPLEMENTED, "Method not found!")


# Of this kind because it is answered before a message is read; the client's kind is its own.
_MISSING: Handler = grpc.stream_stream_rpc_method_handler(_miss)


class _Guard:
    def __init__(
        self,
        path: str,
        handler: Handler,
        threads: Threads,
        reply: type[Message] | None,
        chain: Find | None,
    ) -> None:
        self.path = path
        self.deserialize: Codec = handler.request_deserializer or _same
        self._request_class = class_read_by(self.deserialize)
        serializer: Codec = handler.response_serializer or _same
        self.serialize = serializer if reply is None else _checked(serializer, reply)
        self._handler = handler
        self._own = behaviour_of(handler)
        self._threads = threads
        self._chain = chain
        self.admitted: Admitted = metadata_of
        self.check: Check | None = None
        self.raw = False
        self.allowed = NO_TIMEOUTS.allowed("", streams=True)
        self.offload: Offload

    async def single(self, data: Any, context: Any) -> bytes:
        """Answer a call of one reply."""
        async with (
            Refusing(self.path, context),
            self._within(context) as until,
            self._reading(data) as received,
        ):
            behaviour = await self._behaviour(context)
            given = await behaviour.requests(await received())
            coded = self._coded(context, given, until)
            try:
                reply = await behaviour.reply(given, coded, self._threads)
            finally:
                coded.over = True
            return b"" if number_of(context.code()) else self.serialize(reply)

    async def stream(self, data: Any, context: Any) -> None:
        """Answer a call of a stream of replies."""
        async with (
            Refusing(self.path, context),
            self._within(context) as until,
            self._reading(data) as received,
        ):
            behaviour = await self._behaviour(context)
            given = await behaviour.requests(await received())
            coded = self._coded(context, given, until, writes=behaviour.writes)
            try:
                if behaviour.writes:
                    await behaviour.function(given, coded)
                    return
                replies = behaviour.replies(given, coded, self._threads)
                async with contextlib.aclosing(replies):
                    async for reply in replies:
                        await sent(context.write(self.serialize(reply)))
            finally:
                coded.over = True

    @contextlib.asynccontextmanager
    async def _reading(self, data: Any) -> AsyncGenerator[Callable[[], Awaitable[Any]], None]:
        """Give a call its request, or requests, and read no more of them after it."""
        if not self._own.takes_stream:
            yield functools.partial(self._request, data)
            return
        requests = Requests(self._requests(data))

        async def received() -> Any:
            return requests

        try:
            yield received
        finally:
            await requests.close()

    def _within(self, context: Any) -> Within:
        return Within(limit(self.allowed, context.time_remaining()))

    def _coded(
        self, context: Any, given: Any, until: float | None, *, writes: bool = False
    ) -> CodedContext:
        requests = given if isinstance(given, Requests) else None
        coded = CodedContext(context, self, requests, until, writes=writes)
        current.set(coded)
        return coded

    async def _request(self, data: Any, index: int | None = None) -> Any:
        if self.raw and self.check is None:
            return data
        wanted = self._request_class
        if wanted is not None and is_heavy(data, wanted):
            run = self.offload.run if index is None else self.offload.in_turn
            request: Any = await run(parse, data, wanted)
        else:
            request = self.deserialize(data)
        if self.check is not None:
            self.check(request, index)
        return data if self.raw else request

    async def _behaviour(self, context: Any) -> Behaviour:
        if self._chain is None:
            return self._own
        details = HandlerDetails(self.path, self.admitted(context))
        return await intercepted(self._chain, details, self._handler, self._own)

    async def _requests(self, stream: AsyncIterator[bytes]) -> AsyncIterator[Any]:
        index = 0
        async for data in stream:
            yield await self._request(data, index)
            index += 1
        # When the client cancels, grpc.aio tells of the end first: that is no end of the stream.
        await asyncio.sleep(_MOMENT)


def _checked(serializer: Codec, expected: type[Message]) -> Codec:
    def serialize(reply: Any) -> Any:
        check_reply(reply, expected)
        return serializer(reply)

    return serialize


def _same(value: Any) -> Any:
    return value
