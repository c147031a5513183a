"""The gRPC listener: grpc.aio with reflection, health and an orderly end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any

import grpc
import grpc.aio
from grpc_health.v1 import health, health_pb2

from transcoder import reflection
from transcoder.certificates import Certificates, Loaded
from transcoder.errors import SHUTTING_DOWN, ConfigError
from transcoder.gateway import Gateway
from transcoder.generations import Generations
from transcoder.handlers import GuardedHandlers, missing
from transcoder.health_service import HealthService
from transcoder.listeners import Claim
from transcoder.upstream.behaviours import Handler, answered_by, function_of
from transcoder.upstream.channel_options import FLOW, Options

_TICK = 0.01
_QUIET = 10
"""Ticks without a new call after which none is under way, of clients that wait for replies.

They are counted, for while the loop stands still, calls come that it does not see.
"""

_HOLD_AT_MOST = 30
_PINGS_APART = 5
"""Seconds that a client's pings must be apart: half of what a `Keepalive` says by default."""

_GOAWAY_SENT = 0.1
"""Seconds in which other workers that drain close too, before the clients come to them."""
_HEALTH = f"/{health.SERVICE_NAME}/"


def listening_options(
    *,
    reuse_port: bool,
    max_concurrent_streams: int,
    max_message: int,
    max_connection_age: float | None,
    age_grace: float,
    handshake_timeout: float | None,
) -> Options:
    """Return what gRPC is told about the port, in its own names; see `GrpcListener`.

    Args:
        reuse_port: as there.
        max_concurrent_streams: as there.
        max_message: as there.
        max_connection_age: as there.
        age_grace: as there.
        handshake_timeout: seconds for a handshake of TLS; None without TLS.
    """
    options: list[tuple[str, Any]] = [
        ("grpc.so_reuseport", int(reuse_port)),
        ("grpc.max_concurrent_streams", max_concurrent_streams),
        *FLOW,
        # By itself gRPC ends a connection that is pinged thrice while no call on it says anything,
        # as one on which a client watches health, unless five minutes lie between the pings.
        ("grpc.http2.min_ping_interval_without_data_ms", _PINGS_APART * 1000),
        ("grpc.max_receive_message_length", max_message),
        ("grpc.max_send_message_length", max_message),
    ]
    if max_connection_age is not None:
        options += [
            ("grpc.max_connection_age_ms", round(max_connection_age * 1000)),
            ("grpc.max_connection_age_grace_ms", round(age_grace * 1000)),
        ]
    if handshake_timeout is not None:
        options.append(("grpc.server_handshake_timeout_ms", round(handshake_timeout * 1000)))
    return tuple(options)


