"""One process that listens: uvicorn for HTTP and grpc.aio for gRPC, in one event loop.

Start: the addresses are claimed, the application's lifespan starts, both listeners open.

Drain, on SIGTERM or `stop()`: not ready, and for `settle` seconds everything is still served, while
load balancers look elsewhere and answers close their connections; then all listeners close, what
runs gets its grace, the lifespan stops, the process ends with 0. A signal before that is over ends
the start of the application. A second signal ends the process at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from typing import Any

from transcoder import process
from transcoder.admin import Admin, AdminPort, OneProcess
from transcoder.certificates import Certificates, keep_fresh, open_certificates
from transcoder.connection_limits import DEFAULT_CONNECTION_LIMITS, ConnectionLimits
from transcoder.doors import Doors, Options, Port
from transcoder.errors import ConfigError
from transcoder.gateway import Gateway
from transcoder.generations import GRACE, Generations
from transcoder.http_port import HttpClaim, HttpPort, Ports, claimed
from transcoder.http_rule import undelivered
from transcoder.limits import in_words
from transcoder.listeners import Address, Claim, Listening
from transcoder.loading import load
from transcoder.reloading import GatewayFile
from transcoder.server_tls import ServerTls
from transcoder.snapshots import Line, Telling
from transcoder.supervisor import Supervisor
from transcoder.transcoder import Endpoint
from transcoder.watchdog import watched

_log = logging.getLogger(__name__)

_LATE = 0.7
"""Seconds that are left to a process when its grace is over, or a listener died."""


class Server:
    """Serves a gateway over HTTP and gRPC.

    Args:
        app: the gateway, or the import string of one ("module:attribute") or of a function that
            returns one ("module:create" or "module:create()"), or a file that describes one.
        settle: seconds of a drain in which new connections are still served.
        grace: seconds that calls with one reply get once the listeners are closed, as do threads
            that outlast their calls; the application then gets as many to stop.
        stream_grace: seconds that streams of replies get then.
        reload_grace: seconds that calls get under the configuration with which they began, streams
            too, when a file of it has changed.
        max_concurrent_streams: calls at once on one gRPC connection.
        max_message: bytes of one gRPC message, in and out.
        max_connection_age: seconds, give or take a tenth, until a client is asked to connect anew,
            so that calls reach processes that were started later; what runs may end. None for 300
            with several workers, and for ever with one.
        keep_alive: seconds until an idle HTTP connection is closed.
        backlog: HTTP connections that the system keeps until they are accepted.
        connections: the limits of HTTP connections; see `transcoder.connection_limits`.
        tls: TLS of all ports; None to speak in the clear. Its files are read again when they
            change, and on SIGHUP.
        http_tls: TLS of the ports for HTTP, in place of `tls`.
        grpc_tls: TLS of the gRPC port, in place of `tls`.
        log_config: a `logging.config.dictConfig` for the process that `run` serves in, and for
            each of several; without one those have no logging but what their app sets up.
        admin: where operators see metrics, health and a console, as `127.0.0.1:9901` or, with more
            options, `transcoder.Admin`; None for nowhere. Needs the extra `metrics`.
        admin_token: that they must show there as bearers; without one the address is of this
            machine alone.
        on_ready: called with the real addresses when all listeners are open.
    """

    def __init__(
        self,
        app: Gateway | GatewayFile | str,
        *,
        settle: float = 5.0,
        grace: float = 30.0,
        stream_grace: float = 5.0,
        reload_grace: float = GRACE,
        max_concurrent_streams: int = 100,
        max_message: int = 4 << 20,
        max_connection_age: float | None = None,
        keep_alive: int = 75,
        backlog: int = 2048,
        connections: ConnectionLimits = DEFAULT_CONNECTION_LIMITS,
        tls: ServerTls | None = None,
        http_tls: ServerTls | None = None,
        grpc_tls: ServerTls | None = None,
        log_config: Mapping[str, Any] | None = None,
        admin: Admin | str | None = None,
        admin_token: str | None = None,
        on_ready: Callable[[Listening], object] | None = None,
    ) -> None:
        self._app = app
        self._options = Options(
            settle=settle,
            grace=grace,
            stream_grace=stream_grace,
            max_concurrent_streams=max_concurrent_streams,
            max_message=max_message,
            max_connection_age=max_connection_age,
            keep_alive=keep_alive,
            backlog=backlog,
            connections=connections,
            tls=tls,
            http_tls=http_tls,
            grpc_tls=grpc_tls,
        )
        self._log_config = log_config
        self._admin = None if admin is None else Admin.of(admin, admin_token)
        self._on_ready = on_ready
        self._settle = settle
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Event()
        self._rereading = asyncio.Event()
        self._reload_grace = reload_grace
        self._loop: asyncio.AbstractEventLoop | None = None
        self._owns_process = False
        self._until = 0.0

    def run(self, http: Ports = ":8080", grpc: str = ":50051", *, workers: int = 1) -> None:
        """Serve until a signal ends the process; return after a drain without trouble.

        The process ends when the grace is over, whatever thread or exit handler still runs.

        Args:
            http: HOST:PORT, :PORT for all interfaces, or unix:/path; an `HttpPort`, which has hosts
                and TLS of its own; or several of them.
            grpc: an address as well; with several workers not a Unix socket.
            workers: how many processes serve; with several, the app is an import string.

        Raises:
            SystemExit: with 1, when the server did not start or a listener died.
        """
        try:
            addresses = HttpPort.all_of(http), Address.parse(grpc)
            code = self._supervise(*addresses, workers) if workers > 1 else self._run(*addresses)
        except ConfigError as error:
            line = f"Error: {' '.join(str(error).split())}"
            print(line, file=sys.stderr)  # noqa: T201  no log is set up yet
            code = 1
        if code:
            raise SystemExit(code)

    async def serve(self, http: Ports = ":8080", grpc: str = ":50051") -> int:
        """Serve in the running event loop until `stop()`; return the exit code.

        Raises:
            ConfigError: the server cannot start; nothing listens then.
        """
        return await self._claim_and_serve(HttpPort.all_of(http), Address.parse(grpc))

    async def serve_claimed(
        self,
        http: Sequence[HttpClaim],
        grpc: Claim,
        admin: Claim | None = None,
        *,
        one_of_several: bool = False,
        line: Line | None = None,
    ) -> int:
        """Serve on addresses that this process holds; return the exit code.

        Args:
            http: where to listen for HTTP, at one port at least.
            grpc: where to listen for gRPC.
            admin: where operators look; None for nowhere.
            one_of_several: whether other processes listen there too.
            line: to the process that serves operators in this one's place.

        Raises:
            ConfigError: the server cannot start; nothing listens then.
        """
        self._loop = asyncio.get_running_loop()
        options = self._options
        shared, for_grpc = open_certificates(options.tls, options.http_tls, options.grpc_tls)
        for_http = [_certificates(each.port, shared) for each in http]
        generations = self._generations()
        aside = self._aside(generations, admin, line)
        alive = True
        try:
            if await self._starts(generations):
                _warn_of_undelivered(generations.current)
                doors = Doors(
                    generations,
                    (http, grpc),
                    (for_http, for_grpc),
                    options,
                    aside=aside,
                    one_of_several=one_of_several,
                )
                with self._fresh([*for_http, for_grpc], generations), watched(generations):
                    alive = await self._keep_open(doors, generations)
        finally:
            stopped = await generations.stop()
        code = 0 if alive and stopped else 1
        # A thread of a servicer may run on, even one whose client is long gone.
        self._end_within(max(_LATE, self._until - self._loop.time()), code)
        return code

    def stop(self, settle: float | None = None) -> None:
        """Begin the drain; may be called from any thread.

        Args:
            settle: seconds in which new connections are still served, if not the server's own.
        """
        if settle is not None:
            self._settle = settle
        if self._loop is None:
            self._stopping.set()
        else:
            self._loop.call_soon_threadsafe(self._stopping.set)

    def reload(self) -> None:
        """Read again the certificates, and the file that describes the gateway if there is one.

        It does so changed or not, and may be called from any thread.
        """
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._reloading.set)
            self._loop.call_soon_threadsafe(self._rereading.set)

    def run_claimed(self, http: Sequence[HttpClaim], grpc: Claim, line: Line | None = None) -> int:
        """Serve as one of several processes on the same addresses; return the exit code.

        Args:
            http: where to listen for HTTP, at one port at least.
            grpc: where to listen for gRPC.
            line: to the process that serves operators; None where none does.

        Raises:
            ConfigError: the server cannot start.
        """
        self._configure_logging()
        return self._own_process(
            self.serve_claimed(http, grpc, one_of_several=True, line=line),
            [each.port for each in http],
        )

    def _run(self, http: Sequence[HttpPort], grpc: Address) -> int:
        self._configure_logging()
        return self._own_process(self._claim_and_serve(http, grpc), http)

    def _configure_logging(self) -> None:
        if self._log_config is not None:
            process.configure_logging(self._log_config)

    def _own_process(self, serving: Coroutine[Any, Any, int], http: Iterable[HttpPort]) -> int:
        self._owns_process = True
        options = self._options
        reloads = (
            isinstance(self._app, GatewayFile)
            or options.tls
            or options.http_tls
            or options.grpc_tls
            or any(isinstance(each.tls, ServerTls) for each in http)
        )
        return process.run(serving, self._on_signal, on_hangup=self.reload if reloads else None)

    def _on_signal(self, number: int) -> None:
        self.stop(settle=0 if number == signal.SIGINT else None)

    def _supervise(self, http: Sequence[HttpPort], grpc: Address, workers: int) -> int:
        if isinstance(self._app, Gateway):
            wanted = "an import string, such as 'package.module:app'"
            raise ConfigError(f"with {workers} workers the app is given as {wanted}")
        if grpc.path:
            raise ConfigError(f"grpc: {grpc} cannot be shared by {workers} workers: use HOST:PORT")
        options = {
            **asdict(self._options),
            "reload_grace": self._reload_grace,
            "log_config": self._log_config,
        }
        try:
            json.dumps(options)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"log_config cannot be told to workers: {error}") from error
        self._configure_logging()
        return Supervisor(self._app, options, workers, self._on_ready, self._admin).run(http, grpc)

    async def _claim_and_serve(self, http: Sequence[HttpPort], grpc: Address) -> int:
        with (
            claimed(http) as http_claims,
            Claim.take("grpc", grpc) as grpc_claim,
            nullcontext() if self._admin is None else self._admin.claim() as admin_claim,
        ):
            return await self.serve_claimed(http_claims, grpc_claim, admin_claim)

    def _generations(self) -> Generations:
        app = self._app
        return Generations(
            app.load() if isinstance(app, GatewayFile) else load(app),
            stop_grace=self._options.grace,
            grace=self._reload_grace,
            changing=isinstance(app, GatewayFile),
        )

    @contextlib.contextmanager
    def _fresh(
        self, certificates: Iterable[Certificates | None], generations: Generations
    ) -> Iterator[None]:
        """Have files that change read again meanwhile."""
        reading = [keep_fresh(certificates, self._reloading)]
        if isinstance(self._app, GatewayFile):
            reading.append(self._app.keep_fresh(generations, self._rereading))
        tasks = [asyncio.create_task(each) for each in reading]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    def _aside(
        self, generations: Generations, claim: Claim | None, line: Line | None
    ) -> Port | None:
        limits = self._options.limits
        if line is not None:
            return Telling(generations, line, limits)
        if self._admin is None or claim is None:
            return None
        return AdminPort(claim, OneProcess(generations, limits), self._admin)

    async def _starts(self, generations: Generations) -> bool:
        """Start the application; False when `stop()` came first."""
        starting = asyncio.create_task(generations.start())
        stop = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait({starting, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            starting.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await starting
        return not self._stopping.is_set()

    async def _keep_open(self, doors: Doors, generations: Generations) -> bool:
        listening = await doors.open()
        if self._owns_process:
            process.keep_all()
        try:
            _log.info("%s", listening)
            _log.info(
                "limits: %s", in_words({**self._options.limits, **generations.current.limits})
            )
            if self._on_ready is not None:
                self._on_ready(listening)
            dead = await self._until_stopped(doors)
            if not dead:
                await doors.settle(self._settle)
        except BaseException:
            await doors.close(0, 0)
            raise
        if dead:
            _log.error("the %s listener ended by itself, the process goes down", dead)
            self._end_within(_LATE, 1)
            await doors.close(0, 0)
            return False
        self._until = asyncio.get_running_loop().time() + self._options.grace
        await doors.close(self._options.grace, self._options.stream_grace)
        return True

    async def _until_stopped(self, doors: Doors) -> str:
        """Wait for `stop()`; return the name of a listener that ended before."""
        stop = asyncio.create_task(self._stopping.wait())
        waiting = {stop, *doors.watch()}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        return "" if stop in done else done.pop().get_name()

    def _end_within(self, seconds: float, code: int) -> None:
        if self._owns_process:
            process.end_within(seconds, code)


def _certificates(port: HttpPort, shared: Certificates | None) -> Certificates | None:
    if port.tls == "server":
        return shared
    return None if port.tls is None else Certificates(port.tls, f"{port.address}: tls")


def _warn_of_undelivered(gateway: Gateway) -> None:
    for route in gateway.transcoder.routes:
        if isinstance(route.endpoint, Endpoint):
            why = undelivered(route.endpoint.binding)
            if why:
                _log.warning("%s never answers: %s", route, why)
