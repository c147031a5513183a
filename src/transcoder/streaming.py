"""Calls with streams over HTTP: the request's messages as they arrive, the replies as they come.

Everything about one call happens in the task of its request: it takes the replies and sends them,
so that a client that does not read stops the servicer. Beside it, a watch reads what the client
sends, and a timer looks after the silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from starlette.types import Receive, Scope, Send

from transcoder.body import Disconnected
from transcoder.call_details import CALL
from transcoder.calls import Calls
from transcoder.errors import SHUTTING_DOWN, StatusError
from transcoder.forwarding import Stream
from transcoder.metadata import RawHeaders
from transcoder.pulse import Answer, Pulse
from transcoder.reading import Reader
from transcoder.refusal import POOL, refuse
from transcoder.response import Payload, error_payload
from transcoder.response_encoder import Presentation
from transcoder.rest import Rest
from transcoder.route import Match
from transcoder.status import Code
from transcoder.stream_limits import StreamLimits
from transcoder.streamed_answer import StreamedAnswer
from transcoder.transcoder import Endpoint
from transcoder.upstream import Call, Request, Upstream
from transcoder.upstream.behaviours import is_cancelled
from transcoder.watch import Watch, check_time, disconnected

TURN = 0.01
"""Seconds after which a stream that never waits lets others have the loop."""


@dataclass(slots=True)
class Exchange:
    """One call with a stream on its way.

    Args:
        endpoint: the method.
        scope: of the HTTP request.
        call: the call.
        request: one message, or the client's stream of them.
        gone: returns when the client has gone away.
        presentation: how the client wants the replies printed.
    """

    endpoint: Endpoint
    scope: Scope
    call: Call
    request: Request
    gone: Callable[[], Awaitable[object]]
    presentation: Presentation | None


class Streaming:
    """Answers requests of methods with streams.

    Args:
        upstream_of: says who answers, by the method's gRPC path.
        calls: makes the calls.
        read: makes request messages.
        rest: prints replies.
        limits: of every stream.
    """

    def __init__(
        self,
        upstream_of: Callable[[str], Upstream],
        calls: Calls,
        read: Reader,
        rest: Rest,
        limits: StreamLimits,
    ) -> None:
        self.upstream_of = upstream_of
        self.limits = limits
        self._calls = calls
        self._read = read
        self._rest = rest
        self._open: set[Stream] = set()

    def end(self) -> None:
        """Give up all streams, for the server stops."""
        for stream in list(self._open):
            stream.end(StatusError(Code.UNAVAILABLE, SHUTTING_DOWN))

    def check_count(self) -> None:
        """Refuse one more stream than there may be at once.

        Raises:
            StatusError: UNAVAILABLE.
        """
        if len(self._open) >= self.limits.count:
            message = "too many streams at once"
            raise StatusError(Code.UNAVAILABLE, message, headers=[("retry-after", "1")])

    async def __call__(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload | None:
        """Answer; or return the answer, when it is no stream.

        Raises:
            StatusError: the request is refused before the call.
            Disconnected: the client went away.
        """
        endpoint: Endpoint = match.route.endpoint
        headers: RawHeaders = list(scope["headers"])
        rpc = endpoint.binding.rpc
        framing = None
        if rpc.server_streaming:
            framing = endpoint.framing(headers, endpoint.presentation(scope["query_string"]))
        if framing is not None and scope["method"] == "HEAD":
            # What GET would say of its stream, without beginning one.
            answer = StreamedAnswer(
                scope,
                send,
                framing,
                Call(endpoint.method, details=scope.get(CALL)),
                self._rest.outbound,
            )
            await answer.end()
            return None
        self.check_count()
        exchange = await self._begin(match, scope, headers, receive)
        upstream = self.upstream_of(exchange.call.method)
        if framing is None:
            return await self._single(exchange, upstream)
        answer = StreamedAnswer(scope, send, framing, exchange.call, self._rest.outbound)
        return await self._several(exchange, upstream, answer)

    async def _begin(
        self, match: Match[Any], scope: Scope, headers: RawHeaders, receive: Receive
    ) -> Exchange:
        endpoint: Endpoint = match.route.endpoint
        call = self._calls(scope, headers, endpoint.method, streams=True)
        if endpoint.binding.rpc.client_streaming:
            requests = self._read.stream(match, scope, headers, self.limits.message)
            presentation = endpoint.presentation(scope["query_string"])
            gone = functools.partial(requests.pump, receive)
            return Exchange(endpoint, scope, call, requests, gone, presentation)
        request, presentation = await self._read(match, scope, headers, receive)
        away = functools.partial(disconnected, receive)
        return Exchange(endpoint, scope, call, request, away, presentation)

    async def _single(self, exchange: Exchange, upstream: Upstream) -> Payload:
        call = exchange.call
        media_type = exchange.endpoint.media_type(call.headers, exchange.presentation)
        try:
            with self.watched(exchange):
                reply = await upstream.unary(call, exchange.request)
        except StatusError as error:
            return self._rest.refused(error, exchange.scope, call)
        finally:
            if call.details is not None:
                call.details.answered()
        printed = self._rest.printed(exchange.endpoint, reply, exchange.presentation, media_type)
        return self._rest.answered(await printed, exchange.scope, call)

    async def _several(
        self, exchange: Exchange, upstream: Upstream, answer: StreamedAnswer
    ) -> Payload | None:
        call = exchange.call
        call.on_open = answer.open_soon
        try:
            with self.watched(exchange, answer) as watch:
                async with contextlib.aclosing(upstream.stream(call, exchange.request)) as replies:
                    await self.relay(replies, exchange, answer, watch)
                await answer.end()
                if call.details is not None:
                    call.details.code = Code.OK
        except Disconnected:
            raise
        except BaseException as error:
            if is_cancelled(error):
                answer.cut()
                raise
            if not answer.begun:
                return answer.refused(self._rest.refused(error, exchange.scope, call))
            refuse(error, exchange.scope)
            # A framing tells errors in its own shape.
            told = error_payload(error, pool=exchange.scope.get(POOL))
            await answer.fail(told, self.limits.stall)
        finally:
            answer.close()
            if call.details is not None:
                call.details.answered()
                call.details.sent_messages += answer.count
        return None

    async def relay(
        self,
        replies: AsyncGenerator[Message, None],
        exchange: Exchange,
        answer: Answer,
        watch: Watch,
    ) -> None:
        """Send the replies as they come, as fast as the client reads them.

        Raises:
            StatusError, Disconnected: the call was given up, whatever its servicer still says.
        """
        now = asyncio.get_running_loop().time
        turn = now()
        async for reply in replies:
            watch.check()
            payload = await self._rest.printed(
                exchange.endpoint, reply, exchange.presentation, answer.media_type
            )
            await answer.message(reply, payload)
            if now() - turn > TURN:
                await asyncio.sleep(0)
                turn = now()
        watch.check()

    @contextlib.contextmanager
    def watched(self, exchange: Exchange, answer: Answer | None = None) -> Iterator[Watch]:
        """Count a stream among those that are open, and hold it to the limits.

        Raises:
            StatusError: DEADLINE_EXCEEDED, there is no time left for it.
        """
        check_time(exchange.call)
        with Watch(exchange.call, exchange.gone, 0) as watch, self.counted(watch):
            pulse = Pulse(watch, self.limits, exchange.request, answer)
            try:
                yield watch
            finally:
                pulse.stop()

    @contextlib.contextmanager
    def counted(self, stream: Stream) -> Iterator[None]:
        """Count a stream among those that are open, and that `end` gives up."""
        self._open.add(stream)
        try:
            yield
        finally:
            self._open.discard(stream)
