from __future__ import annotations

import random
import subprocess
import sys

import pytest

from transcoder.policies.gcra import Gcra
from transcoder.policies.rates import Rate, Taken


def passed(limiter: Gcra, key: bytes, moments: list[float]) -> int:
    """Return how many of the calls at these moments may go on."""
    return sum(limiter.take(key, now).allowed for now in moments)


@pytest.mark.parametrize(("limit", "burst"), [(100, 100), (100, 10), (1, 1), (1000, 1)])
def test_burst(limit: int, burst: int) -> None:
    """After a pause, exactly as many calls may come at once as the burst says."""
    limiter = Gcra(Rate(limit=limit, per=60, burst=burst))
    assert passed(limiter, b"a", [5.0] * (2 * burst)) == burst


def test_rate() -> None:
    """Calls that come at the rate all go on, for as long as they like."""
    limiter = Gcra(Rate(limit=10, per=1, burst=1))
    assert passed(limiter, b"a", [index / 10 for index in range(1000)]) == 1000


def test_twice_the_rate() -> None:
    """Of calls at twice the rate every other one goes on."""
    limiter = Gcra(Rate(limit=10, per=1, burst=1))
    assert passed(limiter, b"a", [index / 20 for index in range(1000)]) == 500


def test_edge_of_a_window() -> None:
    """In any stretch of its time, a limit lets through itself and its burst, and no more."""
    limiter, limit = Gcra(Rate(limit=100, per=1)), 100
    source = random.Random(7)
    moments = sorted(source.uniform(0, 10) for _ in range(20_000))
    gone = [now for now in moments if limiter.take(b"a", now).allowed]
    most = max(sum(start <= now < start + 1 for now in gone) for start in gone)
    assert most <= limit * 1.1


def test_told() -> None:
    """A limiter says how many more could come, when all could, and when the next may."""
    limiter = Gcra(Rate(limit=2, per=1, burst=2))
    assert limiter.take(b"a", 0.0) == Taken(allowed=True, remaining=1, reset=0.5, retry_after=0.0)
    assert limiter.take(b"a", 0.0) == Taken(allowed=True, remaining=0, reset=1.0, retry_after=0.0)
    assert limiter.take(b"a", 0.25) == Taken(
        allowed=False, remaining=0, reset=0.75, retry_after=0.25
    )


def test_refused_calls_cost_nothing() -> None:
    """Refused calls do not put off the next one that may go on."""
    limiter = Gcra(Rate(limit=1, per=1, burst=1))
    limiter.take(b"a", 0.0)
    passed(limiter, b"a", [index / 1000 for index in range(1000)])
    assert limiter.take(b"a", 1.0).allowed


def test_keys() -> None:
    """Each key has a budget of its own."""
    limiter = Gcra(Rate(limit=1, per=1, burst=1))
    assert [limiter.take(key, 0.0).allowed for key in (b"a", b"b", b"a")] == [True, True, False]


def test_clock_that_stands() -> None:
    """A clock that is set back takes nothing away and gives nothing."""
    limiter = Gcra(Rate(limit=1, per=1, burst=1))
    limiter.take(b"a", 100.0)
    refused = limiter.take(b"a", 99.0)
    assert (refused.allowed, refused.retry_after) == (False, 2.0)
    assert limiter.take(b"a", 101.0).allowed


def test_capacity() -> None:
    """There are never more keys than the capacity, whatever comes."""
    limiter = Gcra(Rate(limit=1, per=1000, burst=1), capacity=100)
    source = random.Random(7)
    for index in range(20_000):
        limiter.take(b"%d" % source.randrange(5000), index / 10)
        assert len(limiter) <= 100


def test_hot_key() -> None:
    """A key in use stays known however many others come once."""
    limiter = Gcra(Rate(limit=10, per=1000, burst=10), capacity=100)
    allowed = 0
    for index in range(50_000):
        limiter.take(b"%d" % index, index / 1000)
        if index % 50 == 0:
            allowed += limiter.take(b"hot", index / 1000).allowed
    assert allowed == 10


def test_full_first() -> None:
    """A key that has its whole budget again is forgotten before one that has not."""
    limiter = Gcra(Rate(limit=10, per=100, burst=10), capacity=4)
    for _ in range(10):
        limiter.take(b"spent", 0.0)
    for key in (b"a", b"b", b"c"):
        limiter.take(key, 1.0)
    # By now the three have theirs; the first one, which came longest ago, has not.
    limiter.take(b"d", 50.0)
    assert limiter.take(b"spent", 50.0).remaining == 4


@pytest.mark.parametrize("others", [0, 3, 1000])
def test_few_keys_take_little(others: int) -> None:
    """Keys that are used on and on take no more memory for it, whoever came before them."""
    limiter = Gcra(Rate(limit=1000, per=1, burst=100))
    for index in range(others):
        limiter.take(b"%d" % index, 0.0)
    for turn in range(20_000):
        limiter.take(b"a" if turn % 3 else b"b", turn / 500)

    assert len(limiter) == 2
    assert len(limiter._slots) == len(limiter._earliest) < 200


def test_as_if_nothing_was_forgotten() -> None:
    """What is forgotten changes no answer: a limiter of one number for each key says the same."""
    rate = Rate(limit=50, per=1, burst=5)
    limiter, arrivals = Gcra(rate), dict[bytes, float]()
    source, now = random.Random(3), 0.0
    for _ in range(20_000):
        now += source.expovariate(400)
        key = b"%d" % source.randrange(12)
        following = max(arrivals.get(key, 0.0), now) + 1 / 50
        allowed = following - now - 5 / 50 <= 1e-9
        if allowed:
            arrivals[key] = following
        assert limiter.take(key, now).allowed is allowed


MILLION = """
from pathlib import Path
from resource import getpagesize
from transcoder.policies.gcra import Gcra
from transcoder.policies.rates import Rate

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * getpagesize()

limiter = Gcra(Rate(limit=1, per=3600, burst=1))
before = resident()
for index in range(1_000_000):
    limiter.take(index.to_bytes(16), index / 1000)
print(len(limiter), resident() - before)
"""


def test_memory() -> None:
    """A million keys take 100 MB at most, and no more than the capacity are remembered."""
    # In a process of its own, for what others have freed there it could not be told.
    done = subprocess.run(
        [sys.executable, "-c", MILLION], capture_output=True, text=True, check=True, timeout=200
    )
    remembered, grown = map(int, done.stdout.split())

    assert remembered == 250_000
    assert grown < 100 << 20
