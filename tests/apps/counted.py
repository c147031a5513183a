"""What the admin port of a server tells of which all parts count something."""

from __future__ import annotations

import asyncio
import functools
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opentelemetry.sdk.trace import TracerProvider
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from backend import SERVICE
from entrances import ENTRANCES, serving
from scraping import LOCAL, asked
from streams import POOL
from transcoder import Channel, CircuitBreaker, Gateway, Health
from transcoder.call_details import CallDetails, Principal
from transcoder.observers import AccessLog, AuditLog, Traces
from transcoder.policies import ConcurrencyLimit, IpFilter, RateLimit, SharedLimiter, Stage
from transcoder.policies.policy import Now

SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}
"""What the names of a metric's samples end with, by its kind."""


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Knows:
    """A policy that knows who calls."""

    name = "knows"
    stage = Stage.AUTHENTICATION

    def decide(self, call: CallDetails, now: Now) -> None:
        """Say who it is."""
        call.principal = Principal(subject="ann", scheme=self.name, issuer="us")


@dataclass(frozen=True, slots=True)
class Counted:
    """What is told of some calls.

    Args:
        text: of a scrape, as OpenMetrics has it.
        plain: the same, as Prometheus has it.
        access: the records of the access log.
        audit: those of the audit log.
    """

    text: str
    plain: str
    access: list[dict[str, Any]]
    audit: list[dict[str, Any]]


@functools.cache
def counted() -> Counted:
    """Return what is told after a call through each entrance."""
    return asyncio.run(_counted())


async def _counted() -> Counted:
    limiter = SharedLimiter("redis://127.0.0.1:1", "9/second", patience=0.01)
    with tempfile.TemporaryDirectory() as folder:
        access, audit = Path(folder) / "access", Path(folder) / "audit"
        gateway = Gateway(
            pool=POOL,
            observers=[
                Traces(TracerProvider(shutdown_on_exit=False)),
                AccessLog(access, headers=["user-agent"]),
                AuditLog(audit),
            ],
            policies=[
                IpFilter(deny=["192.0.2.1"]),
                Knows(),
                ConcurrencyLimit(8),
                RateLimit("9/second", limiter=limiter),
            ],
            overrides={"streams.v1.Streams.Single": {"ip-filter": IpFilter(deny=["127.0.0.1"])}},
            health=Health(timeout=0.2),
        )
        gateway.route(SERVICE, CircuitBreaker(Channel("127.0.0.1:1")))
        async with asyncio.timeout(50), serving(gateway, admin=LOCAL) as running:
            for enter in ENTRANCES.values():
                await enter(running, {"traceparent": TRACE})
            assert running.listening.admin is not None
            target = running.listening.admin.target
            text = await asyncio.to_thread(_scraped, target, "application/openmetrics-text")
            plain = await asyncio.to_thread(_scraped, target, "text/plain")
        return Counted(text, plain, _records(access), _records(audit))


def _scraped(target: str, accept: str) -> str:
    return asked(target, "/metrics", Accept=accept)[2].decode()


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def families(text: str) -> list[Any]:
    """Return the metrics of a scrape, as prometheus-client reads them."""
    parse: Any = text_string_to_metric_families
    return list(parse(text))


def labels(text: str) -> Mapping[str, frozenset[str]]:
    """Return the names of a scrape's samples, each with those of its labels."""
    found: dict[str, set[str]] = {
        family.name + suffix: set() for family in families(text) for suffix in SUFFIXES[family.type]
    }
    for family in families(text):
        for sample in family.samples:
            found[sample.name] |= set(sample.labels)
    return {name: frozenset(names) for name, names in found.items()}
