from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from backend import SERVICE as USERS
from entrances import ENTRANCES, Running, call_each, over_http, run
from transcoder import Channel, CircuitBreaker, Health
from transcoder.call_details import CallDetails
from transcoder.measured import Metric, Reading, Readings, Spread
from transcoder.observers import AccessLog, AuditLog, Metrics
from transcoder.policies import ConcurrencyLimit, IpFilter, RateLimit, SharedLimiter

LABELS = ["door", "method", "route", "code", "http_status", "direction", "path", "policy"]


def samples(metrics: Metrics) -> dict[str, dict[tuple[str, ...], float]]:
    """Return the values of each metric, by the values of its labels, in the order of LABELS."""
    parse: Any = text_string_to_metric_families
    found: dict[str, dict[tuple[str, ...], float]] = {}
    for family in parse(metrics.text()):
        for sample in family.samples:
            others = [name for name in sample.labels if name not in LABELS]
            names = [*(name for name in LABELS if name in sample.labels), *others]
            labels = tuple(sample.labels[name] for name in names)
            found.setdefault(sample.name, {})[labels] = sample.value
    return found


@pytest.fixture(scope="module")
def scraped() -> dict[str, dict[tuple[str, ...], float]]:
    """What is scraped after one call through each entrance."""
    metrics = Metrics()
    call_each({}, observers=[metrics])
    return samples(metrics)


SINGLE = ("streams.v1.Streams.Single", "/v1/{topic}/single")
TELL = ("streams.v1.Streams.Tell", "/v1/{topic}/told")


def test_calls(scraped: Any) -> None:
    """Calls are counted by door, method, route, code and HTTP status."""
    assert scraped["transcoder_calls_total"] == {
        ("http", *SINGLE, "OK", "200"): 1,
        ("http", *TELL, "OK", "200"): 1,
        ("websocket", *TELL, "OK", "101"): 1,
        ("grpc", SINGLE[0], "/streams.v1.Streams/Single", "OK", ""): 1,
        ("grpc", TELL[0], "/streams.v1.Streams/Tell", "OK", ""): 1,
    }


def test_durations(scraped: Any) -> None:
    """So are their durations, whole and of the servicer alone."""
    counts = scraped["transcoder_call_duration_seconds_count"]
    assert sum(counts.values()) == len(ENTRANCES)
    whole = scraped["transcoder_call_duration_seconds_sum"][("http", *SINGLE)]
    upstream = scraped["transcoder_upstream_duration_seconds_sum"][("http", *SINGLE)]
    assert whole > upstream > 0


def test_in_flight(scraped: Any) -> None:
    """When all calls are over, none runs."""
    assert set(scraped["transcoder_calls_in_flight"].values()) == {0}


def test_streams(scraped: Any) -> None:
    """The messages of streams are counted."""
    sent = scraped["transcoder_stream_messages_total"]
    assert {sent[door, TELL[0], "sent"] for door in ("http", "websocket", "grpc")} == {1}


def test_bytes(scraped: Any) -> None:
    """So are bytes, both ways."""
    assert scraped["transcoder_bytes_total"]["http", "sent"] > 0
    assert scraped["transcoder_bytes_total"]["grpc", "received"] > 0


def test_others(scraped: Any) -> None:
    """What serves is told, and what the JSON codec does."""
    assert list(scraped["transcoder_build_info"].values()) == [1]
    assert scraped["transcoder_json_total"]["encode", "fast"] > 0


def test_refusals() -> None:
    """Refusals are counted by policy and reason."""
    metrics = Metrics()
    call_each({}, observers=[metrics], policies=[IpFilter(deny=["127.0.0.1"])])
    refusals = samples(metrics)["transcoder_policy_refusals_total"]
    assert refusals == {("ip-filter", "address"): len(ENTRANCES)}


def test_names(scraped: Any) -> None:
    """Names follow the conventions: a prefix, base units, and `_total` for what only rises."""
    for name in scraped:
        assert re.fullmatch(r"transcoder_[a-z_]+", name)
        assert "milli" not in name
    counters = [name for name in scraped if name.endswith("_total")]
    assert len(counters) >= 4


