"""Which processes that tests start are measured for coverage: those that a test asks for alone.

To be measured, a process takes twice as long to start, and most are started for what they do.
"""

from __future__ import annotations

import os

_told: dict[str, str] = {}


def measure_no_process() -> None:
    """Let processes that are started from now on be measured only when they are told so."""
    for key in [key for key in os.environ if key.startswith("COVERAGE_PROCESS_")]:
        _told[key] = os.environ.pop(key)


def measured() -> dict[str, str]:
    """Return the environment of a process that is measured, if this one is."""
    return {**os.environ, **_told}
