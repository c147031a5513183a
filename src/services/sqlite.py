"""Connections to SQLite, each on a thread of the driver's, ready for many who write at once."""

from __future__ import annotations

import asyncio
import collections
import sqlite3
import threading
import time
from typing import Any

_WAIT = 5
"""Seconds to wait for others who write."""
_PRAGMAS = (
    f"busy_timeout={_WAIT * 1000}",  # First: those behind it wait by it.
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "foreign_keys=ON",
)


class Connector:
    """Makes connections, as the `factory` of `sqlite3.connect`."""

    def __init__(self) -> None:
        self._failed: collections.deque[threading.Thread] = collections.deque(maxlen=100)

    def __call__(self, *arguments: Any, **options: Any) -> sqlite3.Connection:
        """Return a connection; runs on the thread that will serve it."""
        try:
            return _connected(*arguments, **options)
        except BaseException:
            self._failed.append(threading.current_thread())
            raise

    async def close(self) -> None:
        """Wait for the threads whose connections failed.

        The driver tells them to end and goes on; they would report their end to a closed loop.
        """
        while self._failed:
            await asyncio.to_thread(self._failed.popleft().join)


def _connected(*arguments: Any, **options: Any) -> sqlite3.Connection:
    connection = sqlite3.Connection(*arguments, **options)
    try:
        for pragma in _PRAGMAS:
            _set(connection, pragma)
    except BaseException:
        connection.close()
        raise
    return connection


def _set(connection: sqlite3.Connection, pragma: str) -> None:
    until = time.monotonic() + _WAIT
    while _is_refused(connection, pragma, last=time.monotonic() > until):
        time.sleep(0.01)


def _is_refused(connection: sqlite3.Connection, pragma: str, *, last: bool) -> bool:
    try:
        connection.execute(f"PRAGMA {pragma}").close()
    except sqlite3.OperationalError as error:
        # Two who turn one file to WAL could block each other: the second is refused at once,
        # whatever the timeout, and has to come back.
        if last or error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
            raise
        return True
    return False
