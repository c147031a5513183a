"""Several processes on the same addresses, and the one that starts them.

The parent holds the addresses and serves nothing. For HTTP it holds the one socket of each
port that all workers accept from, so that a worker's end refuses nobody. gRPC opens its own
sockets: there the parent holds one that is bound with SO_REUSEPORT and does not listen, which keeps
the port, and the workers listen beside it.

A worker is a new interpreter, never a fork: gRPC does not survive one. A socket pair joins it to
the parent. The worker is told what to serve, and then "reload" or "drain"; it says "ready" or why
it is not, and what it counts, if operators look. When the other end closes, the other process is
gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from transcoder import process
from transcoder.admin import Admin, AdminPort
from transcoder.errors import ConfigError
from transcoder.http_port import HttpClaim, HttpPort, claimed
from transcoder.listeners import Address, Claim, Listening
from transcoder.reloading import GatewayFile, Report
from transcoder.server_tls import ServerTls
from transcoder.snapshots import Ask, Snapshots
from transcoder.worker_process import Worker

_log = logging.getLogger(__name__)

QUICK = 5.0
"""Seconds of life under which a worker's end counts as one of a row."""

BACKOFF = (0.0, 0.0, 0.5, 1.0, 2.0, 5.0, 10.0)
"""Seconds until a worker is replaced, by how many ended quickly in a row."""

OVERTIME = 10.0


