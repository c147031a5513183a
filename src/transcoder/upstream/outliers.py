"""Outlier detection: an endpoint that fails, while others do not, gets no calls for a while. Pure.

Too many faults in a row eject it. The n-th time lasts n times as long as the first, up to ten
times; for each ten times the first that it then works on, it counts one less. Never are all
ejected, nor more than a share of them, but always one may be: where most fail, it is not they who
are the outliers, and to send their calls to the rest would end that too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from transcoder.errors import ConfigError

_LONGEST: Final = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class OutlierDetection:
    """When an endpoint is ejected.

    Args:
        consecutive: faults in a row that eject it.
        base: seconds for which it is ejected the first time.
        maximum_percent: of the endpoints, how many may be ejected at once; one always may, and
            never all.
        deadline: whether a deadline that passed is a fault.

    Raises:
        ConfigError: one of them is not above 0, or the percentage is above 100.
    """

    consecutive: int = 5
    base: float = 1.0
    maximum_percent: int = 50
    deadline: bool = False

    def __post_init__(self) -> None:
        """Check the numbers."""
        numbers = self.consecutive, self.base, self.maximum_percent
        if not all(each > 0 for each in numbers) or self.maximum_percent > 100:
            raise ConfigError("outliers: numbers above 0 are expected, and at most 100 percent")

    def allowed(self, endpoints: int) -> int:
        """Return how many of some endpoints may be ejected at once.

        >>> detection = OutlierDetection(maximum_percent=50)
        >>> [detection.allowed(count) for count in (0, 1, 2, 5, 10)]
        [0, 0, 1, 2, 5]
        """
        share = max(1, endpoints * self.maximum_percent // 100)
        return max(0, min(share, endpoints - 1))


@dataclass(slots=True)
class _History:
    faults: int = 0
    """In a row."""
    times: int = 0
    """How often it was ejected, less what it has worked off."""
    until: float = float("-inf")
    """When it returns, or did."""


class Outliers:
    """Which endpoints are ejected.

    Args:
        detection: when they are.

    >>> outliers = Outliers(OutlierDetection(consecutive=2))
    >>> outliers.keep(["a:1", "b:1"], 0.0)
    >>> outliers.failed("a:1", 0.0), outliers.failed("a:1", 0.0)
    (False, True)
    >>> outliers.is_ejected("a:1", 0.9), outliers.is_ejected("a:1", 1.0)
    (True, False)
    """

    def __init__(self, detection: OutlierDetection) -> None:
        self._detection = detection
        self._histories: dict[str, _History] = {}

    def keep(self, addresses: Iterable[str], now: float) -> None:
        """Go on with these endpoints alone.

        Args:
            addresses: of all that there are.
            now: the time in seconds.
        """
        known = self._histories
        self._histories = {address: known.get(address) or _History() for address in addresses}
        ejected = [each for each in self._histories.values() if now < each.until]
        ejected.sort(key=lambda each: each.until)
        for each in ejected[: max(0, len(ejected) - self._allowed())]:
            each.until = now

    def worked(self, address: str) -> None:
        """Take note of a call that was no fault of an endpoint's."""
        history = self._histories.get(address)
        if history is not None:
            history.faults = 0

    def failed(self, address: str, now: float) -> bool:
        """Take note of a call that was.

        Args:
            address: of the endpoint.
            now: when it ended.

        Returns:
            Whether the endpoint is ejected by it.
        """
        history = self._histories.get(address)
        if history is None or now < history.until:
            return False
        history.faults += 1
        if history.faults < self._detection.consecutive or self._is_full(now):
            return False
        base = self._detection.base
        if history.times:
            worked_off = int((now - history.until) // (base * _LONGEST))
            history.times = max(0, history.times - worked_off)
        history.faults = 0
        history.times = min(history.times + 1, _LONGEST)
        history.until = now + base * history.times
        return True

    def is_ejected(self, address: str, now: float) -> bool:
        """Say whether an endpoint is ejected."""
        history = self._histories.get(address)
        return history is not None and now < history.until

    def _is_full(self, now: float) -> bool:
        ejected = sum(now < each.until for each in self._histories.values())
        return ejected >= self._allowed()

    def _allowed(self) -> int:
        return self._detection.allowed(len(self._histories))
