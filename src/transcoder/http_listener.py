"""The HTTP listener: uvicorn, without its signals, its logging and its way of stopping."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import logging
from collections.abc import Callable, Collection, Iterable
from typing import Any, Literal

import uvicorn

from transcoder.certificates import Certificates
from transcoder.connection_limits import DEFAULT_CONNECTION_LIMITS, ConnectionLimits
from transcoder.errors import ConfigError
from transcoder.http_protocol import Protocol, State
from transcoder.lifespan import App
from transcoder.listeners import Claim
from transcoder.tls_handshake import Handshake

LINGER = 0.5
"""Seconds that an idle connection gets, once the listener is closed, for a request on its way."""

_TICK = 0.05

_log = logging.getLogger(__name__)


class HttpListener(uvicorn.Server):
    """Serves an ASGI application, whose lifespan is somebody else's, on one claimed address.

    Args:
        app: the application.
        state: its lifespan's state.
        claim: where to listen.
        keep_alive: seconds until an idle connection is closed.
        max_connection_age: seconds, give or take a tenth, after which an answer is the last of its
            connection; None for never.
        backlog: connections that the system keeps until they are accepted.
        max_message: bytes of a WebSocket's message.
        end_streams: called when the streams' grace is over.
        certificates: what TLS shows; None to speak in the clear.
        limits: of the connections.
        beside: another listener, whose connections are under the limits together with these.
    """

    def __init__(
        self,
        app: App,
        state: dict[str, Any],
        claim: Claim,
        *,
        keep_alive: int,
        backlog: int,
        max_message: int,
        end_streams: Callable[[], None],
        certificates: Certificates | None = None,
        limits: ConnectionLimits = DEFAULT_CONNECTION_LIMITS,
        max_connection_age: float | None = None,
        beside: HttpListener | None = None,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=Protocol,
            ws=_websocket_protocol(),
            ws_max_size=max_message,
            # It costs memory for each connection, and tells by the length what stands beside it.
            ws_per_message_deflate=False,
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=keep_alive,
            # A pipelined request would begin with what the one before it left there.
            reset_contextvars=True,
            backlog=backlog,
            workers=1,
        )
        config.load()
        if certificates is not None:
            accepted: Any = self._handshake
            config.http_protocol_class = accepted
        super().__init__(config)
        self._certificates = certificates
        self._handshakes: set[Handshake] = set()
        self.server_state: State = State(limits, max_connection_age)
        if beside is not None:
            self.server_state.bounds = beside.server_state.bounds
        self.lifespan = config.lifespan_class(config)
        self.lifespan.state = state
        self._claim = claim
        self._end_app_streams = end_streams
        self._main: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Listen, and accept.

        Raises:
            ConfigError: another process listens there since the address was claimed.
        """
        try:
            await self.startup(sockets=self._claim.to_listen())
        except OSError as error:
            raise ConfigError(f"http: {self._claim.address} is in use") from error
        self._main = asyncio.create_task(self.main_loop())

    @property
    def is_open(self) -> bool:
        """Whether the listener serves."""
        if self._main is None or self._main.done():
            return False
        return all(server.is_serving() for server in self.servers)

    @property
    def running(self) -> Collection[asyncio.Task[Any]]:
        """The requests that are being answered, and open WebSockets."""
        return self.server_state.tasks

    def end_streams(self, tasks: Iterable[asyncio.Task[Any]]) -> None:
        """Do nothing: the gateway ends its streams itself."""

    async def ended(self) -> None:
        """Wait until the listener no longer serves."""
        while self.is_open:  # noqa: ASYNC110  uvicorn's server has no event for its end
            await asyncio.sleep(0.25)

    async def on_tick(self, counter: int) -> bool:
        """Look which connections are overdue, twice a second; whether to end."""
        if counter % 5 == 0:
            bounds = self.server_state.bounds
            slow, stalled = bounds.overdue(asyncio.get_running_loop().time())
            for transport in slow:
                bounds.head_came(transport)
                connection = transport.get_protocol()
                if isinstance(connection, Protocol):
                    connection.refuse_slow()
            for transport in stalled:
                transport.abort()
        return await super().on_tick(counter)

    def settle(self) -> None:
        """Go on accepting; each answer from now on closes its connection."""
        self.server_state.draining = True
        for connection in list(self.server_state.connections):
            if isinstance(connection, Protocol) and connection.is_busy():
                connection.cycle.keep_alive = False

    async def close(self, grace: float, stream_grace: float) -> bool:
        """Stop listening, let requests end, close the connections.

        Args:
            grace: seconds for requests; what is left is then cancelled.
            stream_grace: seconds for streams and WebSockets.

        Returns:
            Whether every request ended by itself.
        """
        loop = asyncio.get_running_loop()
        start = loop.time()
        self.settle()
        await self._stop_listening()
        await self._wait(start + min(LINGER, grace), idle_too=True)
        self._close_idle()
        ender = loop.call_later(stream_grace, self._end_streams)
        in_time = await self._wait(start + grace)
        ender.cancel()
        if not in_time:
            await self._cancel()
        self.should_exit = True
        if self._main:
            await self._main
        return in_time

    async def _stop_listening(self) -> None:
        await self._stop_accepting()
        for server in self.servers:
            server.close()
        backlog = []
        for listener in self._claim.held:
            # Clients whose connections the system has made, and nobody has accepted yet.
            with contextlib.suppress(OSError):
                while True:
                    backlog.append(listener.accept()[0])
        self._claim.release()
        loop = asyncio.get_running_loop()
        for connection in backlog:
            connection.settimeout(0)
            accept = self._protocol if self._certificates is None else self._handshake
            await loop.connect_accepted_socket(accept, connection)

    async def _stop_accepting(self) -> None:
        # A server of asyncio that is closed forgets, unclosed, what it accepted a moment before.
        loop = asyncio.get_running_loop()
        for server in self.servers:
            for listener in server.sockets:
                with contextlib.suppress(NotImplementedError):
                    loop.remove_reader(listener.fileno())
        # The loop's callback, the task that it starts, the call of the protocol.
        for _ in range(3):
            await asyncio.sleep(0)

    def _protocol(self) -> Protocol:
        return Protocol(self.config, self.server_state, self.lifespan.state)

    def _handshake(self, **_: object) -> Handshake:
        certificates: Any = self._certificates
        bounds = self.server_state.bounds
        return Handshake(certificates, self._protocol, self._handshakes, bounds)

    async def _wait(self, until: float, *, idle_too: bool = False) -> bool:
        loop = asyncio.get_running_loop()
        state = self.server_state
        while self._handshakes or state.connections or state.tasks:
            idle = self._handshakes or not all(map(_is_busy, state.connections))
            if idle_too and not idle:
                return True
            if loop.time() >= until:
                return False
            await asyncio.sleep(_TICK)
        return True

    def _close_idle(self) -> None:
        for handshake in list(self._handshakes):
            handshake.abort()
        for connection in list(self.server_state.connections):
            if not _is_busy(connection):
                connection.shutdown()

    def _end_streams(self) -> None:
        self._end_app_streams()
        asyncio.get_running_loop().call_later(LINGER, self._close_websockets)

    def _close_websockets(self) -> None:
        for connection in list(self.server_state.connections):
            if not isinstance(connection, Protocol):
                connection.shutdown()

    async def _cancel(self) -> None:
        tasks = list(self.server_state.tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=LINGER)
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()


def _websocket_protocol() -> type[asyncio.Protocol] | Literal["none"]:
    if importlib.util.find_spec("websockets") is None:
        _log.info("WebSockets are not taken: they need the extra transcoder[websocket]")
        return "none"
    from transcoder.websocket_protocol import WebSocketProtocol  # noqa: PLC0415  may be missing

    return WebSocketProtocol


def _is_busy(connection: object) -> bool:
    return connection.is_busy() if isinstance(connection, Protocol) else True
