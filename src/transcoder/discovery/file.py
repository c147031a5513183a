"""Endpoints in a file, which whoever deploys the backend writes.

It is looked at every second. What has changed is read when it has not changed again for a second,
for not everybody replaces a file in one step.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final, TypeAlias

from transcoder.discovery.listed import read_endpoints
from transcoder.discovery.source import Answer, Endpoint, Unknown
from transcoder.errors import ConfigError

PERIOD: Final = 1.0
"""Seconds between two looks."""

_LIMIT: Final = 1 << 20

_State: TypeAlias = "tuple[int, int, int]"


class EndpointFile:
    """The endpoints that a file lists; see `read_endpoints`.

    Args:
        path: of the file, which may be missing for now.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._read: _State | None = None
        self._pending: _State | None = None
        self._found: tuple[Endpoint, ...] | ConfigError = ()

    @property
    def name(self) -> str:
        """The path."""
        return str(self._path)

    async def look(self) -> Answer:
        """Return the endpoints; see `Source`."""
        return await asyncio.to_thread(self._look)

    def _look(self) -> Answer:
        try:
            state = _state(self._path)
            # What is read first has nothing before it that could stay meanwhile.
            if state != self._read and (self._read is None or state == self._pending):
                self._found = self._load()
                self._read = state
            self._pending = state
        except (OSError, UnicodeDecodeError) as error:
            self._read = self._pending = None
            raise Unknown(getattr(error, "strerror", None) or "it is not UTF-8") from None
        if isinstance(self._found, ConfigError):
            raise Unknown(str(self._found))
        return Answer(self._found, PERIOD)

    def _load(self) -> tuple[Endpoint, ...] | ConfigError:
        with self._path.open("rb") as file:
            data = file.read(_LIMIT + 1)
        if len(data) > _LIMIT:
            return ConfigError(f"over {_LIMIT} bytes")
        try:
            return read_endpoints(data.decode(), self._path.name)
        except ConfigError as error:
            return error


def _state(path: Path) -> _State:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino, found.st_size
