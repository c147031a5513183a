"""How long the processor takes just now, against the one that gates in microseconds are for.

A shared processor's speed changes by the half from one minute to the next, as neighbours use its
caches and its other threads; a gate of CPU time says nothing then. So a script that has one times
the standard library's reading of a query between its rounds, which is work of the same kind, and
allows as much more as that takes. It must be alone on the machine all the same.

    >>> stick = Yardstick()
    >>> stick.measure()
    >>> stick.slowness >= 1
    True
"""

from __future__ import annotations

import time
from typing import Final
from urllib.parse import parse_qsl

REFERENCE: Final = 4.0e-6
"""CPU seconds of one reading on a core on which uvicorn's own floor (`one_user.py`) is 36 us."""

_QUERY = "page_size=50&pageToken=abc&filter=title&show_deleted=true"
_TURNS = 200


class Yardstick:
    """The least that it took so far, as a best of several rounds is the least too."""

    def __init__(self) -> None:
        self._least = float("inf")

    def measure(self) -> None:
        """Take a round, of a millisecond."""
        start = time.process_time()
        for _ in range(_TURNS):
            parse_qsl(_QUERY)
        self._least = min(self._least, (time.process_time() - start) / _TURNS)

    @property
    def slowness(self) -> float:
        """How many times as long as the reference the processor takes; 1 for a faster one."""
        return max(1.0, self._least / REFERENCE)

    def __str__(self) -> str:
        return f"limits are {self.slowness:.2f} times those of the reference: see yardstick.py"
