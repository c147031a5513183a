"""A call with one reply over HTTP: read, call, print."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from google.protobuf.message import Message
from starlette.types import Receive, Scope

from transcoder.calls import Calls
from transcoder.errors import StatusError
from transcoder.marshaler import JSON, PROTOBUF
from transcoder.metadata import RawHeaders
from transcoder.offload import Offload
from transcoder.outbound import to_headers
from transcoder.reading import Reader
from transcoder.refusal import refuse
from transcoder.response import Payload, Presentation
from transcoder.route import Match
from transcoder.transcoder import Endpoint
from transcoder.upstream import Call, Upstream
from transcoder.watch import Watch, check_deadline, disconnected


class Rest:
    """Answers requests of methods without streams.

    Args:
        upstream_of: says who answers, by the method's gRPC path.
        calls: makes the calls.
        read: makes request messages.
        offload: where large replies are printed.
    """

    def __init__(
        self,
        upstream_of: Callable[[str], Upstream],
        calls: Calls,
        read: Reader,
        offload: Offload,
    ) -> None:
        self._upstream_of = upstream_of
        self._calls = calls
        self._read = read
        self._offload = offload

    async def __call__(self, match: Match[Any], scope: Scope, receive: Receive) -> Payload:
        """Return the answer.

        Raises:
            StatusError: the request is refused before the call.
            Disconnected: the client went away.
        """
        endpoint: Endpoint = match.route.endpoint
        # A copy: the server may append trailers to the list while the body is read.
        headers: RawHeaders = list(scope["headers"])
        request, presentation = await self._read(match, scope, headers, receive)
        call = self._calls(scope, headers, endpoint.method)
        check_deadline(call)
        upstream = self._upstream_of(call.method)
        try:
            with Watch(call, functools.partial(disconnected, receive)):
                reply = await upstream.unary(call, request)
        except StatusError as error:
            return with_metadata(refuse(error, scope), call)
        return with_metadata(await self.printed(endpoint, reply, presentation), call)

    async def printed(
        self,
        endpoint: Endpoint,
        reply: Message,
        presentation: Presentation | None,
        media_type: str = JSON,
    ) -> Payload:
        """Return a reply as an answer; a large one is printed on a thread."""
        if media_type in PROTOBUF:
            return Payload(200, media_type.encode(), reply.SerializeToString())
        snapshot = endpoint.encode.snapshot(reply)
        if snapshot is None:
            return endpoint.encode(reply, presentation)
        return await self._offload.run(endpoint.encode.from_snapshot, snapshot, presentation)


def with_metadata(payload: Payload, call: Call) -> Payload:
    """Return an answer with the metadata that the servicer sent as its headers."""
    if not call.initial_metadata and not call.trailing_metadata:
        return payload
    ours = {name for name, _ in payload.headers}
    sent = to_headers((*call.initial_metadata, *call.trailing_metadata))
    sent = [header for header in sent if header[0] not in ours]
    return replace(payload, headers=(*payload.headers, *sent))
