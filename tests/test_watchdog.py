from __future__ import annotations

import asyncio
import inspect
import logging
import threading
import time
from typing import Any

import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc

from entrances import open_doors
from scraping import LOCAL, asked, scraped
from transcoder import Gateway
from transcoder.measured import Reading, Spread
from transcoder.watchdog import BOUNDS, Watchdog

BLOCKED = "transcoder_event_loop_blocked_total"
LAG = "transcoder_event_loop_lag_seconds_count"


class Blocking(operations_pb2_grpc.OperationsServicer):
    async def GetOperation(self, request: Any, context: Any) -> Any:
        """Block the event loop."""
        time.sleep(1.5)  # noqa: ASYNC251  that is the fault
        return operations_pb2.Operation(name=request.name)


def line_of(method: Any, text: str) -> int:
    """Return the number of the line of a method that has this text."""
    lines, first = inspect.getsourcelines(method)
    return next(first + number for number, line in enumerate(lines) if text in line)


def test_blocking_servicer(caplog: pytest.LogCaptureFixture) -> None:
    """A servicer that blocks the loop for over a second is named by its line, once, and counts."""
    gateway = Gateway()
    operations_pb2_grpc.add_OperationsServicer_to_server(Blocking(), gateway)  # type: ignore[no-untyped-call]

    async def all_of_it() -> Any:
        async with asyncio.timeout(50), open_doors(gateway, admin=LOCAL) as listening:
            assert listening.admin is not None
            rest, admin = listening.http.target, listening.admin.target
            await asyncio.to_thread(asked, rest, "/v1/operations/a")
            return scraped((await asyncio.to_thread(asked, admin, "/metrics"))[2])

    with caplog.at_level(logging.WARNING, "transcoder.watchdog"):
        found = asyncio.run(all_of_it())

    (record,) = [each for each in caplog.records if each.name == "transcoder.watchdog"]
    innermost = record.getMessage().partition(": ")[2].partition(" < ")[0]
    line = line_of(Blocking.GetOperation, "time.sleep")
    assert innermost == f"{__file__}:{line} Blocking.GetOperation"
    assert "\n" not in record.getMessage()
    assert found[BLOCKED,] == 1
    assert found[LAG,] > 0


async def watch(seconds: float, limit: float) -> Watchdog:
    """Return what has watched a loop that was blocked for so long."""
    watchdog = Watchdog(asyncio.get_running_loop(), limit)
    lag, _ = watchdog.readings()
    while not sum(lag.counts if isinstance(lag, Spread) else ()):
        await asyncio.sleep(0.01)
        lag, _ = watchdog.readings()
    time.sleep(seconds)  # noqa: ASYNC251  that is the fault
    await asyncio.sleep(0.01)
    watchdog.stop()
    return watchdog


def test_lag() -> None:
    """How late the loop is, is told as a histogram, with what it was late in all."""
    lag, blocked = asyncio.run(watch(0.6, 20)).readings()

    assert isinstance(lag, Spread)
    assert sum(lag.counts) >= 2
    assert sum(lag.counts[BOUNDS.index(0.25) + 1 :]) >= 1
    assert lag.total > 0.25
    assert isinstance(blocked, Reading)
    assert blocked.value == 0


def test_each_block() -> None:
    """A block counts once, however long it is."""
    assert asyncio.run(watch(0.6, 0.3)).blocked == 1


def test_end() -> None:
    """The thread ends with the loop, whether it was stopped or not."""

    async def begin() -> None:
        Watchdog(asyncio.get_running_loop(), 0.05)

    before = set(threading.enumerate())
    asyncio.run(begin())
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()
