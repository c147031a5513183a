from __future__ import annotations

from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families

from transcoder.call_details import CallDetails
from transcoder.observers import Metrics
from transcoder.observers.callers import CALLERS
from transcoder.status import Code
from transcoder.topology import CLIENTS


def called(metrics: Metrics, *names: str, code: Code = Code.OK, method: str = "a.A.M") -> None:
    """Count a call of a client whose certificate has these names."""
    known = {"x509_subject_alternative_name": [name.encode() for name in names]}
    call = CallDetails("grpc", method=method, identity=known if names else {})
    metrics.began(call)
    call.code, call.ended = code, call.started + 0.002
    metrics.ended(call)


def callers(metrics: Metrics) -> dict[tuple[str, ...], float]:
    """Return how many calls there were, by caller and outcome."""
    parse: Any = text_string_to_metric_families
    return {
        (sample.labels["caller"], sample.labels["outcome"]): sample.value
        for family in parse(metrics.text())
        for sample in family.samples
        if sample.name == "transcoder_caller_duration_seconds_count"
    }


def test_callers() -> None:
    """Calls of methods are counted by the first name of a certificate; all others are clients'."""
    metrics = Metrics()
    called(metrics, "spiffe://example/gate", "gate.example")
    called(metrics, "spiffe://example/gate", code=Code.UNAVAILABLE)
    called(metrics, code=Code.NOT_FOUND)  # The client's own fault: it was answered.
    called(metrics, method="")  # No method: a path that there is not.

    assert callers(metrics) == {
        ("spiffe://example/gate", "answered"): 1,
        ("spiffe://example/gate", "failed"): 1,
        (CLIENTS, "answered"): 1,
    }


def test_passed_on() -> None:
    """Calls that are passed on without a method count too; those that are refused do not."""
    metrics = Metrics()
    for names, was_passed_on, status in (
        (["edge"], True, 200),
        ([], True, 200),
        ([], True, 502),
        (["edge"], False, 403),
        ([], False, 404),
    ):
        known = {"x509_subject_alternative_name": [name.encode() for name in names]}
        call = CallDetails("http", template="/v1/**", identity=known if names else {})
        metrics.began(call)
        call.called = call.started if was_passed_on else 0.0
        call.http_status, call.ended = status, call.started + 0.002
        metrics.ended(call)

    assert callers(metrics) == {
        ("edge", "answered"): 1,
        (CLIENTS, "answered"): 1,
        (CLIENTS, "failed"): 1,
    }


def test_callers_are_bounded() -> None:
    """Of many callers those that came first are told apart, and no name is long."""
    metrics = Metrics()
    called(metrics, "x" * 10_000)
    for number in range(2 * CALLERS):
        called(metrics, f"c{number}")
        called(metrics, f"c{number}", code=Code.INTERNAL)
    called(metrics, CLIENTS)  # One that takes that name.

    told = callers(metrics)
    assert len(told) <= 2 * (CALLERS + 1)
    assert sum(told.values()) == 2 + 4 * CALLERS
    assert max(len(name) for name, _ in told) == 256
