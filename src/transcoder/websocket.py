"""Calls with streams over WebSocket (RFC 6455), for what has no other way to stream: browsers.

    client to server   text       a message as JSON; as the route's body is over REST
                       binary     a message serialized
                       empty text the end of the messages, which a page cannot say in other words
    server to client   text       a reply as JSON, as it is over REST
                       binary     a reply serialized, for the subprotocol that asks for it; or the
                                  bytes of an HttpBody
                       close      1000 when the call ended well, else 4000 and the gRPC code, behind
                                  a last text `{"error": STATUS}`

A handshake fits the routes of every method with streams, whatever HTTP method they are under: it
has only GET. Path and query are of the first message. What is refused before the call begins is an
HTTP status, where the server can send one.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, ClassVar, Final

from google.protobuf.message import Message
from starlette.types import Receive, Scope, Send

from transcoder.asgi import note_gone, with_told
from transcoder.body import Disconnected
from transcoder.call_details import CALL, CallDetails
from transcoder.calls import Calls
from transcoder.errors import InvalidRequest, StatusError
from transcoder.forwarding import TERMS, Forwarding, SocketForwarder, Terms
from transcoder.handshake import PROTOBUF, Handshakes, asked_method, subprotocol
from transcoder.marshaler import JSON
from transcoder.marshaler import PROTOBUF as PROTOBUF_TYPES
from transcoder.reading import Reader
from transcoder.refusal import refuse
from transcoder.response import INTERNAL, Payload
from transcoder.rest import Rest
from transcoder.route import Match, Miss
from transcoder.socket_answer import POLICY, WELL, SocketAnswer
from transcoder.status import Code
from transcoder.streaming import Exchange, Streaming
from transcoder.transcoder import Endpoint
from transcoder.upstream.behaviours import is_cancelled
from transcoder.watch import Watch

TEXT: Final = "text/plain; charset=utf-8"
OCTETS: Final = "application/octet-stream"

NO_STREAM: Final = StatusError(
    Code.UNIMPLEMENTED, "the method has no stream: call it over plain HTTP", http=400
)


class Sockets:
    """Answers handshakes, and the calls that they begin.

    Args:
        match: finds the route of a method and a path.
        streaming: holds the calls to the limits of streams.
        calls: makes the calls.
        read: makes request messages.
        rest: prints replies.
        handshakes: reads handshakes.
        terms: for who takes the WebSockets of routes that no method has.
    """

    def __init__(
        self,
        match: Callable[[Scope], Match[Any] | Miss | StatusError],
        *,
        streaming: Streaming,
        calls: Calls,
        read: Reader,
        rest: Rest,
        handshakes: Handshakes,
        terms: Terms,
    ) -> None:
        self._match = match
        self._streaming = streaming
        self._calls = calls
        self._read = read
        self._rest = rest
        self._handshakes = handshakes
        self._terms = terms

    def find(self, scope: Scope) -> Match[Any] | Miss | StatusError:
        """Return the route of a method with streams, or one that is passed on, or why not.

        Where several fit, it is the one of the HTTP method that is asked for, else of GET, else of
        the first that `Allow` would list.
        """
        if asked := asked_method(scope):
            found = self._match({**scope, "method": asked})
            return NO_STREAM if isinstance(found, Match) and not _streams(found) else found
        found = self._match({**scope, "method": "GET"})
        if isinstance(found, StatusError) or _streams(found):
            return found
        # No request has this method: what it misses is what there is.
        other = self._match({**scope, "method": ""})
        for method in other.allow if isinstance(other, Miss) else [""]:
            another = self._match({**scope, "method": method})
            if _streams(another):
                return another
        return found if isinstance(other, Miss) and not other.allow else NO_STREAM

    def adopt(self, scope: Scope) -> None:
        """Turn what a page could not say in headers into headers, before any policy looks."""
        if isinstance(self.find(scope), Match):
            self._handshakes.adopt(scope)

    async def __call__(
        self, found: Match[Any] | StatusError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer one handshake."""
        await receive()
        try:
            forwarder = _forwarder(found)
            if forwarder is not None and isinstance(found, Match):
                await self._forward(forwarder, found, scope, receive, send)
                return
            exchange, selected = self._begin(found, scope, receive)
        except Disconnected:
            note_gone(scope)
            return
        except BaseException as error:
            if is_cancelled(error):
                raise
            await deny(refuse(error, scope), scope, send)
            return
        answer = SocketAnswer(scope, send, binary=selected == PROTOBUF)
        try:
            await answer.accept(selected)
            await self._serve(exchange, answer)
        except Disconnected:
            note_gone(scope)

    async def _forward(
        self,
        forwarder: SocketForwarder,
        found: Match[Any],
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        self._check(found, scope)
        scope[TERMS] = self._terms
        refusal = await forwarder.forward_socket(found, scope, receive, send)
        if refusal is not None:
            await deny(refusal, scope, send)

    def _check(self, found: Match[Any], scope: Scope) -> None:
        scope["route"] = found.route
        secure = scope.get("scheme") == "wss"
        self._handshakes.check_origin(scope["headers"], secure=secure)
        self._streaming.check_count()

    def _begin(
        self, found: Match[Any] | StatusError, scope: Scope, receive: Receive
    ) -> tuple[Exchange, str | None]:
        """Return the call, and the subprotocol to select."""
        if isinstance(found, StatusError):
            raise found
        self._check(found, scope)
        selected = subprotocol(scope)
        return self._exchange(found, scope, receive), selected

    def _exchange(self, match: Match[Any], scope: Scope, receive: Receive) -> Exchange:
        endpoint: Endpoint = match.route.endpoint
        headers = [pair for pair in scope["headers"] if not pair[0].startswith(b"sec-websocket-")]
        call = self._calls(scope, headers, endpoint.method, streams=True)
        query: bytes = scope["query_string"]
        binding = endpoint.binding
        # What is wrong with path and query is told as an HTTP status.
        endpoint.decode(match.values, query, b"", JSON)
        presentation = endpoint.presentation(query) if query else None
        limit = self._streaming.limits.message
        inbox = Inbox(
            receive,
            limit,
            single=not binding.rpc.client_streaming,
            raw=endpoint.decode.cutter(JSON, limit).raw,
            bodiless=not binding.body,
        )
        requests = self._read.messages(match, query, inbox, inbox.content_type)
        gone = functools.partial(requests.pump, inbox.receive)
        return Exchange(endpoint, scope, call, requests, gone, presentation)

    async def _serve(self, exchange: Exchange, answer: SocketAnswer) -> None:
        stall = self._streaming.limits.stall
        try:
            with self._streaming.watched(exchange, answer) as watch:
                await self._call(exchange, answer, watch)
        except Disconnected:
            raise
        except BaseException as error:
            if is_cancelled(error):
                answer.cut()
                raise
            refuse(error, exchange.scope)
            await answer.fail(error if isinstance(error, StatusError) else INTERNAL, stall)
        else:
            await answer.close(WELL, "", stall)
            if exchange.call.details is not None:
                exchange.call.details.code = Code.OK
        finally:
            if exchange.call.details is not None:
                exchange.call.details.answered()
                exchange.call.details.http_status = 101
                exchange.call.details.sent_messages += answer.count

    async def _call(self, exchange: Exchange, answer: SocketAnswer, watch: Watch) -> None:
        rpc = exchange.endpoint.binding.rpc
        upstream = self._streaming.upstream_of(exchange.call.method)
        request = exchange.request
        if not rpc.client_streaming and not isinstance(request, Message):
            request = await _first(request)
        if rpc.server_streaming:
            async with contextlib.aclosing(upstream.stream(exchange.call, request)) as replies:
                await self._streaming.relay(replies, exchange, answer, watch)
        else:
            reply = await upstream.unary(exchange.call, request)
            watch.check()
            printed = await self._rest.printed(
                exchange.endpoint, reply, exchange.presentation, answer.media_type
            )
            await answer.message(reply, printed)


class Inbox:
    """What a client sends, as a body of which each message is a chunk.

    It is at once the channel that a request stream reads and what cuts it into messages.

    Args:
        receive: the ASGI channel.
        limit: bytes of one message.
        single: the first message is the last.
        raw: messages are bytes of an HttpBody.
        bodiless: the one message is made of path and query.
    """

    raw: ClassVar[bool] = False
    partial: ClassVar[bool] = False

    def __init__(
        self, receive: Receive, limit: int, *, single: bool, raw: bool, bodiless: bool
    ) -> None:
        self._receive = receive
        self._limit = limit
        self._single = single
        self._types = (TEXT, OCTETS) if raw else (JSON, PROTOBUF_TYPES[0])
        self._bodiless = bodiless
        self._type = JSON
        self._holds = False
        self._ended = False

    def content_type(self) -> str:
        """Return the type of the message that came last."""
        return self._type

    async def receive(self) -> Any:
        """Return the next event of the channel, as one of a request's body."""
        if self._bodiless and not self._ended:
            return self._end()
        while True:
            event = await self._receive()
            if event["type"] == "websocket.disconnect":
                return {"type": "http.disconnect"}
            if not self._ended:
                return self._taken(event)
            # Dropped; without a pause, who sends on and on would have the loop alone.
            await asyncio.sleep(0)

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Return the message, if the event was one."""
        if len(data) > self._limit:
            problem = f"a message is over the limit of {self._limit} bytes"
            raise StatusError(Code.RESOURCE_EXHAUSTED, problem, http=413)
        if self._holds:
            yield data

    def end(self) -> Iterator[bytes]:
        """Return the message of a rule without a body, which has no bytes."""
        if self._bodiless:
            yield b""

    def _taken(self, event: Any) -> Any:
        data = event.get("bytes")
        self._type = self._types[1]
        if data is None:
            data = event["text"].encode()
            self._type = self._types[0]
            if not data:
                return self._end()
        self._holds = True
        self._ended = self._single
        return {"type": "http.request", "body": data, "more_body": not self._ended}

    def _end(self) -> Any:
        self._holds, self._ended = False, True
        return {"type": "http.request", "body": b"", "more_body": False}


async def deny(payload: Payload, scope: Scope, send: Send) -> None:
    """Refuse a handshake; a server that has no way to say why answers 403."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": POLICY, "reason": ""})
        return
    call: CallDetails | None = scope.get(CALL)
    headers = [(b"content-type", payload.content_type), *payload.headers]
    if call is not None:
        headers = with_told(headers, call.answer_headers)
    headers.append((b"content-length", b"%d" % len(payload.body)))
    status = payload.status
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": payload.body})


async def _first(requests: AsyncIterator[Message]) -> Message:
    async for request in requests:
        return request
    raise InvalidRequest("the messages end before the first, which is the request")


def _streams(found: Match[Any] | Miss | StatusError) -> bool:
    if not isinstance(found, Match):
        return False
    endpoint = found.route.endpoint
    if isinstance(endpoint, Endpoint):
        return endpoint.streams
    return _forwarder(found) is not None


def _forwarder(found: Match[Any] | StatusError) -> SocketForwarder | None:
    """Return who takes the WebSockets of a route that no method has; None where nobody does."""
    endpoint = found.route.endpoint if isinstance(found, Match) else None
    forwarder = endpoint.to if isinstance(endpoint, Forwarding) else None
    return forwarder if isinstance(forwarder, SocketForwarder) else None
