"""Servicers in this process, called without a socket."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NoReturn

import grpc.aio
from google.protobuf.message import Message

from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.upstream import Call, Request, check_reply
from transcoder.upstream.behaviours import Behaviour, Handler, Style, Threads, behaviour_of, offered
from transcoder.upstream.context import LocalContext
from transcoder.upstream.current import current
from transcoder.upstream.interceptors import HandlerDetails, chained, intercepted
from transcoder.upstream.requests import Requests


@dataclass(frozen=True, slots=True)
class _Method:
    handler: Handler
    behaviour: Behaviour
    response_class: type[Message]
    # One request, one reply, on the loop: nothing stands between the gateway and the servicer.
    is_direct: bool

    def checked(self, reply: Any, context: LocalContext) -> Message:
        context.raise_failure()
        if type(reply) is not self.response_class:
            check_reply(reply, self.response_class)
        answer: Message = reply
        return answer


class Local:
    """The upstream of servicers registered with the gateway.

    An `async def` method runs in the task that awaits the reply, or iterates the stream; one that
    writes to its context has a task of its own. A plain one runs on a thread, so that it cannot
    hold the loop. What they reply is checked as the wire would: a reply of another type is a
    TypeError here and INTERNAL for the client.

    Args:
        executor: threads for plain methods of one request and one reply.
        stream_executor: threads for other plain methods, if others.
        interceptors: stand before every method.
    """

    def __init__(
        self,
        executor: Executor,
        stream_executor: Executor | None = None,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
    ) -> None:
        self._threads = Threads(executor, stream_executor or executor)
        self._methods: dict[str, _Method] = {}
        self._chain = chained(interceptors, self._find)

    def add(self, path: str, handler: Handler, response_class: type[Message]) -> None:
        """Register a method.

        Args:
            path: its gRPC path.
            handler: of any of the four kinds.
            response_class: what it must reply.
        """
        behaviour = behaviour_of(handler)
        if self._chain is not None:
            handler = offered(handler, self._threads)
        streams = behaviour.takes_stream or behaviour.returns_stream
        is_direct = not streams and behaviour.style is Style.AWAITED and self._chain is None
        self._methods[path] = _Method(handler, behaviour, response_class, is_direct)

    async def unary(self, call: Call, request: Request) -> Message:
        """Return the servicer's reply; see `Upstream`."""
        method = self._method(call)
        if not method.is_direct:
            return await self._single(method, call, request)
        context = LocalContext(call)
        current.set(context)
        try:
            answer = method.checked(await method.behaviour.function(request, context), context)
        except BaseException as error:  # noqa: BLE001  it is raised again
            _fail(error, context)
        context.finish()
        return answer

    async def stream(self, call: Call, request: Request) -> AsyncGenerator[Message, None]:
        """Return the servicer's replies; see `Upstream`."""
        method = self._method(call)
        async with _Reading(request) as received:
            behaviour = await self._behaviour(method, call)
            given = await behaviour.requests(received)
            context = _context(call, given, method)
            try:
                replies = behaviour.replies(given, context, self._threads)
                try:
                    async for reply in replies:
                        context.raise_if_aborted()
                        check_reply(reply, method.response_class)
                        context.begin()
                        yield reply
                except GeneratorExit:
                    context.cancel()
                    raise
                finally:
                    await replies.aclose()
                context.raise_failure()
            except BaseException as error:  # noqa: BLE001  it is raised again
                _fail(error, context)
            context.finish()

    async def _single(self, method: _Method, call: Call, request: Request) -> Message:
        async with _Reading(request) as received:
            behaviour = await self._behaviour(method, call)
            given = await behaviour.requests(received)
            context = _context(call, given, method)
            try:
                reply = await behaviour.reply(given, context, self._threads)
                answer = method.checked(reply, context)
            except BaseException as error:  # noqa: BLE001  it is raised again
                _fail(error, context)
            context.finish()
            return answer

    async def _behaviour(self, method: _Method, call: Call) -> Behaviour:
        if self._chain is None:
            return method.behaviour
        details = HandlerDetails(call.method, call.metadata)
        return await intercepted(self._chain, details, method.handler, method.behaviour)

    def _find(self, details: Any) -> Handler | None:
        method = self._methods.get(details.method)
        return None if method is None else method.handler

    def _method(self, call: Call) -> _Method:
        method = self._methods.get(call.method)
        if method is None:
            raise StatusError(Code.UNIMPLEMENTED, f"{call.method} is not served over HTTP")
        return method


class _Reading:
    """Gives a call its requests, and reads no more of them after it.

    A class, for that costs less than a generator.
    """

    __slots__ = ("_request", "_requests")

    def __init__(self, request: Request) -> None:
        self._request = request
        self._requests = None if isinstance(request, Message) else Requests(request)

    async def __aenter__(self) -> Any:
        return self._requests or self._request

    async def __aexit__(self, *_: object) -> None:
        if self._requests is not None:
            await self._requests.close()


def _context(call: Call, given: Any, method: _Method) -> LocalContext:
    requests = given if isinstance(given, Requests) else None
    context = LocalContext(call, requests, method.response_class)
    current.set(context)
    return context


def _fail(error: BaseException, context: LocalContext) -> NoReturn:
    """Raise what a call ends with when its servicer raised an error."""
    failure = context.failure()
    is_final = isinstance(error, StatusError) or not isinstance(error, Exception)
    try:
        if failure is None or is_final:
            context.finish(error)
            raise error
        # A status set before an exception stands, as it does in grpc.aio.
        context.finish(failure)
        is_told = isinstance(error, grpc.aio.AbortError | NotImplementedError)
        raise failure from None if is_told else error
    finally:
        # What is raised holds this frame: it may not hold what is raised.
        del error, failure
