"""Lines on their way to a file or a pipe, off the event loop.

A thread writes them, so that a disk that is full or a pipe that nobody reads holds up nobody else.
What is not written waits in a queue that has an end: beyond it lines are dropped, and counted.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Final, Generic, TypeVar

T = TypeVar("T")

QUEUE: Final = 10_000
"""Lines that wait, at most."""

STDOUT: Final = "-"
"""Stands for the process's standard output."""

_BATCH: Final = 256
_LOOK: Final = 1.0
_LEAST_PAUSE: Final = 0.05


class Sink(Generic[T]):
    """Writes what it is given, in the order in which it comes.

    Args:
        path: of a file, which is begun anew when somebody has moved it away; or STDOUT.
        render: makes a line of what is given; it runs on the thread.
        queue: how many wait, at most.
    """

    def __init__(self, path: str | Path, render: Callable[[T], bytes], queue: int = QUEUE) -> None:
        self.dropped = 0
        """Lines that were not written, and never will be."""
        self._path = str(path)
        self._render = render
        self._queue: deque[T] = deque()
        self._limit = queue
        self._awake = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._descriptor = -1
        self._opened: tuple[int, int] = (0, 0)
        self._looked = float("-inf")

    @property
    def is_terminal(self) -> bool:
        """Whether a person reads it."""
        return self._path == STDOUT and sys.stdout.isatty()

    def put(self, item: T) -> None:
        """Have something written, or dropped when too much waits."""
        if len(self._queue) >= self._limit:
            self.dropped += 1
            return
        self._queue.append(item)
        if self._thread is None:
            self._begin()
        if not self._awake.is_set():
            self._awake.set()

    def close(self, seconds: float = 1.0) -> None:
        """Write what waits; return when it is written, or after so many seconds."""
        self._closing = True
        self._awake.set()
        if self._thread is not None:
            self._thread.join(seconds)
            if self._thread.is_alive():
                self.dropped += len(self._queue)

    def _begin(self) -> None:
        # A daemon: a pipe that nobody reads does not keep a process alive.
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        while True:
            self._awake.wait()
            self._awake.clear()
            while self._queue:
                self._write_some()
            if self._closing:
                self._close_file()
                return
            # Many lines in one write cost less than each its own.
            time.sleep(_LEAST_PAUSE)

    def _write_some(self) -> None:
        items = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
        lines = []
        for item in items:
            try:
                lines.append(self._render(item))
            except Exception:  # noqa: BLE001  a record that cannot be told is one line, not all
                self.dropped += 1
        data, count = b"".join(lines), len(lines)
        try:
            self._look()
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self.dropped += data.count(b"\n") if data else count
            self._close_file()

    def _look(self) -> None:
        """Open the file, if it is not open or no longer the one of its name."""
        if self._path == STDOUT:
            self._descriptor = sys.stdout.fileno()
            return
        now = time.monotonic()
        if self._descriptor >= 0 and now - self._looked < _LOOK:
            return
        self._looked = now
        with contextlib.suppress(OSError):
            found = os.stat(self._path)  # noqa: PTH116  its descriptor's stat is compared with it
            if self._descriptor >= 0 and (found.st_dev, found.st_ino) == self._opened:
                return
        self._close_file()
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(self._path, flags, 0o640)
        opened = os.fstat(self._descriptor)
        self._opened = opened.st_dev, opened.st_ino

    def _close_file(self) -> None:
        if self._path != STDOUT and self._descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
        self._descriptor = -1
