"""The request message of an HTTP request: its body read within the limits, and decoded."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from google.protobuf.message import Message
from starlette.types import Receive, Scope

from transcoder.asgi import header
from transcoder.body import Bodies, Holding, check_headers, read_body, read_form
from transcoder.call_details import CALL, CallDetails
from transcoder.errors import InvalidRequest
from transcoder.framing import NDJSON
from transcoder.marshaler import JSON, is_any_protobuf, is_utf8, media_type
from transcoder.message_stream import Cutter, numbered
from transcoder.metadata import RawHeaders
from transcoder.offload import Offload
from transcoder.pace import Pace
from transcoder.request_stream import RequestStream
from transcoder.response_encoder import Presentation
from transcoder.route import Match
from transcoder.transcoder import Endpoint

if TYPE_CHECKING:
    from transcoder.multipart import Multipart
    from transcoder.validation import Validation


class Reader:
    """Reads requests of one message.

    Args:
        body_limit: bytes of a body.
        bodies_limit: bytes of all bodies that are held at once.
        form_posts: whether a form POST may stand for the GET of its path.
        pace: at which bodies must arrive.
        offload: where large bodies are decoded.
        validation: checks what was decoded; None to check nothing.
    """

    def __init__(
        self,
        body_limit: int,
        *,
        bodies_limit: int,
        form_posts: bool,
        pace: Pace,
        offload: Offload,
        validation: Validation | None = None,
    ) -> None:
        self._body_limit = body_limit
        self._bodies = Bodies(bodies_limit)
        self._pace = pace
        self._form_posts = form_posts
        self._offload = offload
        self._validation = validation
        self._looks_at_all = form_posts or validation is not None

    async def __call__(
        self,
        match: Match[Any],
        scope: Scope,
        headers: RawHeaders,
        receive: Receive,
    ) -> tuple[Message, Presentation | None]:
        """Return the request message, and how the client wants its answer printed.

        Args:
            match: of an Endpoint.
            scope: of the request.
            headers: of the request, in a list that nobody else adds to.
            receive: the ASGI channel.

        Raises:
            StatusError: the request is not valid, or over a limit.
            Disconnected: the client went away.
        """
        if not (match.route.endpoint.binding.body or self._form_posts):
            return await self._read(match, scope, headers, receive)
        # A body is held until it has become a message.
        with Holding(self._bodies) as holding:
            return await self._read(match, scope, headers, receive, holding)

    async def _read(
        self,
        match: Match[Any],
        scope: Scope,
        headers: RawHeaders,
        receive: Receive,
        holding: Holding | None = None,
    ) -> tuple[Message, Presentation | None]:
        endpoint: Endpoint = match.route.endpoint
        query: bytes = scope["query_string"]
        body: bytes | Multipart = b""
        content_type, more = "", b""
        if endpoint.binding.body:
            content_type = header(headers, b"content-type")
            form = endpoint.decode.multipart(content_type)
            if form is None:
                body = await read_body(headers, receive, self._body_limit, self._pace, holding)
            else:
                body = await read_form(headers, receive, self._body_limit, form, self._pace)
        elif self._form_posts and "transcoder.form" in scope:
            more = await read_body(headers, receive, self._body_limit, self._pace, holding)
        call: CallDetails | None = scope.get(CALL)
        if call is not None and isinstance(body, bytes):
            call.received += len(body) + len(more)
        told = match.values, query, body, content_type, more
        if body and endpoint.decode.is_heavy(body, content_type):
            request = await self._offload.run(endpoint.decode, *told)
        else:
            request = endpoint.decode(*told)
        if endpoint.events is not None:
            endpoint.events.resume(request, headers)
        if self._validation is not None:
            json = _json_of(body, content_type)
            self._validation.over_http(request, endpoint.binding, more or query, json)
        return request, endpoint.presentation(query, more) if query or more else None

    @contextlib.asynccontextmanager
    async def body(
        self, scope: Scope, headers: RawHeaders, receive: Receive
    ) -> AsyncIterator[bytes]:
        """Give the whole body of a request, which counts as held while the context lasts.

        Args:
            scope: of the request.
            headers: of the request, in a list that nobody else adds to.
            receive: the ASGI channel.

        Raises:
            StatusError: it is over a limit, or its headers are wrong; see `read_body`.
            Disconnected: the client went away.
        """
        with Holding(self._bodies) as holding:
            body = await read_body(headers, receive, self._body_limit, self._pace, holding)
            call: CallDetails | None = scope.get(CALL)
            if call is not None:
                call.received += len(body)
            yield body

    def at_once(self, match: Match[Any], scope: Scope) -> Message | None:
        """Return the request message that the path alone makes; None where there is more to read.

        Raises:
            StatusError: the path is not valid.
        """
        endpoint: Endpoint = match.route.endpoint
        if endpoint.reads or scope["query_string"] or self._looks_at_all:
            return None
        return endpoint.decode.of_path(match.values)

    def stream(
        self, match: Match[Any], scope: Scope, headers: RawHeaders, limit: int
    ) -> RequestStream[Message]:
        """Return the request messages of a body; path and query are of the first.

        Args:
            match: of an Endpoint.
            scope: of the request.
            headers: of the request.
            limit: bytes of one message.

        Raises:
            StatusError: the body is of a type that is not taken.
        """
        check_headers(headers, None)
        content_type = header(headers, b"content-type")
        cutter = match.route.endpoint.decode.cutter(content_type, limit)
        if not cutter.raw and media_type(content_type) in NDJSON and is_utf8(content_type):
            # Lines, or whatever else the cutter takes: each message is JSON.
            content_type = JSON
        return self.messages(match, scope["query_string"], cutter, lambda: content_type)

    def messages(
        self, match: Match[Any], query: bytes, cutter: Cutter, content_type: Callable[[], str]
    ) -> RequestStream[Message]:
        """Return the request messages of what a cutter cuts.

        Args:
            match: of an Endpoint.
            query: like the path, of the first message.
            cutter: is fed what arrives.
            content_type: says of which type the message is that is taken.
        """
        endpoint: Endpoint = match.route.endpoint
        decode = endpoint.decode
        first = match.values, query
        index = itertools.count()

        async def decoded(data: bytes, is_first: bool) -> Message:  # noqa: FBT001  a callback
            told = first if is_first else None
            number, kind = next(index), content_type()
            try:
                if decode.is_heavy(data, kind):
                    request = await self._offload.in_turn(decode.of_stream, told, data, kind)
                else:
                    request = decode.of_stream(told, data, kind)
            except InvalidRequest as error:
                raise numbered(error, number) from None
            if self._validation is not None:
                json = _json_of(data, kind)
                self._validation.over_http(request, endpoint.binding, query, json, number)
            return request

        return RequestStream(cutter, decoded, self._pace)


def _json_of(body: bytes | Multipart, content_type: str) -> bytes:
    """Return a body that may show how its client spells the names of fields."""
    return body if isinstance(body, bytes) and not is_any_protobuf(content_type) else b""
