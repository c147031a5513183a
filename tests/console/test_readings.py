from __future__ import annotations

from transcoder.call_details import CallDetails
from transcoder.console.readings import Backend, Caller, RouteKey, counted, values
from transcoder.durations import BUCKETS
from transcoder.measured import Metric, Reading, Readings
from transcoder.observers import Metrics
from transcoder.observers.scrape import from_plain, summed, taken, to_plain
from transcoder.status import Code
from transcoder.topology import CLIENTS
from transcoder.upstream.backend_calls import BackendCalls

ROUTE = RouteKey("http", "a.A.M", "/v1/a")


def called(metrics: Metrics, seconds: float, code: Code | None, status: int) -> None:
    """Count a call."""
    call = CallDetails("http", method=ROUTE.method, template=ROUTE.route)
    metrics.began(call)
    call.ended, call.code, call.http_status = call.started + seconds, code, status
    metrics.ended(call)


def some() -> Metrics:
    """Return metrics of some calls, in and out."""
    metrics, backends = Metrics(), BackendCalls()
    called(metrics, 0.0001, None, 200)
    called(metrics, 0.003, Code.NOT_FOUND, 404)
    called(metrics, 40, Code.DEADLINE_EXCEEDED, 504)
    backend = backends.to("/b.B/M", "b:1")
    backend.answered.add(0.002)
    backend.failed.add(0.02)
    metrics.follow(backends)
    return metrics


def test_routes() -> None:
    """Calls of a route are told with those that failed, those that were refused, and durations."""
    found = counted(taken([some().registry]))[ROUTE]

    assert (found.calls, found.failed, found.refused) == (3, 1, 1)
    assert [place for place, count in enumerate(found.durations) if count] == [0, 2, len(BUCKETS)]


def test_callers_and_backends() -> None:
    """So are those of who calls, and of who is called."""
    found = counted(taken([some().registry]))

    caller, backend = found[Caller(CLIENTS)], found[Backend("b.B", "b:1")]
    assert (caller.calls, caller.failed) == (3, 1)
    assert (backend.calls, backend.failed) == (2, 1)
    assert found.keys() == {ROUTE, Caller(CLIENTS), Backend("b.B", "b:1")}


def test_of_several() -> None:
    """The sum of several processes is read as one, as they tell it each other."""
    told = [from_plain(to_plain(taken([some().registry]))) for _ in range(3)]
    assert counted(summed(told))[ROUTE].calls == 9


def test_values() -> None:
    """A gauge is told by its labels."""
    state = Metric("transcoder_breaker_state", "Of a breaker.")

    class Breaker:
        def readings(self) -> Readings:
            yield Reading(state, 1.0, {"state": "open"})

    metrics = Metrics()
    metrics.follow(Breaker())
    assert values(taken([metrics.registry]), state.name) == [({"state": "open"}, 1.0)]
