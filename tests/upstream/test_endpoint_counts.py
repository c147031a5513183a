from __future__ import annotations

from transcoder.upstream.endpoint_counts import LIMIT, OTHERS, EndpointCounts


def test_each() -> None:
    """Each endpoint has a count of its own."""
    counts = EndpointCounts()
    for address in ("a:1", "b:1", "a:1"):
        counts.count(address, {"a:1", "b:1"})

    assert dict(counts.told()) == {"a:1": 2, "b:1": 1}


def test_many() -> None:
    """Of more endpoints than are told apart, the others are one."""
    counts = EndpointCounts()
    known = [f"a:{number}" for number in range(LIMIT + 10)]
    for address in known:
        counts.count(address, known)

    assert len(counts.told()) == LIMIT + 1
    assert dict(counts.told())[OTHERS] == 10


def test_some_that_have_gone() -> None:
    """Those that are no longer there give way to those that are, and no call is lost."""
    counts = EndpointCounts()
    for number in range(500):
        counts.count(f"a:{number}", {f"a:{number}"})
    told = dict(counts.told())

    assert len(told) <= LIMIT + 1
    assert told["a:499"] == 1
    assert sum(told.values()) == 500
