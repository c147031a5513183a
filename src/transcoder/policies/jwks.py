"""Where an issuer's keys come from: a value, a file, or what it publishes."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, Protocol, TypeAlias

from transcoder.errors import ConfigError
from transcoder.policies.key_set import KeySet
from transcoder.policies.published import Published, Rotation

JWKS_LIMIT: Final = 1 << 20
"""Bytes of a key set, or of what an issuer says of itself."""

Read: TypeAlias = Callable[[bytes], KeySet]

_LOOKED = 1.0
"""Seconds between two looks at a file."""

_log = logging.getLogger(__name__)


class Unavailable(Exception):
    """Keys did not come; the text says why, for the log."""


class Fetch(Protocol):
    """Gets a key set from where it is published."""

    async def __call__(self) -> bytes:
        """Return it as it came.

        Raises:
            Unavailable: it did not.
        """
        ...


class Keys(Protocol):
    """The keys of one issuer."""

    def current(self, now: float) -> KeySet | None:
        """Return those that count now, by the monotonic clock; None while there are none."""
        ...

    def renewal(self, now: float) -> Awaitable[None] | None:
        """Return what may bring keys that are not among the current; None where nothing may."""
        ...

    def retry_after(self, now: float) -> int:
        """Return in how many seconds there may be keys, where there are none."""
        ...

    async def close(self) -> None:
        """End what is under way."""
        ...


class Given:
    """Keys that are given by value."""

    def __init__(self, keys: KeySet) -> None:
        self._keys = keys

    def current(self, now: float) -> KeySet | None:
        """Return them."""
        return self._keys

    def renewal(self, now: float) -> Awaitable[None] | None:
        """Return nothing: there are no others."""
        return None

    def retry_after(self, now: float) -> int:
        """Return one second; there are always keys."""
        return 1

    async def close(self) -> None:
        """Do nothing."""


class Filed(Given):
    """Keys in a file, which is read again once it changes; a bad one is left until it is mended.

    Args:
        path: of the file.
        read: reads it.

    Raises:
        ConfigError: there are no keys in it.
    """

    def __init__(self, path: Path, read: Read) -> None:
        self._path, self._read = path, read
        self._looked = -math.inf
        self._state: tuple[int, ...] = ()
        try:
            self._state = self._stat()
            super().__init__(read(_content(path)))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: {_why(error)}") from error

    def current(self, now: float) -> KeySet | None:
        """Return them as the file has them."""
        if now - self._looked >= _LOOKED:
            self._looked = now
            self._look()
        return self._keys

    def _look(self) -> None:
        try:
            state = self._stat()
            if state != self._state:
                self._state = state
                self._keys = self._read(_content(self._path))
        except (OSError, ValueError) as error:
            is_gone = isinstance(error, OSError)
            if self._state or not is_gone:
                _log.warning("%s: %s: its keys stay as they were", self._path, _why(error))
            if is_gone:
                self._state = ()

    def _stat(self) -> tuple[int, ...]:
        found = self._path.stat()
        return found.st_mtime_ns, found.st_size, found.st_ino


class Fetched:
    """Keys that an issuer publishes, as they were fetched.

    Args:
        whose: for the log.
        fetch: gets them.
        read: reads them.
        published: says when.
    """

    def __init__(self, whose: str, fetch: Fetch, read: Read, published: Published) -> None:
        self._whose, self._fetch, self._read = whose, fetch, read
        self._rotation = Rotation(published)
        self._body = b""
        self._flight: asyncio.Task[None] | None = None

    def current(self, now: float) -> KeySet | None:
        """Return those that count now, and have them fetched when they are due."""
        if self._rotation.is_due(now):
            self._fly(now)
        return self._rotation.current(now)

    def renewal(self, now: float) -> Awaitable[None] | None:
        """Return the end of the fetch that is under way, or of a new one where one may be."""
        flight = self._under_way()
        if flight is None and self._rotation.seek(now):
            flight = self._fly(now)
        # Shielded: others wait for the same fetch, whichever client goes away.
        return None if flight is None else asyncio.shield(flight)

    def retry_after(self, now: float) -> int:
        """Return in how many seconds they may be there."""
        return max(1, math.ceil(self._rotation.retry_after(now)))

    async def close(self) -> None:
        """End the fetch that is under way."""
        flight = self._under_way()
        if flight is not None:
            flight.cancel()
            await asyncio.wait([flight])

    def _under_way(self) -> asyncio.Task[None] | None:
        flight = self._flight
        if flight is None or flight.done():
            return None
        # A loop that was stopped leaves its tasks as they were.
        return flight if flight.get_loop() is asyncio.get_running_loop() else None

    def _fly(self, now: float) -> asyncio.Task[None]:
        flight = self._under_way()
        if flight is None:
            flight = self._flight = asyncio.get_running_loop().create_task(self._renew(now))
        return flight

    async def _renew(self, began: float) -> None:
        try:
            body = await self._fetch()
            keys = self._rotation.current(began)
            if keys is None or body != self._body:
                # The same keys in the same set: tokens that were verified by it stay so.
                keys = self._read(body)
            self._body = body
            self._rotation.succeeded(began, keys)
        except Exception as error:  # noqa: BLE001  whatever it is, the next fetch comes no sooner
            self._rotation.failed(began)
            why = error if isinstance(error, Unavailable | ValueError) else type(error).__name__
            _log.warning("no keys of %s: %s", self._whose, why)


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        data = file.read(JWKS_LIMIT + 1)
    if len(data) > JWKS_LIMIT:
        raise ValueError(f"more than {JWKS_LIMIT} bytes")
    return data


def _why(error: Exception) -> str:
    return error.strerror or "unreadable" if isinstance(error, OSError) else str(error)
