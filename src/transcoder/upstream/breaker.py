"""A circuit breaker: calls to a backend that fails are refused at once, until it has recovered.

    closed      calls pass. Too many faults in a row, or too large a share of them, open it.
    open        calls are refused. After a pause the next one makes it half-open.
    half-open   exactly as many calls pass as there are probes. When all of them went well it
                closes; the first that did not opens it again.

Only what is the backend's fault counts. A call that was given up says nothing: its probe is given
to the next. What calls say that began before the last change of state says nothing either, for it
is of another time. The clock is handed in.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final

from transcoder.errors import ConfigError

_BUCKETS: Final = 10


class State(enum.Enum):
    """Of a breaker; the text is for logs and metrics."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When a breaker opens, and when it closes.

    Args:
        consecutive: faults in a row that open it.
        ratio: share of faults among the calls of the window that opens it.
        least: calls that the window must have for that.
        window: seconds that the ratio looks back.
        pause: seconds until an open breaker tries a probe.
        probes: calls at once that try whether the backend has recovered.

    Raises:
        ConfigError: one of them is not above 0, or the ratio above 1.
    """

    consecutive: int = 5
    ratio: float = 0.5
    least: int = 20
    window: float = 10.0
    pause: float = 0.5
    probes: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        numbers = self.consecutive, self.ratio, self.least, self.window, self.pause, self.probes
        if not all(each > 0 for each in numbers) or self.ratio > 1:
            raise ConfigError("breaker: numbers above 0 are expected, and a ratio of at most 1")


DEFAULT_THRESHOLDS: Final = Thresholds()


class Breaker:
    """One breaker; pure.

    Args:
        thresholds: when it opens, and when it closes.

    >>> breaker = Breaker(Thresholds(consecutive=1))
    >>> breaker.failed(breaker.admit(0.0), 0.1)
    >>> breaker.state, breaker.admit(0.2), breaker.retry_after(0.2)
    (<State.OPEN: 'open'>, None, 0.4)
    """

    __slots__ = (
        "_buckets",
        "_opened",
        "_probing",
        "_row",
        "_thresholds",
        "_turn",
        "_width",
        "_worked",
        "state",
    )

    def __init__(self, thresholds: Thresholds = DEFAULT_THRESHOLDS) -> None:
        self.state = State.CLOSED
        self._thresholds = thresholds
        self._width = thresholds.window / _BUCKETS
        self._turn = 0
        self._row = self._probing = self._worked = 0
        self._begin(State.CLOSED, 0.0)

    def admit(self, now: float) -> int | None:
        """Return what a call that may pass is to be reported with; None for one that may not."""
        if self.state is State.OPEN:
            if now < self._opened + self._thresholds.pause:
                return None
            self._begin(State.HALF_OPEN, now)
        if self.state is State.HALF_OPEN:
            if self._probing + self._worked >= self._thresholds.probes:
                return None
            self._probing += 1
        return self._turn

    def worked(self, turn: int | None, now: float) -> None:
        """Take note of a call that was no fault of the backend's.

        Args:
            turn: what `admit` returned.
            now: when it ended.
        """
        if turn != self._turn:
            return
        if self.state is State.HALF_OPEN:
            self._probing -= 1
            self._worked += 1
            if self._worked >= self._thresholds.probes:
                self._begin(State.CLOSED, now)
            return
        self._row = 0
        self._bucket(now)[0] += 1

    def failed(self, turn: int | None, now: float) -> None:
        """Take note of a call that was; as `worked`."""
        if turn != self._turn:
            return
        if self.state is State.HALF_OPEN:
            self._begin(State.OPEN, now)
            return
        self._row += 1
        bucket = self._bucket(now)
        bucket[0] += 1
        bucket[1] += 1
        if self._row >= self._thresholds.consecutive or self._is_over():
            self._begin(State.OPEN, now)

    def gave_up(self, turn: int | None) -> None:
        """Take note of a call that says nothing."""
        if turn == self._turn and self.state is State.HALF_OPEN:
            self._probing -= 1

    def retry_after(self, now: float) -> float:
        """Return the seconds until a call may pass, as far as it is known."""
        return round(max(0.0, self._opened + self._thresholds.pause - now), 6)

    def _begin(self, state: State, now: float) -> None:
        self.state = state
        self._turn += 1
        self._opened = now
        self._row = self._probing = self._worked = 0
        self._buckets: dict[int, list[int]] = {}

    def _bucket(self, now: float) -> list[int]:
        """Return the counts of this moment: calls, and faults among them."""
        number = math.floor(now / self._width)
        if number not in self._buckets:
            kept = self._buckets.items()
            self._buckets = {key: counts for key, counts in kept if key > number - _BUCKETS}
            self._buckets[number] = [0, 0]
        return self._buckets[number]

    def _is_over(self) -> bool:
        calls = sum(counts[0] for counts in self._buckets.values())
        faults = sum(counts[1] for counts in self._buckets.values())
        return calls >= self._thresholds.least and faults >= calls * self._thresholds.ratio
