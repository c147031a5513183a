"""The answer to a request whose route is known: by whoever has the route, whatever comes of it.

Here an error from anywhere becomes an answer, and a cancellation is told from its cause: the
server that ends, a server of another kind, or the servicer itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from google.protobuf import descriptor_pool
from google.protobuf.descriptor_pool import DescriptorPool
from starlette.types import Receive, Scope, Send

from transcoder.asgi import connection, note_gone, send_left, send_now
from transcoder.body import Disconnected
from transcoder.calls import Calls
from transcoder.errors import SHUTTING_DOWN, StatusError
from transcoder.forwarding import TERMS, Forwarding, Terms
from transcoder.handshake import Handshakes
from transcoder.limits import Limits
from transcoder.matching import Found, Matching
from transcoder.offload import Offload
from transcoder.outbound import Outbound
from transcoder.reading import Reader
from transcoder.refusal import POOL, SHAPE, refuse
from transcoder.response import ErrorShape, Payload
from transcoder.rest import Rest
from transcoder.route import Match, Miss
from transcoder.status import Code
from transcoder.streaming import Streaming
from transcoder.transcoder import Endpoint, Transcoder
from transcoder.upstream import Upstream
from transcoder.upstream.behaviours import is_cancelled
from transcoder.websocket import Sockets

if TYPE_CHECKING:
    from transcoder.validation import Validation

BuiltIn: TypeAlias = Callable[[Scope], Awaitable[Payload]]
"""The endpoint of a route that the gateway answers itself."""

DEFAULT_POOL: Final[DescriptorPool] = descriptor_pool.Default()


class Answering:
    """Answers requests, and the handshakes of WebSockets.

    Args:
        transcoder: has the routes.
        match: finds them.
        upstream_of: says who answers a method, by its gRPC path.
        calls: makes the calls.
        limits: of all requests.
        offload: where work is done that would hold the event loop.
        validation: checks requests; None for none.
        outbound: how the servicers' metadata become headers.
        handshakes: reads those of WebSockets.
        errors: makes the answers to errors; None for the usual ones.
        pool: where the types of their details are looked up.
        is_draining: says whether the server is about to end.
    """

    def __init__(
        self,
        transcoder: Transcoder,
        match: Matching,
        upstream_of: Callable[[str], Upstream],
        calls: Calls,
        *,
        limits: Limits,
        offload: Offload,
        validation: Validation | None,
        outbound: Outbound,
        handshakes: Handshakes,
        errors: ErrorShape | None,
        pool: DescriptorPool,
        is_draining: Callable[[], bool],
    ) -> None:
        self._transcoder = transcoder
        self._said = _said(errors, pool)
        self._is_draining = is_draining
        read = Reader(
            limits.body,
            bodies_limit=limits.bodies,
            form_posts=match.form_posts,
            pace=limits.pace,
            offload=offload,
            validation=validation,
        )
        self._rest = Rest(upstream_of, calls, read, offload, outbound)
        self.streaming = Streaming(upstream_of, calls, read, self._rest, limits.streams)
        """Answers the requests of methods with streams."""
        self._terms = Terms(
            calls=calls,
            read=read,
            offload=offload,
            pace=limits.pace,
            streams=limits.streams,
            counted=self.streaming.counted,
        )
        self.sockets = Sockets(
            match,
            streaming=self.streaming,
            calls=calls,
            read=read,
            rest=self._rest,
            handshakes=handshakes,
            terms=self._terms,
        )
        """Answers handshakes."""

    async def answer(
        self, found: Found | RuntimeError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer a request.

        Args:
            found: its route, or why it has none.
            scope: of the request; its route is put into it.
            receive: the ASGI channel.
            send: the ASGI channel.
        """
        if self._said:
            scope.update(self._said)
        try:
            payload = await self._payload(found, scope, receive, send)
        except Disconnected:
            note_gone(scope)
            return
        except BaseException as error:
            if not is_cancelled(error):
                payload = refuse(error, scope)
            elif self._is_draining():
                gone = StatusError(Code.UNAVAILABLE, SHUTTING_DOWN)
                payload = refuse(gone, scope)
            elif connection(scope) is None or "app" in scope:
                # Another server, or an application around this one, may have cancelled.
                raise
            else:
                # Our server does so after a drain only: it was the servicer itself.
                _uncancel()
                payload = refuse(error, scope)
        left = None if payload is None else send_now(payload, scope, send)
        if left is not None:
            await send_left(left, scope, send)

    async def shake_hands(
        self, found: Match[Any] | StatusError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer the handshake of a WebSocket, and the call that it begins; as `answer`."""
        scope.update(self._said)
        await self.sockets(found, scope, receive, send)

    def _payload(
        self, found: Found | RuntimeError, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[Payload | None]:
        """Return what makes the answer; None for one that is sent."""
        if not isinstance(found, Match):
            return self._without_route(found, scope)
        route = found.route
        scope["route"] = route
        endpoint = route.endpoint
        if not isinstance(endpoint, Endpoint):
            if isinstance(endpoint, Forwarding):
                scope[TERMS] = self._terms
                return endpoint.to.forward(found, scope, receive, send)
            built_in: BuiltIn = endpoint
            return built_in(scope)
        if endpoint.streams:
            return self.streaming(found, scope, receive, send)
        return self._rest(found, scope, receive)

    async def _without_route(
        self, found: Miss | StatusError | RuntimeError, scope: Scope
    ) -> Payload:
        if not isinstance(found, Miss):
            raise found
        if scope["method"] == "OPTIONS" and found.allow:
            return Payload(204, b"", b"", [(b"allow", ", ".join(found.allow).encode())])
        raise self._transcoder.refusal(found)


def _said(errors: ErrorShape | None, pool: DescriptorPool) -> dict[str, Any]:
    """Return what a scope says of how errors are told; nothing where all is as usual."""
    said: dict[str, Any] = {}
    if errors is not None:
        said[SHAPE] = errors
    if pool is not DEFAULT_POOL:
        said[POOL] = pool
    return said


def _uncancel() -> None:
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()
