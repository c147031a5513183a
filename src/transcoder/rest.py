"""A call with one reply over HTTP: read, call, print."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from google.protobuf.message import Message
from starlette.types import Receive, Scope

from transcoder.answer import with_http_status, with_metadata
from transcoder.asgi import carries_trailers
from transcoder.calls import Calls
from transcoder.errors import StatusError
from transcoder.first_step import resumed
from transcoder.marshaler import JSON
from transcoder.metadata import RawHeaders
from transcoder.offload import Offload
from transcoder.outbound import Outbound
from transcoder.reading import Reader
from transcoder.refusal import refuse
from transcoder.response import Payload
from transcoder.response_encoder import Presentation
from transcoder.route import Match
from transcoder.transcoder import Endpoint
from transcoder.upstream import Call, Upstream
from transcoder.watch import Watch, check_time, disconnected


class Rest:
    """Answers requests of methods without streams.

    Args:
        upstream_of: says who answers, by the method's gRPC path.
        calls: makes the calls.
        read: makes request messages.
        offload: where large replies are printed.
        outbound: how the servicer's metadata become headers.
    """

    def __init__(
        self,
        upstream_of: Callable[[str], Upstream],
        calls: Calls,
        read: Reader,
        offload: Offload,
        outbound: Outbound,
    ) -> None:
        self._upstream_of = upstream_of
        self._calls = calls
        self._read = read
        self._offload = offload
        self.outbound = outbound

    async def __call__(self, match: Match[Any], scope: Scope, receive: Receive) -> Payload:
        """Return the answer.

        Raises:
            StatusError: the request is refused before the call.
            Disconnected: the client went away.
        """
        endpoint: Endpoint = match.route.endpoint
        headers: RawHeaders = scope["headers"]
        presentation = None
        request = self._read.at_once(match, scope)
        if request is not None:
            call = self._calls(scope, headers, endpoint.method)
        else:
            # A copy: the server may append trailers to the list while the body is read.
            headers = list(headers)
            call = self._calls(scope, headers, endpoint.method)
            request, presentation = await self._read(match, scope, headers, receive)
            check_time(call)
        media_type = endpoint.media_type(headers, presentation)
        replying = self._upstream_of(call.method).unary(call, request)
        try:
            # Most calls end without a wait: `first_step` tells what that saves.
            waits_for = replying.send(None)
            with Watch(call, functools.partial(disconnected, receive)):
                reply = await resumed(replying, waits_for)
        except StopIteration as done:
            reply = done.value
        except StatusError as error:
            return self.refused(error, scope, call)
        finally:
            if call.details is not None:
                call.details.answered()
        payload = endpoint.encode.printed(reply, presentation, media_type)
        if not isinstance(payload, Payload):
            payload = await self._offload.run(endpoint.encode.from_snapshot, payload, presentation)
        if call.initial_metadata or call.trailing_metadata:
            return self.answered(payload, scope, call)
        return payload

    def answered(self, payload: Payload, scope: Scope, call: Call) -> Payload:
        """Return an answer with what the servicer said beside it.

        Raises:
            StatusError: it said an HTTP status that no reply has.
        """
        initial, trailing = call.initial_metadata, call.trailing_metadata
        trailers = bool(trailing) and carries_trailers(scope, call.headers)
        return with_metadata(payload, initial, trailing, self.outbound, trailers=trailers)

    def refused(self, error: BaseException, scope: Scope, call: Call) -> Payload:
        """Return the answer to a call that failed, with what the servicer said beside it."""
        if isinstance(error, StatusError):
            error = with_http_status(error, call.initial_metadata, call.trailing_metadata)
        return self.answered(refuse(error, scope), scope, call)

    async def printed(
        self,
        endpoint: Endpoint,
        reply: Message,
        presentation: Presentation | None,
        media_type: str = JSON,
    ) -> Payload:
        """Return a reply of a stream as an answer; a large one is printed on a thread."""
        payload = endpoint.encode.printed(reply, presentation, media_type)
        if isinstance(payload, Payload):
            return payload
        return await self._offload.in_turn(endpoint.encode.from_snapshot, payload, presentation)