class GrpcListener:
    """Serves a gateway's services on one claimed address.

    Args:
        generations: of the gateway whose services are served, guarded; plain servicer methods have
            the threads of the first.
        claim: where to listen.
        reuse_port: whether other processes listen there too.
        max_concurrent_streams: calls at once on one connection.
        max_message: bytes of one message, in and out.
        max_connection_age: seconds, to which gRPC adds or takes a tenth, until a client is asked
            to connect anew; None for never.
        age_grace: seconds that calls on an aged connection get.
        certificates: what TLS shows; None to speak in the clear.

    Raises:
        ConfigError: the options of TLS are not to be had with gRPC.
    """

    def __init__(
        self,
        generations: Generations,
        claim: Claim,
        *,
        reuse_port: bool,
        max_concurrent_streams: int,
        max_message: int,
        max_connection_age: float | None,
        age_grace: float,
        certificates: Certificates | None = None,
    ) -> None:
        options = listening_options(
            reuse_port=reuse_port,
            max_concurrent_streams=max_concurrent_streams,
            max_message=max_message,
            max_connection_age=max_connection_age,
            age_grace=age_grace,
            handshake_timeout=None if certificates is None else certificates.tls.handshake_timeout,
        )
        self._credentials = None
        if certificates is not None:
            self._credentials = _credentials(certificates)
        self._claim = claim
        self._calls = _Calls(generations)
        self._health = HealthService(generations)
        executor = generations.current.executor
        self._server = grpc.aio.server(executor, interceptors=[self._calls], options=options)
        self._server.add_generic_rpc_handlers([_Current(generations, self._health)])
        self._end: asyncio.Task[bool] | None = None

    async def open(self) -> None:
        """Listen, and accept.

        Raises:
            ConfigError: another process listens there since the address was claimed.
        """
        await self._health.open()
        endpoints = self._claim.endpoints
        # gRPC makes a socket of its own, and the claim refuses a port to everybody else's.
        self._claim.release()
        try:
            for endpoint in endpoints:
                if self._credentials is None:
                    self._server.add_insecure_port(endpoint)
                else:
                    self._server.add_secure_port(endpoint, self._credentials)
        except RuntimeError as error:
            unless = "" if self._credentials is None else ", or gRPC does not take the certificate"
            raise ConfigError(f"grpc: {self._claim.address} is in use{unless}") from error
        await self._server.start()
        self._end = asyncio.create_task(self._server.wait_for_termination())

    @property
    def is_open(self) -> bool:
        """Whether the listener serves."""
        return self._end is not None and not self._end.done()

    @property
    def running(self) -> Collection[asyncio.Task[Any]]:
        """The calls that run, if the gateway changes; without those that ask for health."""
        return self._calls.running

    def end_streams(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """End those of some calls that are streams of replies, with UNAVAILABLE."""
        self._calls.end_streams(tasks)

    async def ended(self) -> None:
        """Wait until the listener no longer serves."""
        if self._end is not None:
            # To cancel a wait for the server's end would cancel what the server itself waits for.
            await asyncio.shield(self._end)

    async def settle(self) -> None:
        """Go on serving, and tell those who watch health to look elsewhere."""
        self._calls.withhold()
        await self._health.enter_graceful_shutdown()

    async def close(self, grace: float, stream_grace: float) -> bool:
        """Stop listening and let calls end.

        Args:
            grace: seconds for calls with one reply; what is left is then cancelled.
            stream_grace: seconds for calls with a stream of replies; they end with UNAVAILABLE.

        Returns:
            Whether every call ended by itself.
        """
        loop = asyncio.get_running_loop()
        try:
            await self._calls.hold(refusing=grace <= 0)
            start = loop.time()
            ender = loop.call_later(stream_grace, self._calls.end_streams)
            stopping = asyncio.ensure_future(self._server.stop(grace))
            # On each connection its end is told before the replies that ask for the next calls.
            await asyncio.wait({stopping}, timeout=_GOAWAY_SENT)
        finally:
            self._calls.release()
        await stopping
        ender.cancel()
        return loop.time() - start < max(grace, _HOLD_AT_MOST * _TICK)


class _Current(grpc.GenericRpcHandler):
    """Finds the handler of a call among those of the gateway that serves when it comes."""

    def __init__(self, generations: Generations, health: HealthService) -> None:
        self._generations = generations
        self._health_handler = _health_handler(health)
        self._gateway = generations.current
        self._handlers = self._of(self._gateway)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> Handler | None:
        """Return what answers a method; None where there is no such method."""
        gateway = self._generations.current
        if gateway is not self._gateway:
            self._gateway, self._handlers = gateway, self._of(gateway)
        for each in self._handlers:
            found: Handler | None = each.service(handler_call_details)
            if found is not None:
                return found
        return None

    def _of(self, gateway: Gateway) -> tuple[grpc.GenericRpcHandler, ...]:
        listed = dict.fromkeys((*gateway.services, health.SERVICE_NAME, reflection.NAME))
        built_in = {
            health.SERVICE_NAME: self._health_handler,
            **reflection.handlers(listed, gateway.pool, gateway.withholds, gateway.unlisted),
        }
        guarded = [
            GuardedHandlers(handler, gateway.executor, door=gateway.grpc_door)
            for name, handler in built_in.items()
            if name not in gateway.services
        ]
        return (*gateway.handlers, *guarded)


class _Calls(grpc.aio.ServerInterceptor):
    """Sees each call come, so that none is under way when the server stops.

    From the moment that the server stops until a client has heard of it (GOAWAY), core cancels
    what that client sends, and also what it has read and not yet handed over. The client cannot
    tell such a CANCELLED from a call that ran. So calls are held first, and replies with them:
    who waits for a reply sends nothing. They go on when the server has begun to stop.

    Args:
        generations: of the gateway that they go to.
    """

    def __init__(self, generations: Generations) -> None:
        self._generations = generations
        self._withholding = False
        self._refusing = False
        self._ended = False
        self._came = 0
        self._passing = asyncio.Event()
        self._passing.set()
        self._streams: set[asyncio.Task[Any]] = set()
        self._ending: set[asyncio.Task[Any]] = set()
        self.running: set[asyncio.Task[Any]] = set()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Pass a call on, now or when it is released, or refuse it."""
        if not self._passing.is_set():
            self._came += 1
            if self._refusing:
                return _REFUSAL
            await self._passing.wait()
        if self._generations.changing:
            self._note(handler_call_details.method)
        handler = await continuation(handler_call_details)
        if handler is None:
            return self._missing(handler_call_details.method)
        if handler.response_streaming:
            return _REFUSAL if self._ended else self._followed(handler)
        return self._withheld(handler) if self._withholding else handler

    def withhold(self) -> None:
        """Be able to hold replies, of calls that come from now on; it costs each of them a bit."""
        self._withholding = True

    async def hold(self, *, refusing: bool) -> None:
        """Hold calls and replies; return when no more calls come, or after 0.3 seconds.

        Args:
            refusing: whether calls are refused instead, with UNAVAILABLE and unexecuted.
        """
        self.withhold()
        self._refusing = refusing
        self._passing.clear()
        quiet = 0
        for _ in range(_HOLD_AT_MOST):
            came = self._came
            await asyncio.sleep(_TICK)
            quiet = quiet + 1 if came == self._came else 0
            if quiet == _QUIET:
                break

    def release(self) -> None:
        """Let calls and replies go on."""
        self._passing.set()

    def end_streams(self, tasks: Iterable[asyncio.Task[Any]] | None = None) -> None:
        """End the streams of replies, and each that comes, or those of them that some tasks are."""
        self._ended = self._ended or tasks is None
        for task in self._streams if tasks is None else self._streams.intersection(tasks):
            self._ending.add(task)
            task.cancel()

    def _note(self, path: str) -> None:
        """Take note of a call, unless it asks for the server's health, which no gateway has."""
        task = asyncio.current_task()
        if task is not None and not path.startswith(_HEALTH):
            self.running.add(task)
            task.add_done_callback(self.running.discard)

    def _missing(self, path: str) -> Handler | None:
        """Return what answers a method that there is not; None to leave that to gRPC."""
        gateway = self._generations.current
        door = gateway.grpc_door
        return missing(path, door, gateway.executor) if door else None

    def _withheld(self, handler: Handler) -> Handler:
        function = function_of(handler)

        async def withheld(request: Any, context: Any) -> Any:
            reply = await function(request, context)
            await self._passing.wait()
            return reply

        return answered_by(handler, withheld)

    def _followed(self, handler: Handler) -> Handler:
        # A guarded one, and so a coroutine function: a cancellation arrives even in mid-write.
        function = function_of(handler)

        async def followed(request: Any, context: Any) -> None:
            task: Any = asyncio.current_task()
            self._streams.add(task)
            try:
                await function(request, context)
            except asyncio.CancelledError:
                if task not in self._ending or context.cancelled():
                    raise
                task.uncancel()
                await context.abort(grpc.StatusCode.UNAVAILABLE, SHUTTING_DOWN)
            finally:
                self._streams.discard(task)
                self._ending.discard(task)

        return answered_by(handler, followed)


def _credentials(certificates: Certificates) -> grpc.ServerCredentials:
    asks = certificates.tls.asks
    if asks == "optional":
        raise certificates.unavailable("client_certificates", "'required' or 'none'")
    if certificates.tls.min_version != "1.2":
        raise certificates.unavailable("min_version", "'1.2'")
    shown = certificates.current
    configuration = _configuration(shown)

    def fetch() -> Any:
        nonlocal shown, configuration
        if certificates.current is not shown:
            shown = certificates.current
            configuration = _configuration(shown)
        elif asks == "none":
            return None
        # What gRPC takes for new cannot resume a session, whose client would not be verified again.
        return configuration

    return grpc.dynamic_ssl_server_credentials(
        configuration, fetch, require_client_authentication=asks == "required"
    )


def _configuration(loaded: Loaded) -> grpc.ServerCertificateConfiguration:
    pair = loaded.key, loaded.certificate
    return grpc.ssl_server_certificate_configuration([pair], loaded.client_ca)


def _health_handler(servicer: health.aio.HealthServicer) -> grpc.GenericRpcHandler:
    read = health_pb2.HealthCheckRequest.FromString
    write = health_pb2.HealthCheckResponse.SerializeToString
    methods = {
        "Check": grpc.unary_unary_rpc_method_handler(servicer.Check, read, write),
        "Watch": grpc.unary_stream_rpc_method_handler(servicer.Watch, read, write),
    }
    return grpc.method_handlers_generic_handler(health.SERVICE_NAME, methods)


async def _refuse(_requests: Any, context: Any) -> None:
    await context.abort(grpc.StatusCode.UNAVAILABLE, SHUTTING_DOWN)


# Of this kind because it is answered before a message is read; the client's kind is its own.
_REFUSAL: Handler = grpc.stream_stream_rpc_method_handler(_refuse)
