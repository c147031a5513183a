from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as plain

from transcoder.observers import scrape
from transcoder.observers.scrape import Family


def counted(number: int) -> CollectorRegistry:
    """Return what one process counts."""
    registry = CollectorRegistry()
    calls = Counter("calls", "Calls.", ["method"], registry=registry)
    calls.labels("a").inc(number)
    if number > 1:
        calls.labels("b").inc()
    Gauge("running", "Now.", registry=registry).set(number)
    Gauge("check_seconds", "How long.", registry=registry).set(number)
    Histogram("lag_seconds", "Lag.", buckets=(1.0,), registry=registry).observe(number)
    Info("build", "What.", registry=registry).info({"version": "1"})
    return registry


def values(families: list[Family]) -> dict[Any, float]:
    """Return values by name and labels."""
    return {
        (name, *labels.values()): value
        for family in families
        for name, labels, value in family.samples
    }


GROUPS = {str(number): scrape.taken([counted(number)]) for number in (1, 2)}


def test_sum() -> None:
    """Several processes are told as if they were one; what took a time took the longest."""
    assert values(scrape.summed(GROUPS.values())) == {
        ("calls_total", "a"): 3,
        ("calls_total", "b"): 1,
        ("running",): 3,
        ("check_seconds",): 2,
        ("lag_seconds_bucket", "1.0"): 1,
        ("lag_seconds_bucket", "+Inf"): 2,
        ("lag_seconds_count",): 2,
        ("lag_seconds_sum",): 3,
        ("build_info", "1"): 1,
    }


def test_apart() -> None:
    """Or each by itself."""
    found = values(scrape.told_apart(GROUPS))
    assert found["calls_total", "a", "1"] == 1
    assert found["calls_total", "a", "2"] == 2
    assert {key[-1] for key in found} == {"1", "2"}


def test_registry_twice() -> None:
    """A registry that is given twice counts once, and of two with one metric the first tells it."""
    registry = counted(1)
    assert scrape.taken([registry, registry, counted(2)]) == scrape.taken([registry])


def test_json() -> None:
    """What one process tells another is what it knows."""
    families = GROUPS["2"]
    assert scrape.from_plain(json.loads(json.dumps(scrape.to_plain(families)))) == families


@pytest.mark.parametrize(
    ("accept", "parse"),
    [("", plain), ("text/plain", plain), ("application/openmetrics-text", openmetrics)],
)
def test_exposition(accept: str, parse: Any) -> None:
    """Whoever asks gets the format that it takes, in which parsers find everything."""
    text, media_type = scrape.exposition(GROUPS["1"], accept)
    found = {sample.name: sample.value for each in parse(text.decode()) for sample in each.samples}
    assert media_type.startswith(accept or "text/plain")
    assert found["calls_total"] == found["running"] == found["lag_seconds_count"] == 1
