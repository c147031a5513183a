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
from dataclasses import dataclass, replace
from typing import Any, Protocol

from google.protobuf.message import Message
from starlette.types import Receive, Scope, Send

from transcoder.asgi import connection
from transcoder.body import Disconnected
from transcoder.calls import Calls
from transcoder.errors import SHUTTING_DOWN, StatusError
from transcoder.framing import Framing
from transcoder.metadata import RawHeaders
from transcoder.outbound import Outbound
from transcoder.reading import Reader
from transcoder.refusal import refuse
from transcoder.request_stream import RequestStream
from transcoder.response import JSON, OCTETS, Payload, Presentation, error_payload
from transcoder.rest import Rest
from transcoder.route import Match
from transcoder.status import Code
from transcoder.stream_limits import StreamLimits
from transcoder.transcoder import Endpoint
from transcoder.upstream import Call, Request, Upstream
from transcoder.upstream.behaviours import is_cancelled
from transcoder.watch import Watch, check_deadline, disconnected

PIECE = 65_536
"""Bytes that are handed to the server at once; it holds about as many for a client."""

TURN = 0.01
"""Seconds after which a stream that never waits lets others have the loop."""

TICK = 1.0
"""Seconds between two looks at the clock."""


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


class Answer(Protocol):
    """An answer that is sent message by message."""

    count: int
    """How many messages were sent."""
    waiting_since: float | None
    """Since when the client has not read what there is; None while there is nothing."""
    last: float
    """When something was sent."""

    @property
    def media_type(self) -> str:
        """What `message` takes: JSON, serialized messages, or nothing for raw bytes."""
        ...

    def beat(self) -> None:
        """Send something that means nothing, if there is such a thing."""
        ...

    async def message(self, reply: Message, printed: Payload) -> None:
        """Send one message."""
        ...

    def cut(self, *, at_once: bool = False) -> None:
        """End the connection, so that the client sees that the answer is not whole."""
        ...


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
        self._open: set[Watch] = set()

    def end(self) -> None:
        """Give up all streams, for the server stops."""
        for watch in list(self._open):
            watch.end(StatusError(Code.UNAVAILABLE, SHUTTING_DOWN))

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
                scope, send, framing, Call(endpoint.method), self._rest.outbound
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
        check_deadline(call)
        if endpoint.binding.rpc.client_streaming:
            requests = self._read.stream(match, scope, headers, self.limits.message)
            presentation = endpoint.presentation(scope["query_string"])
            gone = functools.partial(requests.pump, receive)
            return Exchange(endpoint, scope, call, requests, gone, presentation)
        request, presentation = await self._read(match, scope, headers, receive)
        if endpoint.events is not None:
            endpoint.events.resume(request, headers)
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
        printed = self._rest.printed(exchange.endpoint, reply, exchange.presentation, media_type)
        return self._rest.answered(await printed, exchange.scope, call)

    async def _several(
        self, exchange: Exchange, upstream: Upstream, answer: StreamedAnswer
    ) -> Payload | None:
        call = exchange.call
        call.on_open = answer.open_soon
        try:
            with self.watched(exchange, answer):
                async with contextlib.aclosing(upstream.stream(call, exchange.request)) as replies:
                    await self.relay(replies, exchange, answer)
                await answer.end()
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
            await answer.fail(error_payload(error), self.limits.stall)
        finally:
            answer.close()
        return None

    async def relay(
        self, replies: AsyncGenerator[Message, None], exchange: Exchange, answer: Answer
    ) -> None:
        """Send the replies as they come, as fast as the client reads them."""
        now = asyncio.get_running_loop().time
        turn = now()
        async for reply in replies:
            payload = await self._rest.printed(
                exchange.endpoint, reply, exchange.presentation, answer.media_type
            )
            await answer.message(reply, payload)
            if now() - turn > TURN:
                await asyncio.sleep(0)
                turn = now()

    @contextlib.contextmanager
    def watched(self, exchange: Exchange, answer: Answer | None = None) -> Iterator[Watch]:
        """Count a stream among those that are open, and hold it to the limits."""
        with Watch(exchange.call, exchange.gone, 0) as watch:
            self._open.add(watch)
            pulse = Pulse(watch, self.limits, exchange.request, answer)
            try:
                yield watch
            finally:
                pulse.stop()
                self._open.discard(watch)


