"""The generic cell rate algorithm (ITU-T I.371): a limiter that remembers one number a key.

That number is the theoretical arrival time: when the next call would come, if calls came exactly at
the rate. A call may come before it, by as much as the burst allows. A key whose time has passed is
as one that was never seen, so it need not be remembered: those are forgotten first when there are
too many, and then the ones that came longest ago.

Which times have passed is known without looking at all: keys are filed by the time slot in which
theirs will have.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import Final

from transcoder.policies.rates import Rate, Taken

CAPACITY: Final = 250_000
"""Keys that are remembered at most; each takes about 200 bytes."""

_SLOTS = 64
_AT_ONCE = 64
"""Keys and slots that one call looks at, to forget them, where there are too many keys."""

_A_FEW = 4
"""The same, wherever there is a slot more."""

_HAIR = 1e-9
_new = tuple.__new__


class Gcra:
    """Counts calls in this process; exact, for nothing happens between looking and counting.

    Args:
        rate: of each key.
        capacity: keys that are remembered.

    >>> limiter = Gcra(Rate(limit=2, per=1, burst=1))
    >>> [limiter.take(b"ann", now).allowed for now in (0.0, 0.1, 0.5)]
    [True, False, True]
    """

    def __init__(self, rate: Rate, capacity: int = CAPACITY) -> None:
        self._interval = rate.per / rate.limit
        self._tolerance = self._interval * rate.burst
        self._capacity = capacity
        self._slot = max(self._tolerance / _SLOTS, self._interval)
        self._arrivals: OrderedDict[bytes, float] = OrderedDict()
        self._slots: dict[int, dict[bytes, None]] = {}
        self._earliest: list[int] = []

    def __len__(self) -> int:
        """Return how many keys are remembered."""
        return len(self._arrivals)

    def take(self, key: bytes, now: float) -> Taken:
        """Count one call, if it may go on; see `Limiter`."""
        known = self._arrivals.get(key)
        arrival = now if known is None or known < now else known
        following = arrival + self._interval
        early = following - now - self._tolerance
        if early > _HAIR:
            self._arrivals.move_to_end(key)
            return Taken(allowed=False, remaining=0, reset=arrival - now, retry_after=early)
        if known is None:
            self._make_room(now)
        self._remember(key, known, following, now)
        remaining = int((self._tolerance - (following - now) + _HAIR) / self._interval)
        # Naming the four would cost more than all the rest here.
        return _new(Taken, (True, remaining, following - now, 0.0))

    def _remember(self, key: bytes, known: float | None, arrival: float, now: float) -> None:
        self._arrivals[key] = arrival
        slot = int(arrival / self._slot)
        if known is not None:
            self._arrivals.move_to_end(key)
            before = int(known / self._slot)
            if before == slot:
                return
            self._slots[before].pop(key)
        if slot not in self._slots:
            # For each slot that comes, several may go: also where all calls are of a few keys.
            self._forget(now, _A_FEW)
            self._slots[slot] = {}
            heapq.heappush(self._earliest, slot)
        self._slots[slot][key] = None

    def _make_room(self, now: float) -> None:
        if len(self._arrivals) >= self._capacity:
            self._forget(now, _AT_ONCE)
        if len(self._arrivals) >= self._capacity:
            key, arrival = self._arrivals.popitem(last=False)
            self._slots[int(arrival / self._slot)].pop(key)

    def _forget(self, now: float, most: int) -> None:
        """Forget keys whose time has passed, and slots without a key, the earliest first."""
        current = int(now / self._slot)
        for _ in range(most):
            if not self._earliest:
                return
            slot = self._earliest[0]
            filed = self._slots[slot]
            if not filed:
                heapq.heappop(self._earliest)
                del self._slots[slot]
            elif slot < current:
                # Every time that is filed here has passed.
                del self._arrivals[filed.popitem()[0]]
            else:
                return
