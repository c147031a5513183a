"""What is compiled for types: made once, and kept as long as anybody needs it.

Who compiles ahead holds what it got, and no number of other types drives that out. What nobody
holds goes when there is too much of it, because the descriptors of pools that are in use no more
would otherwise stay for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Generic, TypeVar
from weakref import WeakValueDictionary

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

RECENT = 10_000
"""How much is kept that nobody holds."""


class Compiled(Generic[T]):
    """What was compiled; who holds this keeps it."""

    __slots__ = ("__weakref__", "value")

    def __init__(self, value: T) -> None:
        self.value = value


class Cache(Generic[K, T]):
    """Values by their keys, each made when it is first asked for.

    Args:
        make: a key to its value.

    >>> squares = Cache(lambda number: number * number)
    >>> squares.find(12).value
    144
    """

    __slots__ = ("_alive", "_make", "_recent")

    def __init__(self, make: Callable[[K], T]) -> None:
        self._make = make
        self._recent: dict[K, Compiled[T]] = {}
        self._alive: WeakValueDictionary[K, Compiled[T]] = WeakValueDictionary()

    def __len__(self) -> int:
        """Return how many values there are, held or not."""
        return len(self._alive)

    def find(self, key: K) -> Compiled[T]:
        """Return what a key's value is in."""
        found = self._recent.get(key)
        if found is None:
            found = self._alive.get(key)
            if found is None:
                found = self._alive[key] = Compiled(self._make(key))
            if len(self._recent) >= RECENT:
                self._recent.clear()
            self._recent[key] = found
        return found
