"""What the admin port of a server tells of which all parts count something."""

from __future__ import annotations

import asyncio
import functools
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from backend import SERVICE
from entrances import ENTRANCES, serving
from scraping import LOCAL, asked
from streams import POOL
from transcoder import Channel, CircuitBreaker, Gateway, Health
from transcoder.observers import AccessLog, AuditLog
from transcoder.policies import ConcurrencyLimit, IpFilter, RateLimit, SharedLimiter

SUFFIXES = {
    "counter": ("_total",),
    "gauge": ("",),
    "histogram": ("_bucket", "_sum", "_count"),
    "info": ("_info",),
}
"""What the names of a metric's samples end with, by its kind."""


@functools.cache
def scrape(accept: str = "application/openmetrics-text") -> str:
    """Return a scrape, after a call through each entrance."""
    return asyncio.run(_scrape(accept))


async def _scrape(accept: str) -> str:
    limiter = SharedLimiter("redis://127.0.0.1:1", "9/second", patience=0.01)
    with tempfile.TemporaryDirectory() as folder:
        gateway = Gateway(
            pool=POOL,
            observers=[AccessLog(Path(folder) / "access"), AuditLog(Path(folder) / "audit")],
            policies=[
                IpFilter(deny=["192.0.2.1"]),
                ConcurrencyLimit(8),
                RateLimit("9/second", limiter=limiter),
            ],
            overrides={"streams.v1.Streams.Single": {"ip-filter": IpFilter(deny=["127.0.0.1"])}},
            health=Health(timeout=0.2),
        )
        gateway.route(SERVICE, CircuitBreaker(Channel("127.0.0.1:1")))
        async with asyncio.timeout(50), serving(gateway, admin=LOCAL) as running:
            for enter in ENTRANCES.values():
                await enter(running, {})
            assert running.listening.admin is not None
            target, headers = running.listening.admin.target, {"Accept": accept}
            told = await asyncio.to_thread(lambda: asked(target, "/metrics", **headers))
            return told[2].decode()


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
