"""What the texts of one form may cost: JSON values, field masks and nested names take their time.

A query is too short to hold much of them; a form is not.
"""

from __future__ import annotations

from collections.abc import Iterable

from transcoder.errors import StatusError
from transcoder.status import Code

NODES = 10_000
"""Nodes of one form by default: they are read in less than a tenth of a second."""


def nodes(text: str) -> int:
    """Return how much work a JSON value or a field mask is, counted without reading it.

    A comma and an opening bracket begin a node, an escape may be one, and 16 characters are as
    much work.

    >>> nodes('{"a": [1, 2, 3]}')
    5
    """
    return sum(map(text.count, (",", "[", "{", "\\u"))) + len(text) // 16


def nested_names(keys: Iterable[str]) -> int:
    """Return how many names of the keys lead to others: each is looked up in its turn.

    >>> nested_names(["a.b.c", "d"])
    2
    """
    return sum(key.count(".") for key in keys)


class Budget:
    """What is left of one request's nodes.

    Args:
        limit: how many in all.

    >>> budget = Budget(10)
    >>> budget.spend(10)
    >>> budget.spend(1)
    Traceback (most recent call last):
    transcoder.errors.StatusError: the form holds over 10 JSON values, mask paths and nested names
    """

    __slots__ = ("_left", "_limit")

    def __init__(self, limit: int = NODES) -> None:
        self._left = self._limit = limit

    def spend(self, count: int) -> None:
        """Take so many nodes off.

        Raises:
            StatusError: more than are left; 413.
        """
        self._left -= count
        if self._left < 0:
            problem = f"the form holds over {self._limit} JSON values, mask paths and nested names"
            raise StatusError(Code.RESOURCE_EXHAUSTED, problem, http=413)
