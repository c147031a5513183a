"""A backend that speaks HTTP, as what a gateway passes requests on to."""

from __future__ import annotations

import contextlib
from typing import Any, Final, Literal, NamedTuple, Self

import httpx2
from starlette.types import Receive, Scope, Send

from transcoder.asgi import raw_path
from transcoder.body import Disconnected
from transcoder.errors import ConfigError
from transcoder.forwarding import TERMS, Forwarding, Terms
from transcoder.http_upstream.address import Address
from transcoder.http_upstream.answer import Answer
from transcoder.http_upstream.client import NOTHING, Client, Headers
from transcoder.http_upstream.socket import Bridge, Handshake
from transcoder.http_upstream.upload import Upload, framing
from transcoder.measured import Readings, labelled
from transcoder.response import Payload
from transcoder.route import Match
from transcoder.upstream import Call
from transcoder.upstream.behaviours import is_cancelled
from transcoder.upstream.breaker import Thresholds
from transcoder.upstream.circuit_breaker import Breakers, Passage
from transcoder.upstream.tls import Tls
from transcoder.watch import Watch, check_time, disconnected

_EVENTS: Final = "text/event-stream"
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})


class HttpUpstream:
    """Passes requests on to a backend that speaks HTTP/1.1, and WebSockets.

    Nothing is held: bodies pass as they come, and as fast as the other side takes them. What
    `Gateway.forward` is given stands behind the gateway's policies.

    Args:
        url: `http://HOST:PORT` or `https://HOST:PORT`; a path in it stands before all paths.
        name: of the backend, for metrics; HOST:PORT by default.
        tls: whom to trust, and who we are; the default for `https` trusts what the system does.
            Files are read again when they change, for the connections that are made then.
        host: whose Host header the backend sees: its own (`backend`), or the client's (`keep`).
            Its own is what it has its certificate and its virtual host for; what the client asked
            for is in `X-Forwarded-Host`.
        timeout: seconds in which the backend must begin its answer, and take each piece of a body;
            None for the default of the gateway's timeouts.
        body_limit: bytes of a request's body; None for no limit.
        breaker: when requests are refused at once, because the backend fails: it cannot be
            reached, or answers with a status of 500 or more. None for never.
        by: one breaker for the whole `backend`, or one for each route (`method`).
        slow: seconds within which a backend that works has answered.
        retries: whether GET, HEAD, OPTIONS, PUT and DELETE without a body are sent a second time
            when nothing came of the first: no connection, or one that was closed meanwhile.
        connections: to the backend at once; a request beyond waits, and is answered 503 in the end.
        kept: of those, how many may be idle.
        idle: seconds until an idle one is closed; less than what the backend closes it after.
        connect: seconds to connect.

    Raises:
        ConfigError: an option is none.
    """

    def __init__(
        self,
        url: str,
        *,
        name: str = "",
        tls: Tls | None = None,
        host: Literal["backend", "keep"] = "backend",
        timeout: float | None = None,
        body_limit: int | None = None,
        breaker: Thresholds | None = None,
        by: Literal["backend", "method"] = "backend",
        slow: float = 1.0,
        retries: bool = True,
        connections: int = 256,
        kept: int = 64,
        idle: float = 4.0,
        connect: float = 5.0,
    ) -> None:
        address = Address.parse(url)
        if tls is not None and not address.secure:
            raise ConfigError(f"url {url!r}: tls is for https")
        if host not in {"backend", "keep"}:
            raise ConfigError(f"host {host!r}: 'backend' or 'keep' is expected")
        numbers = (timeout, body_limit, connections, kept, idle, connect)
        if not all(number is None or number > 0 for number in numbers):
            raise ConfigError(f"url {url!r}: numbers above 0 are expected")
        self.name = name or address.authority
        self._address = address
        self._keeps_host = host == "keep"
        self._authority = address.authority.encode()
        self._timeout = timeout
        self._body_limit = body_limit
        self._breakers = None if breaker is None else Breakers(breaker, by=by, slow=slow)
        self._client = Client(
            address,
            (tls or Tls()) if address.secure else None,
            connections=connections,
            kept=kept,
            idle=idle,
            connect=connect,
            retries=retries,
        )

    async def forward(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload | None:
        """Pass one request on; see `Forwarder`."""
        terms: Terms = scope[TERMS]
        call, headers = terms.calls.onward(scope, match.route.template.text)
        check_time(call)
        headers.append((b"host", self._host(scope)))
        upload, framed = None, framing(scope)
        if framed is not None:
            headers.append(framed)
            upload = Upload(receive, terms.pace, self._body_limit)
        exchange = _Exchange(scope, receive, call, upload, self._target(match, scope), headers)
        answer = Answer(scope, send, terms.calls.is_owned)
        try:
            await self._exchange(exchange, answer)
        except Disconnected:
            raise
        except BaseException as error:
            if not answer.begun:
                raise
            if is_cancelled(error):
                answer.cut()
                raise
            answer.fail(error)
        finally:
            details = call.details
            if details is not None:
                details.answered()
                details.received += 0 if upload is None else upload.received
        return None

    async def forward_socket(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload | None:
        """Pass one WebSocket on; see `SocketForwarder`."""
        terms: Terms = scope[TERMS]
        call, headers = terms.calls.onward(scope, match.route.template.text, streams=True)
        check_time(call)
        host = self._host(scope).decode("latin-1")
        target = self._target(match, scope).decode("latin-1")
        handshake = Handshake(self._client, host, target, scope["subprotocols"], headers)
        bridge = Bridge(scope, receive, send, terms, call)
        try:
            with self._passing(call) as passage:
                refusal = await bridge.open(handshake)
                if refusal is not None and refusal.status >= 500:
                    passage.fail()
                passage.work()
            if refusal is None:
                with terms.counted(bridge):
                    await bridge.run()
            return refusal
        finally:
            bridge.close()
            if call.details is not None:
                call.details.answered()

    def readings(self) -> Readings:
        """Tell the state of each breaker; see `Measured`."""
        found = () if self._breakers is None else self._breakers.readings()
        return labelled(found, upstream=self.name)

    async def check(self) -> str:
        """Return why the backend cannot be reached; see `Reachable`."""
        return await self._client.check()

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _exchange(self, exchange: _Exchange, answer: Answer) -> None:
        call, upload, scope = exchange.call, exchange.upload, exchange.scope
        terms: Terms = scope[TERMS]
        timeouts = self._client.timeouts(self._timeout or terms.calls.timeouts.default)
        with Watch(call, exchange.gone) as watch, self._passing(call) as passage:
            method: str = scope["method"]
            response = await self._client.send(
                method,
                exchange.target,
                exchange.headers,
                upload or NOTHING,
                timeouts,
                again=upload is None and method in _IDEMPOTENT,
            )
            if response.status_code >= 500:
                passage.fail()
            passage.work()
            # A stream may be silent for longer than a backend may think.
            timeouts["read"] = terms.streams.idle
            if upload is not None:
                upload.drop()
            # Such a stream has no end of its own, for which a server that stops would wait.
            endless = response.headers.get("content-type", "").startswith(_EVENTS)
            counted = terms.counted(watch) if endless else contextlib.nullcontext()
            try:
                with counted:
                    await answer.pass_on(response)
            except httpx2.TransportError as error:
                raise self._client.failure(error) from None
            finally:
                await response.stream.aclose()  # type: ignore[union-attr]  # of this transport

    def _passing(self, call: Call) -> Passage | _Open:
        return _OPEN if self._breakers is None else self._breakers.passing(call)

    def _host(self, scope: Scope) -> bytes:
        if self._keeps_host:
            for name, value in scope["headers"]:
                if name == b"host":
                    found: bytes = value
                    return found
        return self._authority

    def _target(self, match: Match[Any], scope: Scope) -> bytes:
        endpoint: Forwarding = match.route.endpoint
        path = self._address.path(raw_path(scope), endpoint.strip_prefix).encode("latin-1")
        query: bytes = scope["query_string"]
        return b"%b?%b" % (path, query) if query else path


class _Exchange(NamedTuple):
    """One request on its way."""

    scope: Scope
    receive: Receive
    call: Call
    upload: Upload | None
    target: bytes
    headers: Headers

    async def gone(self) -> None:
        """Return when the client has gone away."""
        await (disconnected(self.receive) if self.upload is None else self.upload.gone())


class _Open:
    """Lets all requests pass, where no breaker stands."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Take no note."""

    def work(self) -> None:
        """Take no note."""

    def fail(self) -> None:
        """Take no note."""


_OPEN: Final = _Open()
