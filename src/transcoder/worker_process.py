"""A worker process, as the one that started it sees it."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from transcoder.errors import ConfigError
from transcoder.http_port import HttpClaim
from transcoder.listeners import Claim
from transcoder.reloading import GatewayFile, Report
from transcoder.snapshots import LONGEST

PATIENCE = 5.0
"""Seconds within which a worker answers a question."""

_WORK = "import sys; sys.path[:] = {}; from transcoder.worker import work; work({})"


class Worker:
    """One worker.

    Args:
        app: import string of the gateway, or the file that describes it.
        options: keyword arguments of its `Server`.
        http: where it listens for HTTP, at one port at least.
        grpc: where it listens for gRPC.
        on_snapshot: called with the worker and each snapshot of it; None for it to send none.
        on_report: called with what it says of its reloads.
    """

    def __init__(
        self,
        app: GatewayFile | str,
        options: Mapping[str, Any],
        http: Sequence[HttpClaim],
        grpc: Claim,
        on_snapshot: Callable[[Worker, Mapping[str, Any]], object] | None = None,
        *,
        on_report: Report = lambda _level, _line: None,
    ) -> None:
        passed = [descriptor for each in http for descriptor in each.claim.descriptors]
        ours, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as failed:
            failed.enter_context(ours)
            self._process = subprocess.Popen(  # noqa: S603  our own interpreter, our own words
                [sys.executable, "-c", _WORK.format(sys.path, theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), *passed, *grpc.descriptors),
                # Ctrl-C reaches the parent alone, which tells the workers once.
                start_new_session=True,
            )
            failed.pop_all()
        self.pid = self._process.pid
        self.failure = ""
        self._told = asyncio.Event()
        self._control = ours
        self._on_snapshot = on_snapshot
        self._on_report = on_report
        self._numbers = itertools.count()
        self._asking = asyncio.Lock()
        self._answers: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._tell(
            {
                **({"file": app.path} if isinstance(app, GatewayFile) else {"app": app}),
                "options": dict(options),
                "http": [{**_told(each.claim), "port": asdict(each.port)} for each in http],
                "grpc": _told(grpc),
                "snapshots": on_snapshot is not None,
            }
        )
        self._end = asyncio.ensure_future(self._listen())

    async def ready(self) -> None:
        """Wait until the worker serves.

        Raises:
            ConfigError: it said why it does not, or ended.
        """
        await self._told.wait()
        if self.failure:
            raise ConfigError(self.failure)

    async def ended(self) -> int:
        """Wait until the process is gone; return its exit code."""
        return await self._end

    def drain(self, settle: float) -> None:
        """Tell the worker to end."""
        self._tell({"drain": settle})

    def reload(self) -> None:
        """Tell the worker to read its certificates again, and its file."""
        self._tell({"reload": True})

    async def explain(self, question: Mapping[str, str]) -> Mapping[str, Any]:
        """Return what the worker does with a request.

        Raises:
            TimeoutError: it does not answer.
        """
        # One at a time: a worker that does not listen must not be told more than the socket takes.
        async with asyncio.timeout(PATIENCE), self._asking:
            number = next(self._numbers)
            answer: asyncio.Future[Mapping[str, Any]]
            answer = self._answers[number] = asyncio.get_running_loop().create_future()
            try:
                self._tell({"explain": question, "number": number})
                return await answer
            finally:
                del self._answers[number]

    def kill(self) -> None:
        """End the worker at once, if it still runs."""
        self._process.kill()

    def _tell(self, order: Mapping[str, Any]) -> None:
        with contextlib.suppress(OSError):
            self._control.sendall(json.dumps(order).encode() + b"\n")

    async def _listen(self) -> int:
        reader, writer = await asyncio.open_connection(sock=self._control, limit=LONGEST + 1)
        try:
            while line := await reader.readline():
                # One that was killed may have left half a line.
                if line.endswith(b"\n"):
                    self._hear(json.loads(line))
        except OSError:
            pass  # A killed worker that had not read all: the end, as well.
        code = await asyncio.to_thread(self._process.wait)
        if not self._told.is_set():
            self.failure = f"a worker ended with exit code {code} before it was ready"
            self._told.set()
        writer.close()
        return code

    def _hear(self, told: Mapping[str, Any]) -> None:
        if "explained" in told:
            answer = self._answers.get(told["number"])
            if answer is not None and not answer.done():
                answer.set_result(told["explained"])
        elif "report" in told:
            self._on_report(*told["report"])
        elif "snapshot" not in told:
            self.failure = told.get("failed", "")
            self._told.set()
        elif self._on_snapshot is not None:
            self._on_snapshot(self, told["snapshot"])


def _told(claim: Claim) -> dict[str, Any]:
    return {"address": asdict(claim.address), "descriptors": claim.descriptors}
