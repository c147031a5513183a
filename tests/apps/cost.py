"""What a call costs, for tests that bound what one client can make a server do."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

BOUND = float(os.environ.get("BOUND", "0.2"))
"""Seconds of a processor that no single request may take.

What is meant is half of it, with which `benchmarks/loop_held.py` runs these tests on a quiet
machine. Here neighbours use the same caches, and the same core's other thread: the same work has
been seen to take twice its seconds.
"""


def cost(call: Callable[[], object], bound: float = BOUND) -> float:
    """Return the CPU seconds that a call takes on this thread: the least of a few tries.

    Neighbours on the same machine or a collection of garbage only ever add to it; a tracer, which
    would add most, is off meanwhile.

    Args:
        call: what is measured.
        bound: what it shall stay below; once it does, it is not tried again.
    """
    taken = []
    with untraced():
        for _ in range(5):
            start = time.thread_time()
            call()
            taken.append(time.thread_time() - start)
            if taken[-1] < bound:
                break
    return min(taken)


@contextmanager
def untraced() -> Iterator[None]:
    """Keep a tracer, such as one that measures coverage, from what happens meanwhile."""
    tracer = sys.gettrace()
    sys.settrace(None)
    try:
        yield
    finally:
        sys.settrace(tracer)
