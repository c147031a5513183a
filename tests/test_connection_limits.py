from __future__ import annotations

import resource

import pytest

from transcoder.connection_limits import ConnectionLimits, Connections
from transcoder.errors import ConfigError


def test_total() -> None:
    """There are as many connections as may be; when one closes there may be another."""
    connections: Connections[int] = Connections(ConnectionLimits(total=2))
    assert [connections.admit(index, "a", 0.0) for index in range(3)] == ["", "", "total"]
    connections.forget(0)
    assert connections.admit(3, "a", 0.0) == ""
    assert len(connections) == 2


def test_per_address() -> None:
    """From each address there are as many as may be; clients of a Unix socket have none."""
    connections: Connections[int] = Connections(ConnectionLimits(total=9, per_address=1))
    told = [connections.admit(index, address, 0.0) for index, address in enumerate("abab")]
    assert told == ["", "", "address", "address"]
    connections.forget(0)
    assert connections.admit(5, "a", 0.0) == ""
    assert [connections.admit(index, "", 0.0) for index in (6, 7)] == ["", ""]


def test_first_head() -> None:
    """The head of the first request is overdue when it has not come in time, bytes or none."""
    connections: Connections[str] = Connections(ConnectionLimits(head=10))
    for name in ("silent", "slow", "quick"):
        connections.admit(name, "a", 0.0)
    connections.head_began("slow", 9.0)
    connections.head_came("quick")
    assert connections.overdue(9.9) == ([], [])
    assert connections.overdue(10.0) == (["silent", "slow"], [])


def test_further_heads() -> None:
    """That of a further one, from its first byte on: between requests a client may be silent."""
    connections: Connections[str] = Connections(ConnectionLimits(head=10))
    connections.admit("a", "a", 0.0)
    connections.head_came("a")
    assert connections.overdue(100.0) == ([], [])
    connections.head_began("a", 100.0)
    connections.head_began("a", 105.0)
    assert connections.overdue(110.0) == (["a"], [])


def test_stall() -> None:
    """A client that does not read is overdue in the end, unless it does again."""
    connections: Connections[str] = Connections(ConnectionLimits(stall=60))
    connections.admit("a", "a", 0.0)
    connections.head_came("a")
    connections.stalled("a", 0.0)
    connections.reads("a")
    connections.stalled("a", 50.0)
    assert connections.overdue(60.0) == ([], [])
    assert connections.overdue(110.0) == ([], ["a"])


def test_forgotten() -> None:
    """Of a connection that is closed, or was never taken, nothing is kept."""
    connections: Connections[str] = Connections()
    connections.admit("a", "a", 0.0)
    connections.stalled("a", 0.0)
    connections.forget("a")
    connections.forget("a")
    connections.head_began("b", 0.0)
    connections.stalled("b", 0.0)
    assert connections.overdue(1000.0) == ([], [])


def test_default() -> None:
    """Half of the files that a process may open are for connections, ten thousand at most."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(512, hard), hard))
        assert ConnectionLimits().total == 256
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert ConnectionLimits().total <= 10_000


@pytest.mark.parametrize(
    "options", [{"total": -1}, {"per_address": -1}, {"head": 0.0}, {"stall": -1.0}]
)
def test_wrong_options(options: dict[str, float]) -> None:
    """Numbers that make no sense are told at start."""
    with pytest.raises(ConfigError, match="connections: counts from 0"):
        ConnectionLimits(**options)  # type: ignore[arg-type]