class Supervisor:
    """Starts workers, replaces those that end, and drains them together.

    Args:
        app: import string of the gateway, or the file that describes it.
        options: keyword arguments of each worker's `Server`.
        workers: how many.
        on_ready: called with the real addresses when all workers serve.
        admin: where operators see all of them; None for nowhere.
    """

    def __init__(
        self,
        app: GatewayFile | str,
        options: Mapping[str, Any],
        workers: int,
        on_ready: Callable[[Listening], object] | None = None,
        admin: Admin | None = None,
    ) -> None:
        self._app = app
        self._reports = Reports(_log.log)
        self._options = options
        self._count = workers
        self._on_ready = on_ready
        self._admin = admin
        self._snapshots = None if admin is None else _snapshots(workers, self._explain)
        self._settle = options["settle"]
        self._stopping = asyncio.Event()
        self._workers: set[Worker] = set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, http: Sequence[HttpPort], grpc: Address) -> int:
        """Serve until a signal ends the process; return the exit code.

        Raises:
            ConfigError: an address is in use, or a worker cannot start.
        """
        secured = any(self._options[name] for name in ("tls", "http_tls", "grpc_tls"))
        secured = secured or any(isinstance(each.tls, ServerTls) for each in http)
        reloads = secured or isinstance(self._app, GatewayFile)
        reload = self._on_hangup if reloads else None
        return process.run(self._claim_and_run(http, grpc), self._on_signal, self._kill, reload)

    async def _claim_and_run(self, http: Sequence[HttpPort], grpc: Address) -> int:
        self._loop = asyncio.get_running_loop()
        with (
            claimed(http) as http_claims,
            Claim.take("grpc", grpc, reuse_port=True) as grpc_claim,
            contextlib.nullcontext() if self._admin is None else self._admin.claim() as admin_claim,
        ):
            port = self._admin_port(admin_claim)
            try:
                return await self._run(http_claims, grpc_claim, port)
            finally:
                self._kill()
                if port is not None and port.is_open:
                    await port.close()

    def _admin_port(self, claim: Claim | None) -> AdminPort | None:
        if self._admin is None or claim is None or self._snapshots is None:
            return None
        return AdminPort(claim, self._snapshots, self._admin)

    async def _explain(self, question: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what a worker does with a request: they all do the same."""
        for worker in list(self._workers):
            with contextlib.suppress(TimeoutError):
                return await worker.explain(question)
        return {"problem": "no worker answers"}

    async def _run(self, http: Sequence[HttpClaim], grpc: Claim, port: AdminPort | None) -> int:
        try:
            workers = [self._spawn(http, grpc, place) for place in range(self._count)]
        except OSError as error:
            raise ConfigError(f"no worker can be started: {error.strerror or error}") from error
        if await self._all_ready(workers):
            if port is not None:
                await port.open()
            first, *also = (each.claim.address for each in http)
            admin = None if port is None else port.address
            listening = Listening(first, grpc.address, admin, tuple(also))
            _log.info("%d workers: %s", self._count, listening)
            if self._on_ready is not None:
                self._on_ready(listening)
        kept = [
            asyncio.create_task(self._keep(place, worker, http, grpc))
            for place, worker in enumerate(workers)
        ]
        await self._stopping.wait()
        # The workers listen on until the last of them has closed its own.
        for each in http:
            each.claim.release()
        for worker in self._workers:
            worker.drain(self._settle)
        # The grace of requests, and that of the application to stop.
        limit = self._settle + 2 * self._options["grace"] + OVERTIME
        done, late = await asyncio.wait(kept, timeout=limit)
        if late:
            _log.error("%d workers did not end within %g s", len(late), limit)
        return 0 if not late and all(task.result() == 0 for task in done) else 1

    def _spawn(self, http: Sequence[HttpClaim], grpc: Claim, place: int) -> Worker:
        snapshots = self._snapshots

        def hear(worker: Worker, told: Mapping[str, Any]) -> None:
            if snapshots is not None:
                snapshots.took(place, worker.pid, told)

        on_snapshot = None if snapshots is None else hear
        report = self._reports.of_another()
        worker = Worker(self._app, self._options, http, grpc, on_snapshot, on_report=report)
        self._workers.add(worker)
        return worker

    async def _all_ready(self, workers: Iterable[Worker]) -> bool:
        """Wait for the first workers; whether they are ready, and no signal came before."""
        ready = asyncio.gather(*(worker.ready() for worker in workers))
        stop = asyncio.ensure_future(self._stopping.wait())
        waiting: set[asyncio.Future[Any]] = {ready, stop}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        stop.cancel()
        ready.cancel()
        try:
            await ready
        except (asyncio.CancelledError, ConfigError):
            # A worker that was to end anyway need not say why it was not ready.
            if not self._stopping.is_set():
                raise
        return not self._stopping.is_set()

    async def _keep(
        self, place: int, worker: Worker, http: Sequence[HttpClaim], grpc: Claim
    ) -> int:
        """Replace a worker whenever it ends, until the drain; return the last one's exit code."""
        loop = asyncio.get_running_loop()
        quick = 0
        while True:
            started = loop.time()
            code = await worker.ended()
            self._workers.discard(worker)
            if self._snapshots is not None:
                self._snapshots.ended(place)
            if self._stopping.is_set():
                return code
            quick = quick + 1 if loop.time() - started < QUICK else 0
            why = worker.failure or f"exit code {code}"
            text = "worker %d ended, %s; the next starts in %g s"
            _log.warning(text, worker.pid, why, _delay(quick))
            replaced = await self._replace(quick, http, grpc, place)
            if replaced is None:
                return 0
            worker = replaced

    async def _replace(
        self, quick: int, http: Sequence[HttpClaim], grpc: Claim, place: int
    ) -> Worker | None:
        """Start a worker, however often that fails; None when the drain comes first."""
        while not await self._stops_within(_delay(quick)):
            try:
                return self._spawn(http, grpc, place)
            except OSError as error:
                quick += 1
                text = "no worker can be started, %s; the next try is in %g s"
                _log.error(text, error.strerror or error, _delay(quick))
        return None

    async def _stops_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True

    def _on_signal(self, number: int) -> None:
        if number == signal.SIGINT:
            self._settle = 0
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._stopping.set)

    def _on_hangup(self) -> None:
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._reload)

    def _reload(self) -> None:
        for worker in self._workers:
            worker.reload()

    def _kill(self) -> None:
        for worker in self._workers:
            worker.kill()


class Reports:
    """Tells once what all workers tell, each of its own reload.

    Args:
        tell: the level of the log, and a line.
    """

    def __init__(self, tell: Report) -> None:
        self._tell = tell
        self._most = 0
        self._last = ""

    def of_another(self) -> Report:
        """Return what hears one more worker."""
        count = self._most

        def hear(level: int, line: str) -> None:
            nonlocal count
            count += 1
            # A worker that looked late may have seen two changes as one.
            if count > self._most or line != self._last:
                count = self._most = max(count, self._most + 1)
                self._last = line
                self._tell(level, line)

        return hear


def _delay(quick: int) -> float:
    return BACKOFF[min(quick, len(BACKOFF) - 1)]


def _snapshots(workers: int, ask: Ask) -> Snapshots:
    try:
        return Snapshots(workers, ask)
    except ImportError as error:
        raise ConfigError(f"admin: {error}") from error
