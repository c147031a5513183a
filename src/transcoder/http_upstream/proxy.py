"""A backend that speaks HTTP, as what a gateway passes requests on to."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Final, Literal, NamedTuple, TypeAlias, TypeVar

import httpx2
from starlette.types import Receive, Scope, Send

from transcoder.asgi import raw_path
from transcoder.body import Disconnected
from transcoder.discovery.source import Source
from transcoder.errors import ConfigError
from transcoder.forwarding import TERMS, Forwarding, Terms
from transcoder.http_upstream.address import Address
from transcoder.http_upstream.answer import Answer
from transcoder.http_upstream.client import NOTHING, Client, Headers, Silent, Unanswered
from transcoder.http_upstream.client import Terms as ClientTerms
from transcoder.http_upstream.endpoints import OPEN, Choosing, Only, Open, Several
from transcoder.http_upstream.retries import RetryBudget
from transcoder.http_upstream.socket import Bridge, Handshake
from transcoder.http_upstream.upload import Upload, framing
from transcoder.measured import Readings, labelled
from transcoder.response import Payload
from transcoder.route import Match
from transcoder.upstream import Call
from transcoder.upstream.balancers import Balancing
from transcoder.upstream.behaviours import is_cancelled
from transcoder.upstream.breaker import Thresholds
from transcoder.upstream.circuit_breaker import Breakers, Passage
from transcoder.upstream.endpoints import Passage as EndpointPassage
from transcoder.upstream.failures import Unreached
from transcoder.upstream.outliers import OutlierDetection
from transcoder.upstream.tls import BackendContext, Tls
from transcoder.watch import Watch, check_time, disconnected

T = TypeVar("T")

_EVENTS: Final = "text/event-stream"
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE"})

_TRIES: Final = 3
"""Endpoints that one request may find unreachable."""


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
        source: tells the endpoints of a backend that has several; see `transcoder.discovery`. The
            URL says then what stands in the Host header and on the certificate, and the path.
            It is asked when the first request comes.
        balancing: who is next: `round_robin`, `weighted` or `least_request`.
        outliers: when an endpoint is ejected: it cannot be reached, or answers with a status of
            500 or more, but for 501, and for 504 unless a deadline is a fault. None for never.
        grace: seconds that requests get at an endpoint that is no longer there.
        timeout: seconds in which the backend must begin its answer, and take each piece of a body;
            None for the default of the gateway's timeouts.
        body_limit: bytes of a request's body; None for no limit.
        breaker: when requests are refused at once, because the backend fails: it cannot be
            reached, or answers with a status of 500 or more. None for never.
        by: one breaker for the whole `backend`, or one for each route (`method`).
        slow: seconds within which a backend that works has answered.
        retries: whether GET, HEAD, OPTIONS, PUT and DELETE without a body are sent a second time
            when nothing came of the first: no connection, or one that was closed meanwhile. It is
            another endpoint that gets it, where there is one. What never left goes to another
            anyway.
        connections: to an endpoint at once; a request beyond waits, and is answered 503 in the end.
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
        source: Source | None = None,
        balancing: Balancing = "round_robin",
        outliers: OutlierDetection | None = OutlierDetection(),  # noqa: B008  frozen
        grace: float = 30.0,
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
        self._budget = RetryBudget() if retries else None
        trusted = (tls or Tls()) if address.secure else None
        terms = ClientTerms(
            context=None if trusted is None else BackendContext(trusted),
            server_name="" if trusted is None else trusted.server_name or address.host,
            connections=connections,
            kept=kept,
            idle=idle,
            connect=connect,
        )
        client = Client(address, terms)
        self._endpoints: Choosing = (
            Only(client)
            if source is None
            else Several(source, client, balancing=balancing, outliers=outliers, grace=grace)
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
        bridge = Bridge(scope, receive, send, terms, call)

        async def once(client: Client, noting: _Noting) -> Payload | None:
            handshake = Handshake(client, host, target, scope["subprotocols"], headers)
            refusal = await bridge.open(handshake)
            self._note(101 if refusal is None else refusal.status, passage, noting)
            if refusal is None:
                client.lasting.add(bridge)
                try:
                    with terms.counted(bridge):
                        await bridge.run()
                finally:
                    client.lasting.discard(bridge)
            return refusal

        try:
            with self._passing(call) as passage:
                return await self._try(call, once, again=False)
        finally:
            bridge.close()
            if call.details is not None:
                call.details.answered()

    def readings(self) -> Readings:
        """Tell the state of each breaker, and of several endpoints; see `Measured`."""
        found = () if self._breakers is None else self._breakers.readings()
        told = itertools.chain(found, self._endpoints.readings())
        return labelled(told, upstream=self.name)

    async def check(self) -> str:
        """Return why the backend cannot be reached; see `Reachable`."""
        return await self._endpoints.check()

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoints.close()

    async def _exchange(self, exchange: _Exchange, answer: Answer) -> None:
        call, upload = exchange.call, exchange.upload
        method: str = exchange.scope["method"]
        budget = self._budget
        if budget is not None:
            budget.sent()
        again = budget is not None and upload is None and method in _IDEMPOTENT
        with Watch(call, exchange.gone) as watch, self._passing(call) as passage:

            async def once(client: Client, noting: _Noting) -> None:
                response = await self._asked(client, exchange)
                self._note(response.status_code, passage, noting)
                await self._pass_on(client, response, exchange, answer, watch)

            await self._try(call, once, again=again)

    async def _asked(self, client: Client, exchange: _Exchange) -> httpx2.Response:
        """Send a request to one endpoint; return the answer once its head is there."""
        scope, upload = exchange.scope, exchange.upload
        terms: Terms = scope[TERMS]
        timeouts = client.timeouts(self._timeout or terms.calls.timeouts.default)
        method: str = scope["method"]
        body = upload or NOTHING
        response = await client.send(method, exchange.target, exchange.headers, body, timeouts)
        # A stream may be silent for longer than a backend may think.
        timeouts["read"] = terms.streams.idle
        if upload is not None:
            upload.drop()
        return response

    async def _pass_on(
        self,
        client: Client,
        response: httpx2.Response,
        exchange: _Exchange,
        answer: Answer,
        watch: Watch,
    ) -> None:
        terms: Terms = exchange.scope[TERMS]
        # Such a stream has no end of its own, for which a server that stops would wait.
        endless = response.headers.get("content-type", "").startswith(_EVENTS)
        counted = terms.counted(watch) if endless else contextlib.nullcontext()
        try:
            with counted:
                await answer.pass_on(response)
        except httpx2.TransportError as error:
            raise client.failure(error) from None
        finally:
            await response.stream.aclose()  # type: ignore[union-attr]  # of this transport

    async def _try(
        self, call: Call, once: Callable[[Client, _Noting], Awaitable[T]], *, again: bool
    ) -> T:
        """Do something at one endpoint; where it comes to nothing, at another.

        Args:
            call: that it is part of.
            once: does it.
            again: whether it may be done twice.
        """
        member, left = await self._endpoints.next(), _TRIES
        while True:
            try:
                with self._endpoints.passage(member, call) as noting:
                    return await once(member.connection, noting)
            except (Unreached, Unanswered) as error:
                other = self._endpoints.other(member)
                left -= 1
                if other is None and isinstance(error, Silent):
                    raise
                if other is None or left <= 0 or not isinstance(error, Unreached):
                    if not again or self._budget is None or not self._budget.take():
                        raise
                    again = False
                member = other or member

    def _note(self, status: int, passage: Passage | Open, noting: _Noting) -> None:
        if status >= 500:
            passage.fail()
        passage.work()
        works = self._endpoints.works(status)
        if works is not None:
            noting.tell(works=works)

    def _passing(self, call: Call) -> Passage | Open:
        return OPEN if self._breakers is None else self._breakers.passing(call)

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


_Noting: TypeAlias = "EndpointPassage[Client] | Open"
