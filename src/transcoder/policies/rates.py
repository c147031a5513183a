"""Rates, and what a limiter says of one call."""

from __future__ import annotations

import re
from collections.abc import Awaitable
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol, runtime_checkable

from transcoder.errors import ConfigError

_UNITS: Final = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400}
_TEXT = re.compile(r"([0-9]{1,12})/(?:([0-9]{1,6}) )?(second|minute|hour|day)s?")
_LARGEST = 10**12


@dataclass(frozen=True, slots=True)
class Rate:
    """How many calls in how long, and how many of them at once.

    Args:
        limit: how many.
        per: in how many seconds.
        burst: how many may come at once, after a pause; 0 for a tenth of the limit. In any
            stretch of `per` seconds there are never more than limit and burst together.

    Raises:
        ConfigError: one of them is not above 0.

    >>> Rate.parse("1000/second")
    Rate(limit=1000, per=1.0, burst=100)
    """

    limit: int
    per: float = 1.0
    burst: int = 0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 < self.limit <= _LARGEST or not 0 < self.per <= 366 * 86_400:
            raise ConfigError(f"rate {self.limit}/{self.per:g} s: numbers above 0 are expected")
        if not 0 <= self.burst <= _LARGEST:
            raise ConfigError(f"rate: burst {self.burst}: a number from 0 is expected")
        if self.burst == 0:
            object.__setattr__(self, "burst", max(1, self.limit // 10))

    @classmethod
    def parse(cls, text: str, burst: int = 0) -> Rate:
        """Return the rate that `text` writes, as `100/minute` or `5/10 seconds`.

        Raises:
            ConfigError: it writes none.
        """
        found = _TEXT.fullmatch(text)
        if found is None:
            raise ConfigError(f"rate {text!r}: write one as '1000/second' or '5/10 seconds'")
        return cls(int(found[1]), float(int(found[2] or 1) * _UNITS[found[3]]), burst)


class Taken(NamedTuple):
    """What a limiter says of one call.

    Args:
        allowed: whether the call may go on.
        remaining: how many more could come at once.
        reset: seconds until as many as ever could come at once.
        retry_after: seconds until the next may come; 0 for a call that may go on.
    """

    allowed: bool
    remaining: int
    reset: float
    retry_after: float


class Limiter(Protocol):
    """Counts calls by their keys."""

    def take(self, key: bytes, now: float) -> Taken | Awaitable[Taken]:
        """Count one call, if it may go on.

        Args:
            key: calls of one key are counted together.
            now: on the clock of `time.monotonic`.
        """
        ...


@runtime_checkable
class Closing(Protocol):
    """A limiter that holds connections."""

    async def close(self) -> None:
        """Close them."""
        ...


@runtime_checkable
class Stored(Protocol):
    """A limiter that counts in a store which may fail."""

    @property
    def vital(self) -> bool:
        """Whether calls are refused while it does."""
        ...

    async def check(self) -> str:
        """Return what is amiss with it; empty while all is well."""
        ...