def test_cardinality() -> None:
    """Paths that clients make up add no series, however many they are."""
    metrics = Metrics()
    for index in range(100_000):
        call = CallDetails("http", path=f"/{index}", http_method=f"M{index}")
        metrics.began(call)
        call.http_status, call.ended = 404, call.started
        metrics.ended(call)
    assert sum(len(values) for values in samples(metrics).values()) < 60


def test_real_paths() -> None:
    """Nor do such paths over real sockets, whatever their method."""
    metrics = Metrics()

    async def fact(running: Running) -> None:
        await asyncio.gather(*(over_http(running, {}, f"/{index}") for index in range(50)))

    run(fact, observers=[metrics])
    assert samples(metrics)["transcoder_calls_total"] == {("http", "", "", "NOT_FOUND", "404"): 50}


OPEN = Metric("transcoder_open", "Whether it is open.")
DROPPED = Metric("transcoder_dropped_lines", "Of logs.", rises=True)
LAG = Metric("transcoder_lag_seconds", "Of a loop.")


class Others:
    """What counts."""

    value = 0.0

    def readings(self) -> Readings:
        """Tell it."""
        yield Reading(OPEN, self.value, {"method": "a"})
        yield Reading(DROPPED, 3)
        yield Reading(DROPPED, 4)
        yield Spread(LAG, (0.1, 1.0), (2, 1, 1), 5.5)


def test_follow() -> None:
    """What others count is read at each scrape, and what has the same labels is one number."""
    metrics, others = Metrics(), Others()
    metrics.follow(others)
    others.value = 1.0
    found = samples(metrics)
    assert found["transcoder_open"] == {("a",): 1}
    assert found["transcoder_dropped_lines_total"] == {(): 7}
    assert found["transcoder_lag_seconds_bucket"] == {("0.1",): 2, ("1.0",): 3, ("+Inf",): 4}
    assert found["transcoder_lag_seconds_sum"] == {(): 5.5}


def test_followed_once() -> None:
    """Who starts again is not told twice."""
    metrics = Metrics()
    metrics.follow(Others())
    metrics.follow(Others())
    assert samples(metrics)["transcoder_dropped_lines_total"] == {(): 7}


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[tuple[str, ...], float]]:
    """What is scraped of a gateway whose parts all count something."""
    folder = tmp_path_factory.mktemp("logs")
    metrics = Metrics()
    limiter = SharedLimiter("redis://127.0.0.1:1", "9/second", patience=0.01)

    async def fact(running: Running) -> None:
        running.gateway.route(USERS, CircuitBreaker(Channel("127.0.0.1:1")))
        await over_http(running, {})
        await running.gateway.readiness.report()

    run(
        fact,
        observers=[metrics, AccessLog(folder / "access"), AuditLog(folder / "audit")],
        policies=[ConcurrencyLimit(8), RateLimit("9/second", limiter=limiter)],
        overrides={"streams.v1.Streams.Tell": {"concurrency": ConcurrencyLimit(9)}},
        health=Health(timeout=0.2),
    )
    return samples(metrics)


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("transcoder_concurrency_running", {("concurrency",): 0}),  # Two of one name are one.
        ("transcoder_concurrency_waiting", {("concurrency",): 0}),
        ("transcoder_limiter_store_failures_total", {("rate-limit",): 1}),
        ("transcoder_limiter_store_down", {("rate-limit",): 1}),
        ("transcoder_access_log_dropped_lines_total", {(): 0}),
        ("transcoder_audit_log_failures_total", {(): 0}),
        ("transcoder_draining", {(): 1}),  # It is over.
        (
            "transcoder_breaker_state",
            {
                ("", "closed", USERS.full_name): 1,
                ("", "open", USERS.full_name): 0,
                ("", "half-open", USERS.full_name): 0,
            },
        ),
        (
            "transcoder_check_failing",
            {
                ("rate-limit-store",): 1,
                (f"upstream:{USERS.full_name}",): 1,
                ("http",): 0,
                ("grpc",): 0,
            },
        ),
    ],
)
def test_parts(parts: Any, name: str, wanted: Any) -> None:
    """Policies, observers, breakers and readiness tell what they count."""
    assert parts[name] == wanted
