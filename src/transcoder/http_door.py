"""The HTTP door: what stands before everything that the application answers, WebSockets included.

A call meets the policies as soon as it is known which route it fits, before any of its body is
read, and whether a route fits or not: only who may ask is told that there is none.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, TypeAlias

from starlette.types import Message, Receive, Scope, Send

from transcoder.asgi import raw_path, send_payload, with_told
from transcoder.call_details import CALL, CallDetails
from transcoder.calls import IDENTITY
from transcoder.errors import StatusError
from transcoder.forwarded import TrustedProxies
from transcoder.matching import Found
from transcoder.policies.chain import Chain
from transcoder.policies.policy import Answered
from transcoder.refusal import refuse
from transcoder.route import Match, Miss
from transcoder.transcoder import Endpoint
from transcoder.trusted_peers import NOBODY_TRUSTED, TrustedPeers
from transcoder.upstream import NOBODY
from transcoder.websocket import deny

Enter: TypeAlias = Callable[[Found, Scope, Receive, Send], Awaitable[None]]

_FOUND: Final = "transcoder.found"
_ENCRYPTED = frozenset({"https", "wss"})


class HttpDoor:
    """Lets requests in.

    Args:
        chain: the policies.
        proxies: who is believed about the client's address.
        enter: answers a request, once it is in.
        peers: whose word is taken.
    """

    def __init__(
        self,
        chain: Chain,
        proxies: TrustedProxies,
        enter: Enter,
        peers: TrustedPeers = NOBODY_TRUSTED,
    ) -> None:
        self._chain = chain
        self._peers = peers or None
        self._proxies = proxies
        self._enter = enter
        app = chain.wrapped(self._unwrapped)
        self._wrapped = None if app == self._unwrapped else app

    async def __call__(self, found: Found, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or refuse it.

        Args:
            found: which route it fits.
            scope: of the request; the call's details are put into it.
            receive: the ASGI channel.
            send: the ASGI channel.
        """
        call = scope[CALL] = self._details(found, scope)
        query = scope["query_string"]
        if query:
            call.query = query
        if self._peers is not None:
            self._peers.look(call)
        self._chain.begin(call)
        try:
            if self._wrapped is None:
                await self._admit(found, call, scope, receive, send)
            else:
                scope[_FOUND] = found
                await self._wrapped(scope, receive, send)
        finally:
            self._chain.end(call)

    async def _unwrapped(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._admit(scope.pop(_FOUND), scope[CALL], scope, receive, send)

    def _admit(
        self, found: Found, call: CallDetails, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None]:
        """Return what answers a call, once the policies have said what they say at once."""
        try:
            waiting = self._chain.admit(call)
        except (Answered, StatusError) as error:
            return _refuse(error, scope, receive, send)
        if waiting is not None:
            return self._wait(waiting, found, scope, receive, send)
        if isinstance(found, Match):
            return self._enter(found, scope, receive, send)
        return self._let_in(found, scope, receive, send)

    async def _wait(
        self,
        waiting: Awaitable[None],
        found: Found,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        try:
            await waiting
        except (Answered, StatusError) as error:
            await _refuse(error, scope, receive, send)
            return
        await self._let_in(found, scope, receive, send)

    def _let_in(self, found: Found, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if isinstance(found, Miss):
            # It may be a route of Starlette's that answers.
            send = _telling(scope[CALL], send)
        return self._enter(found, scope, receive, send)

    def _details(self, found: Found, scope: Scope) -> CallDetails:
        method, template, streams = "", "", False
        if isinstance(found, Match):
            route = found.route
            template = route.template.text
            if isinstance(route.endpoint, Endpoint):
                method, streams = route.name, route.endpoint.streams
        headers = scope["headers"]
        client = scope.get("client")
        raw = None if scope.get("root_path") else scope.get("raw_path")
        return CallDetails(
            scope["type"],
            method,
            template,
            scope.get("method", "GET"),
            raw_path(scope) if raw is None else raw.decode("latin-1"),
            headers,
            self._proxies.client(headers, None if client is None else client[0]),
            scope.get(IDENTITY, NOBODY),
            scope.get("scheme") in _ENCRYPTED,
            streams,
        )


async def _refuse(
    error: Answered | StatusError, scope: Scope, receive: Receive, send: Send
) -> None:
    if isinstance(error, Answered):
        await send_payload(error.payload, scope, send)
        return
    payload = refuse(error, scope)
    if scope["type"] == "websocket":
        await receive()
        await deny(payload, scope, send)
    else:
        await send_payload(payload, scope, send)


def _telling(call: CallDetails, send: Send) -> Send:
    """Return a `send` that tells of an answer, and adds what the policies say."""

    async def sending(message: Message) -> None:
        kind = message["type"]
        if kind == "http.response.start":
            call.http_status = message["status"]
            headers = with_told(list(message.get("headers", ())), call.answer_headers)
            message = {**message, "headers": headers}
        elif kind == "http.response.body" and not call.sent:
            call.sent += len(message.get("body", b""))
        await send(message)

    return sending
