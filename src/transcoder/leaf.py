"""What hangs at a node of the router's trie: the routes of one template, by their methods."""

from __future__ import annotations

from typing import Final, Generic, TypeVar

from transcoder.captures import captures
from transcoder.profile import Unescape
from transcoder.route import Miss, Route

T = TypeVar("T")

NOT_FOUND: Final = Miss()


class Entry(Generic[T]):
    """A route in the trie.

    Args:
        route: what it is compiled from.
        age: how many were declared before it.
        unescape: what stays encoded in a variable of several segments.
    """

    __slots__ = ("bind", "is_as_key", "modes", "rank", "route")

    def __init__(self, route: Route[T], age: int, unescape: Unescape) -> None:
        self.route = route
        self.rank = (route.reserved, age)
        self.bind = captures(route.template)
        # The value of one segment has nothing to stay encoded for.
        multis = [variable.multi for variable in route.template.variables]
        self.modes: list[Unescape] = [unescape if multi else "all" for multi in multis]
        self.is_as_key = {"all"}.issuperset(self.modes)
        """Whether the values are what the path's decoded segments are, but for slashes."""

    def is_common(self) -> bool:
        """Whether the route is not reserved: such come behind those that are."""
        return not self.route.reserved


class Leaf(Generic[T]):
    """The routes of one template, variables aside."""

    __slots__ = ("any", "methods")

    def __init__(self) -> None:
        self.methods: dict[str, Entry[T]] = {}
        self.any: Entry[T] | None = None

    def explicit(self, method: str) -> Entry[T] | None:
        """Return the entry whose route is of this very method."""
        entry = self.any if method == "*" else self.methods.get(method)
        return entry if entry and entry.route.method == method else None

    def add(self, entry: Entry[T]) -> None:
        """Have an entry answer its method, and one of GET answer HEAD too."""
        method = entry.route.method
        if method == "*":
            self.any = entry
            return
        self.methods[method] = entry
        if method == "GET" and not self.explicit("HEAD"):
            self.methods["HEAD"] = entry


def miss(*leaves: Leaf[T]) -> Miss:
    """Return what to say when these fit a path, but not its method."""
    methods = {method for leaf in leaves for method in leaf.methods}
    return Miss(tuple(sorted({*methods, "OPTIONS"}))) if methods else NOT_FOUND
