"""Sees when the event loop is late, and what blocks it.

A thread of its own asks the loop for a sign of life ten times a second; how long that takes is the
loop's lag. No request is any slower for it. When no sign comes, the thread looks what the loop's
thread does, and logs that once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import threading
import time
from bisect import bisect_left
from collections.abc import Iterator
from types import FrameType
from typing import Final

from transcoder.generations import Generations
from transcoder.measured import Metric, Reading, Readings, Spread

LIMIT: Final = 1.0
"""Seconds without a sign of life after which a loop counts as blocked."""

TICK: Final = 0.1
"""Seconds between two questions."""

BOUNDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the lag, in seconds."""

DEPTH: Final = 24
"""Calls of a stack that are logged, the innermost ones."""

_LAG: Final = Metric(
    "transcoder_event_loop_lag_seconds", "How long what is ready waits for the event loop."
)
_BLOCKED: Final = Metric(
    "transcoder_event_loop_blocked", "Times that it was blocked for over a second.", rises=True
)

_log = logging.getLogger(__name__)


class Watchdog:
    """Watches the loop of the thread that makes it.

    Args:
        loop: which.
        limit: seconds after which it counts as blocked.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, limit: float = LIMIT) -> None:
        self._loop = loop
        self._limit = limit
        self._watched = threading.get_ident()
        self._stopping = threading.Event()
        self._lives = threading.Event()
        self._counts = [0] * (len(BOUNDS) + 1)
        self._total = 0.0
        self.blocked = 0
        """How often it was."""
        threading.Thread(target=self._watch, name="watchdog", daemon=True).start()

    def stop(self) -> None:
        """Watch no longer."""
        self._stopping.set()
        self._lives.set()

    def readings(self) -> Readings:
        """Tell of the lag; see `Measured`."""
        spread = Spread(_LAG, BOUNDS, list(self._counts), self._total)
        return spread, Reading(_BLOCKED, self.blocked)

    def _watch(self) -> None:
        while not self._stopping.wait(TICK):
            self._lives.clear()
            try:
                self._loop.call_soon_threadsafe(self._live, time.monotonic())
            except RuntimeError:
                # It is closed.
                return
            if not self._lives.wait(self._limit) and not self._is_over():
                self._tell()
                while not self._lives.wait(TICK) and not self._is_over():
                    pass

    def _is_over(self) -> bool:
        return self._stopping.is_set() or self._loop.is_closed()

    def _live(self, asked: float) -> None:
        lag = time.monotonic() - asked
        self._counts[bisect_left(BOUNDS, lag)] += 1
        self._total += lag
        self._lives.set()

    def _tell(self) -> None:
        self.blocked += 1
        # Its thread is in there now: what it does is what blocks.
        frame = sys._current_frames().get(self._watched)  # noqa: SLF001  documented, if named so
        text = "the event loop is blocked for more than %g s: %s"
        _log.warning(text, self._limit, " < ".join(_calls(frame)))


def _calls(frame: FrameType | None) -> Iterator[str]:
    """Yield where each call of a stack is, the innermost first."""
    for _ in range(DEPTH):
        if frame is None:
            return
        yield f"{frame.f_code.co_filename}:{frame.f_lineno} {frame.f_code.co_qualname}"
        frame = frame.f_back


@contextlib.contextmanager
def watched(generations: Generations) -> Iterator[None]:
    """Watch the running loop, which serves gateways, and have them tell of it."""
    watchdog = Watchdog(asyncio.get_running_loop())
    generations.measure(watchdog)
    try:
        yield
    finally:
        watchdog.stop()
        generations.unmeasure(watchdog)
