"""The user service with everything on, for `soak.py` to load."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from pathlib import Path

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import TraceIdRatioBased

from services.user.app import create_app
from transcoder import Gateway
from transcoder.measured import Metric, Reading, Readings
from transcoder.observers import AccessLog, AuditLog, Metrics, Traces
from transcoder.policies import (
    ConcurrencyLimit,
    IpFilter,
    RateLimit,
    RequestId,
    SecurityHeaders,
)

TASKS = Metric("soak_tasks", "Tasks of the event loop.")
THREADS = Metric("soak_threads", "Threads of the process.")


class Process:
    """What a process has that ought not to grow."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None

    def readings(self) -> Readings:
        """Tell how much of it there is; the console asks on a thread, `/metrics` in the loop."""
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
        tasks = () if self._loop is None else asyncio.all_tasks(self._loop)
        return (Reading(TASKS, len(tasks)), Reading(THREADS, threading.active_count()))


class Nowhere(SpanExporter):
    """Takes spans, and forgets them."""

    def export(self, spans: object) -> SpanExportResult:
        """Forget some."""
        return SpanExportResult.SUCCESS


def create() -> Gateway:
    """Return the gateway; its files are in the folder that the environment names."""
    folder = Path(os.environ["SOAK"])
    provider = TracerProvider(sampler=TraceIdRatioBased(0.01))
    provider.add_span_processor(BatchSpanProcessor(Nowhere()))
    gateway = create_app(
        f"sqlite:///{folder}/users.db",
        policies=[
            RequestId(),
            IpFilter(allow=["127.0.0.0/8"]),
            ConcurrencyLimit(1000),
            RateLimit("100000/second"),
            SecurityHeaders(),
        ],
        observers=[
            Traces(provider),
            AccessLog(folder / "access.log"),
            AuditLog(folder / "audit.log"),
            Metrics(),
        ],
    )
    gateway.measure(Process())
    return gateway
