"""Rate limits that many processes share, in Redis or Valkey; needs the extra `redis`.

A store that does not answer must not stop the service: a call waits for it `patience` at most, and
then nobody asks it for a second. What holds meanwhile, the option says: this process counts alone,
or everything is refused.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import time
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

try:
    from limits import RateLimitItemPerSecond
    from limits.aio.storage import RedisStorage
    from limits.aio.strategies import (
        FixedWindowRateLimiter,
        MovingWindowRateLimiter,
        SlidingWindowCounterRateLimiter,
    )
    from limits.errors import ConfigurationError
except ImportError as error:
    raise ImportError(f"{error.name} is missing: install transcoder[redis]") from error

from transcoder.errors import ConfigError
from transcoder.measured import Metric, Reading, Readings
from transcoder.policies.gcra import Gcra
from transcoder.policies.policy import Denied
from transcoder.policies.rates import Rate, Taken
from transcoder.status import Code

_log = logging.getLogger(__name__)

Window: TypeAlias = Literal["fixed", "sliding", "moving"]
WhenDown: TypeAlias = Literal["local", "closed"]

_STRATEGIES: Final[dict[str, Any]] = {
    "fixed": FixedWindowRateLimiter,
    "moving": MovingWindowRateLimiter,
    "sliding": SlidingWindowCounterRateLimiter,
}
_SCHEMES = ("redis://", "rediss://", "redis+unix://", "valkey://", "valkeys://", "valkey+unix://")
# Not the URL itself: it may hold a password.
_URL: Final = "limiter: url: one such as redis://localhost:6379 is expected"
PAUSE: Final = 1.0
"""Seconds in which a store is not asked that has just failed."""

_FAILURES: Final = Metric(
    "transcoder_limiter_store_failures", "How often a store did not answer.", rises=True
)
_DOWN: Final = Metric("transcoder_limiter_store_down", "Whether a store is not asked for now.")


class SharedLimiter:
    """Counts calls in a store that other processes count in too.

    Args:
        url: of the store, as `redis://localhost/0`, at port 6379 unless it says another; or
            `valkey://…`, for which the package valkey is to be installed.
        rate: of each key; its burst counts only while this process counts alone.
        window: `fixed` is cheap and lets through up to twice the limit around the turn of two
            windows; `sliding` weighs two windows and is nearly exact; `moving` remembers each call
            and is exact.
        when_down: `local`: this process counts alone; `closed`: calls are refused with UNAVAILABLE.
        patience: seconds that a call waits for the store.
        connections: to the store, at most.
        prefix: of the keys in the store.

    Raises:
        ConfigError: an option is none.
    """

    def __init__(
        self,
        url: str,
        rate: str | Rate,
        *,
        window: Window = "sliding",
        when_down: WhenDown = "local",
        patience: float = 0.05,
        connections: int = 50,
        prefix: str = "transcoder",
    ) -> None:
        if not url.startswith(_SCHEMES):
            raise ConfigError(_URL)
        if window not in _STRATEGIES or when_down not in {"local", "closed"}:
            raise ConfigError(f"limiter: window {window!r}, when_down {when_down!r}: unknown")
        if not patience > 0 or connections < 1:
            raise ConfigError("limiter: patience and connections: numbers above 0 are expected")
        self.rate: Final = rate if isinstance(rate, Rate) else Rate.parse(rate)
        if self.rate.per != int(self.rate.per):
            raise ConfigError("limiter: the rate is per whole seconds, to be shared")
        self._item = RateLimitItemPerSecond(self.rate.limit, int(self.rate.per), prefix)
        try:
            url = _with_port(url)
            self._pool = _pool(url, connections, patience)
            client: Any = "valkey" if url.startswith("valkey") else "redispy"
            options: Any = {"implementation": client, "connection_pool": self._pool}
            self._storage = RedisStorage(f"async+{url}", **options)
        except (ConfigurationError, ValueError) as error:
            raise ConfigError(_URL) from error
        self._strategy = _STRATEGIES[window](self._storage)
        self._patience = patience
        self._closed = when_down == "closed"
        self._alone = Gcra(self.rate)
        self._until = float("-inf")
        self.failures = 0
        """How often the store did not answer, or not in time."""

    @property
    def is_up(self) -> bool:
        """Whether the store is asked."""
        return time.monotonic() >= self._until

    async def take(self, key: bytes, now: float) -> Taken:
        """Count one call, if it may go on; see `Limiter`."""
        if now < self._until:
            return self._without(key, now)
        try:
            async with asyncio.timeout(self._patience):
                return await self._asked(key.hex())
        except Exception as error:  # noqa: BLE001  whatever a store that fails raises
            self.failures += 1
            after = time.monotonic()
            if after >= self._until:
                kind = type(error).__name__
                _log.warning("the store of the rate limits does not answer: %s", kind)
            self._until = after + PAUSE
            return self._without(key, now)

    @property
    def vital(self) -> bool:
        """Whether calls are refused while the store does not answer."""
        return self._closed

    def readings(self) -> Readings:
        """Tell how the store does; see `Measured`."""
        return Reading(_FAILURES, self.failures), Reading(_DOWN, float(not self.is_up))

    async def check(self) -> str:
        """Return whether the store answers; see `Check`."""
        return "" if await self._storage.check() else "the store does not answer"

    async def close(self) -> None:
        """Close the connections to the store."""
        await self._pool.aclose()

    async def _asked(self, key: str) -> Taken:
        allowed = await self._strategy.hit(self._item, key)
        stats = await self._strategy.get_window_stats(self._item, key)
        reset = max(0.0, stats.reset_time - time.time())
        return Taken(bool(allowed), max(0, int(stats.remaining)), reset, 0.0 if allowed else reset)

    def _without(self, key: bytes, now: float) -> Taken:
        if self._closed:
            raise Denied(
                Code.UNAVAILABLE,
                "the service cannot count its calls now",
                reason="store-down",
                headers=[("retry-after", "1")],
            )
        return self._alone.take(key, now)


def _with_port(url: str) -> str:
    """Return the URL of a store with its port, which is 6379 where it says none.

    Raises:
        ValueError: it has no host, or its port is no number.
    """
    parts = urlsplit(url)
    if "unix" in parts.scheme:
        return url
    if not parts.hostname:
        raise ValueError("no host")
    if parts.port is not None:
        return url
    return parts._replace(netloc=f"{parts.netloc.removesuffix(':')}:6379").geturl()


def _pool(url: str, connections: int, patience: float) -> Any:
    """Return a pool whose users wait for a connection, rather than fail when all are taken."""
    name = "valkey" if url.startswith("valkey") else "redis"
    try:
        client = importlib.import_module(name)
    except ImportError as error:
        raise ImportError(f"{name} is missing: install it, or give a URL of redis://") from error
    plain = re.sub(r"^(redis|valkey)\+unix:", "unix:", url)
    make = client.asyncio.BlockingConnectionPool.from_url
    return make(plain, max_connections=connections, timeout=patience)