class StreamedAnswer:
    """An answer that is sent message by message; begun with the first.

    Args:
        scope: of the request.
        send: the ASGI channel.
        framing: how messages are told apart.
        call: whose metadata become headers.
        outbound: how they do.
    """

    def __init__(
        self, scope: Scope, send: Send, framing: Framing, call: Call, outbound: Outbound
    ) -> None:
        self.begun = False
        """Whether the client has been told a status."""
        self.count = 0
        """How many messages were sent."""
        self.waiting_since: float | None = None
        """Since when the client has not read what there is; None while there is nothing."""
        self.last = 0.0
        """When something was sent."""
        self._send = send
        self._framing = framing
        self._call = call
        self._outbound = outbound
        self._connection = connection(scope)
        self._loop = asyncio.get_running_loop()
        self._lock = asyncio.Lock()
        self._aside: asyncio.Task[None] | None = None

    @property
    def media_type(self) -> str:
        """What `message` takes: JSON, serialized messages, or nothing for raw bytes."""
        return self._framing.payload

    def open_soon(self) -> None:
        """Tell the client that the call is taken, before there is a message."""
        # The first piece of raw bytes has a header to say.
        if not self.begun and self._aside is None and self._framing.content_type:
            self._aside = self._loop.create_task(self._write(b""))

    def beat(self) -> None:
        """Send something that means nothing, if the framing has such a thing."""
        frame = self._framing.heartbeat
        if frame is not None and (self._aside is None or self._aside.done()):
            self._aside = self._loop.create_task(self._write(frame))

    async def message(self, reply: Message, printed: Payload) -> None:
        """Send one message."""
        if not self.begun and not self._framing.content_type:
            self._framing = self._framing.of(printed.content_type)
        await self._write(self._framing.message(printed.body, reply))
        self.count += 1

    async def end(self) -> None:
        """End the answer well."""
        await self._write(self._framing.end(), last=True)

    async def fail(self, told: Payload, seconds: float) -> None:
        """End the answer with an error; where the framing cannot tell one, cut it off.

        Args:
            told: what the client is told.
            seconds: that it has to take it.
        """
        frame = self._framing.error(told.body)
        if frame is None:
            self.cut()
            return
        try:
            async with asyncio.timeout(seconds):
                await self._write(frame, last=True)
        except TimeoutError:
            self.cut(at_once=True)

    def refused(self, told: Payload) -> Payload:
        """Return the answer to a call that failed before its first message."""
        if told.content_type != JSON:
            return told
        return replace(told, body=self._framing.refusal(told.body))

    def cut(self, *, at_once: bool = False) -> None:
        """End the connection, so that the client sees that the answer is not whole.

        Raises:
            ConnectionAbortedError: only an exception makes this server end the connection.
        """
        if self._connection is not None:
            self._connection.cut(at_once=at_once)
        elif self.begun:
            raise ConnectionAbortedError("the stream failed after its first message")

    def close(self) -> None:
        """Send nothing more."""
        if self._aside is not None:
            self._aside.cancel()

    async def _write(self, data: bytes, *, last: bool = False) -> None:
        async with self._lock:
            self.waiting_since = self._loop.time()
            if not self.begun:
                await self._start()
                data = self._framing.head() + data
            for start in range(0, len(data), PIECE):
                piece = data[start : start + PIECE]
                await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            if last:
                if self._connection is not None:
                    self._connection.end_stream()
                await self._send({"type": "http.response.body", "body": b""})
            self.waiting_since = None
            self.last = self._loop.time()

    async def _start(self) -> None:
        self.begun = True
        headers = [
            (b"content-type", self._framing.content_type.encode() or OCTETS),
            *self._framing.headers,
            *self._outbound.headers(self._call.initial_metadata),
        ]
        if self._connection is not None:
            self._connection.begin_stream()
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})


class Pulse:
    """Looks at the clock for a stream: silence, a client that does not read, a long life.

    Args:
        watch: told what is over its limit.
        limits: seconds of each.
        request: whose messages end the silence, if it is a stream.
        answer: whose messages do, if it is one.
    """

    def __init__(
        self, watch: Watch, limits: StreamLimits, request: Request, answer: Answer | None
    ) -> None:
        self._watch = watch
        self._limits = limits
        self._requests = request if isinstance(request, RequestStream) else None
        self._answer = answer
        self._loop = asyncio.get_running_loop()
        self._began = self._active = self._loop.time()
        self._seen = (0, 0)
        self._timer = self._loop.call_later(self._interval(), self._look)

    def stop(self) -> None:
        """Look no more."""
        self._timer.cancel()

    def _interval(self) -> float:
        limits = self._limits
        times = (limits.stall, limits.heartbeat, limits.idle, limits.life)
        return min(TICK, *(seconds / 2 for seconds in times if seconds is not None))

    def _look(self) -> None:
        self._timer = self._loop.call_later(self._interval(), self._look)
        now = self._loop.time()
        limits, answer = self._limits, self._answer
        if limits.life is not None and now - self._began > limits.life:
            self._end("the stream has lasted as long as it may", 504)
        if self._is_silent(now):
            self._end(f"no message for {limits.idle:g} seconds", 408)
        if answer is None:
            return
        if answer.waiting_since is not None:
            if now - answer.waiting_since > limits.stall:
                self._watch.end(Disconnected())
                answer.cut(at_once=True)
        elif now - max(answer.last, self._began) >= limits.heartbeat:
            answer.beat()

    def _is_silent(self, now: float) -> bool:
        requests = self._requests
        if requests is None or requests.complete or self._limits.idle is None:
            return False
        seen = requests.count, 0 if self._answer is None else self._answer.count
        if seen != self._seen:
            self._seen, self._active = seen, now
        return now - self._active > self._limits.idle

    def _end(self, problem: str, http: int) -> None:
        self._watch.end(StatusError(Code.DEADLINE_EXCEEDED, problem, http=http))
