from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scraping import LOCAL, asked, scraped
from transcoder.snapshots import STALE, Snapshots

if TYPE_CHECKING:
    from tests.conftest import Served, Start

CALLS = "transcoder_calls_total"


def snapshot(calls: float, status: str = "SERVING") -> dict[str, Any]:
    """Return what a worker tells that has answered some calls, one of which still runs."""
    door = {"door": "http"}
    counter = ["calls", "What it tells.", "counter", [["calls_total", door, calls]]]
    gauge = ["running", "What it tells.", "gauge", [["running", door, 1]]]
    about = {"services": ["a.A"], "limits": {"body": "9 B"}}
    ready = {"status": status, "checks": []}
    return {"metrics": [counter, gauge], "ready": ready, "about": about, "failures": []}


async def nobody(question: Any) -> Any:
    """Explain nothing."""


def values(snapshots: Snapshots, *, apart: bool = False) -> dict[tuple[str, ...], float]:
    """Return the values of a scrape, by name and labels."""
    return scraped(snapshots.metrics("", apart=apart)[0])


def state(snapshots: Snapshots) -> Any:
    """Return what is told of readiness."""
    return asyncio.run(snapshots.ready())


def test_sum() -> None:
    """What workers count is told as its sum, or each by itself."""
    snapshots = Snapshots(2, nobody)
    snapshots.took(0, 100, snapshot(3))
    snapshots.took(1, 101, snapshot(4))

    assert values(snapshots) == {("calls_total", "http"): 7, ("running", "http"): 2}
    assert values(snapshots, apart=True) == {
        ("calls_total", "http", "0"): 3,
        ("calls_total", "http", "1"): 4,
        ("running", "http", "0"): 1,
        ("running", "http", "1"): 1,
    }


def test_gone() -> None:
    """When a worker is gone its calls count on, under its place, and what ran there no longer."""
    snapshots = Snapshots(2, nobody)
    snapshots.took(0, 100, snapshot(3))
    snapshots.took(1, 101, snapshot(4))
    snapshots.ended(0)
    assert values(snapshots) == {("calls_total", "http"): 7, ("running", "http"): 1}

    snapshots.took(0, 102, snapshot(1))
    snapshots.ended(0)
    snapshots.took(0, 103, snapshot(2))
    assert values(snapshots) == {("calls_total", "http"): 10, ("running", "http"): 2}
    assert values(snapshots, apart=True)["calls_total", "http", "0"] == 6


@pytest.mark.parametrize(
    ("states", "worst"),
    [
        (("SERVING", "SERVING"), "SERVING"),
        (("SERVING", "DEGRADED"), "DEGRADED"),
        (("NOT_SERVING", "DEGRADED"), "NOT_SERVING"),
    ],
)
def test_worst(states: tuple[str, str], worst: str) -> None:
    """All are as ready as the worst of them."""
    snapshots = Snapshots(2, nobody)
    for place, each in enumerate(states):
        snapshots.took(place, 100 + place, snapshot(0, each))

    told = state(snapshots)
    assert told["status"] == worst
    assert [(each["pid"], each["status"]) for each in told["workers"]] == [
        (100, states[0]),
        (101, states[1]),
    ]


def test_silent() -> None:
    """A worker that has said nothing yet, or nothing for long, is not ready."""
    now = 100.0
    snapshots = Snapshots(2, nobody, lambda: now)
    snapshots.took(0, 100, snapshot(0))
    starting = {"worker": "1", "status": "NOT_SERVING", "problem": "the worker starts"}
    assert state(snapshots)["workers"][1] == starting

    snapshots.took(1, 101, snapshot(0))
    assert state(snapshots)["status"] == "SERVING"
    now += STALE
    assert state(snapshots)["status"] == "SERVING"
    now += 1
    problems = {each["problem"] for each in state(snapshots)["workers"]}
    assert problems == {"nothing was heard of it for 6 s"}


@pytest.fixture(scope="module")
def served(start_shared: Start) -> Served:
    """A server of two workers with an admin port."""
    return start_shared(workers=2, admin=LOCAL, settle=0)


def counted(served: Served, query: str = "") -> dict[str, float]:
    """Return how many calls each worker has answered, by its place; of all, under no name."""
    parse: Any = text_string_to_metric_families
    found: dict[str, float] = {}
    for each in parse(asked(served.admin_target, f"/metrics{query}")[2].decode()):
        for sample in each.samples:
            if sample.name == CALLS:
                worker = sample.labels.get("worker", "")
                found[worker] = found.get(worker, 0) + sample.value
    return found


def eventually(true: Callable[[], Any]) -> None:
    """Wait until something is true."""
    until = time.monotonic() + 30
    while not true():
        assert time.monotonic() < until, "not in time"
        time.sleep(0.05)


def test_two_workers(served: Served) -> None:
    """The one port tells of both workers, and of one that was killed too."""
    calls = 0
    answered: set[str] = set()
    while len(answered) < 2:
        answered.add(served.get("/v1/operations/0/a")[2]["name"].rpartition("/")[2])
        calls += 1
    eventually(lambda: counted(served) == {"": calls})
    apart = counted(served, "?by=worker")
    assert set(apart) == {"0", "1"}
    assert sum(apart.values()) == calls

    status, _, text = asked(served.admin_target, "/readyz")
    told = json.loads(text)
    assert (status, told["status"]) == (200, "SERVING")
    assert {each["pid"] for each in told["workers"]} == served.workers()
    for each in told["workers"]:
        assert [check["name"] for check in each["checks"]] == ["http", "grpc"]

    os.kill(told["workers"][0]["pid"], signal.SIGKILL)
    eventually(lambda: asked(served.admin_target, "/readyz")[0] == 503)
    eventually(lambda: asked(served.admin_target, "/readyz")[0] == 200)
    assert counted(served, "?by=worker") == apart


def test_in_use(start: Start, served: Served) -> None:
    """An address that somebody else has is one line, before any worker starts."""
    second = start(workers=2, admin=served.admin_target)

    assert second.ended() == 1
    assert second.errors() == f"Error: admin: {served.admin_target} is in use\n"
