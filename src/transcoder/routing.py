"""Which route answers a method and a path.

**Which route wins.** Under "specificity" the verb decides first: if the last segment ends with
`:verb` and that verb is known, routes with it come before those that take the colon as text, a
longer verb before a shorter. Then comes the order of the trie: literal > `*` > `**`. At the same
template a method by name comes before "*". A branch that fits the path but not the method is left
again, so a route is missed only if no branch has it.

Two routes of the same segments, method and verb are an error at start, and so is a route all of
whose paths go to one other. Who may not change the rules can have the first of twins answer, and
the other never. Where it takes several to shadow a route, as `/v1/{name=a/*/**}` by
`/v1/{parent=a/*/**}/{id}` and `/v1/a/{id}`, it is only noted: Firestore's published rules do that.

Under "last-wins" (grpc-gateway) the newest fitting route answers, and only twins of one name are
compared; but no route takes a request from a reserved one.

What a path is, and how it is decoded, is told in `raw_path`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, Generic, Literal, TypeVar

from transcoder.errors import InvalidRequest
from transcoder.leaf import NOT_FOUND, Entry, Leaf, miss
from transcoder.path_template import DOT_SEGMENTS
from transcoder.profile import Order, Unescape
from transcoder.raw_path import check, check_dots, key_of, split, stays_encoded, unquoted
from transcoder.route import Conflict, Match, Miss, Route, RouteConflict, Shadowed
from transcoder.trie import Node, fitting, samples

T = TypeVar("T")

_new = tuple.__new__

_MISSES: Final = 1 << 14
"""Sets of templates of which a router remembers what to say when only the method is wrong."""


class Router(Generic[T]):
    """Finds the route for a request.

    >>> from transcoder.path_template import PathTemplate
    >>> get = Route("GET", PathTemplate.parse("/v1/{name=users/*}"), "Users.Get", "get")
    >>> router = Router([get])
    >>> router.match("GET", "/v1/users/4%32").values
    ('users/42',)
    >>> router.match("PUT", "/v1/users/42")
    Miss(allow=('GET', 'HEAD', 'OPTIONS'))
    >>> router.match("GET", "/v1/books/42")
    Miss(allow=())

    Args:
        routes: in the order in which they were declared.
        order: which of several fitting routes answers.
        unescape: what percent-decoding leaves alone in a variable of several segments.
        trailing_slash: whether empty segments at the end of a path are dropped.
        refuse: raise for a conflict, instead of only noting all of them in `conflicts`.

    Raises:
        RouteConflict: two routes are the same, or one takes all paths of another; it names both.
    """

    def __init__(
        self,
        routes: Iterable[Route[T]],
        *,
        order: Order = "specificity",
        unescape: Unescape = "except-reserved",
        trailing_slash: Literal["reject", "drop"] = "reject",
        refuse: bool = True,
    ) -> None:
        self.routes: Final = tuple(routes)
        self._newest = order == "last-wins"
        self._unescape = unescape
        self._drop_slash = trailing_slash == "drop"
        self._is_usual = not self._newest and unescape in {"except-reserved", "except-slash"}
        self._root: Node[Leaf[T]] = Node()
        self._miss = lru_cache(_MISSES)(miss)
        entries = [Entry(route, age, unescape) for age, route in enumerate(self.routes)]
        entries.sort(key=Entry.is_common)
        twins = [self._add(entry) for entry in entries]
        verbs = {route.template.verb for route in self.routes} - {""}
        self._verbs = frozenset(verbs)
        self._verb_parts = max((verb.count(":") + 1 for verb in verbs), default=0)
        added = [entry for entry, twin in zip(entries, twins, strict=True) if twin is None]
        dead = [] if self._newest else list(self._shadowed(added))
        self.shadowed: Final = tuple(each for each in dead if not _lone(each))
        self.conflicts: Final = (
            *[twin for twin in twins if twin is not None],
            *[Conflict(each.route, each.takers[0], same=False) for each in dead if _lone(each)],
        )
        if refuse and self.conflicts:
            raise RouteConflict(self.conflicts[0])

    def match(self, method: str, path: str) -> Match[T] | Miss:
        """Return the route for a request and its values, or what was missing.

        HEAD goes where GET goes, unless the same template has a HEAD route.

        Args:
            method: as the client sent it.
            path: percent-encoded, without the query.

        Raises:
            InvalidRequest: the path does not start with `/`, is not ASCII, holds a malformed
                escape, a NUL or a dot segment, or is not UTF-8 once decoded.
        """
        # Only what is out of the ordinary pays for being looked at closely.
        if (
            "%" in path
            or not path
            or path[0] != "/"
            or path[-1] == "/"
            or "//" in path
            or "\0" in path
            or not path.isascii()
            or ("." in path and "/." in path)
        ):
            return self._match_odd(method, path)
        keys = path.split("/")
        if self._newest:
            return self._select_newest(method, keys, keys)
        if ":" in keys[-1]:
            return self._match_colon(method, keys)
        # As `_match_keys` goes on, without the call.
        leaves = fitting(self._root, keys, "")
        for leaf in leaves:
            entry = leaf.methods.get(method, leaf.any)
            if entry is not None:
                return _new(Match, (entry.route, entry.bind(keys)))
        return self._miss(*leaves)

    def segments(self, path: str) -> list[str] | None:
        """Return the decoded segments that templates are compared with; None if none can fit.

        An encoded slash that is data shows as NUL.

        Raises:
            InvalidRequest: as `match` does.
        """
        split = self._split(path)
        return split[0][1:] if split else None

    def _match_keys(self, method: str, keys: list[str]) -> Match[T] | Miss:
        """Match a path in whose segments nothing is encoded any more."""
        if ":" in keys[-1]:
            return self._match_colon(method, keys)
        leaves = fitting(self._root, keys, "")
        for leaf in leaves:
            entry = leaf.methods.get(method, leaf.any)
            if entry is not None:
                return _new(Match, (entry.route, entry.bind(keys)))
        return self._miss(*leaves)

    def _match_colon(self, method: str, keys: list[str]) -> Match[T] | Miss:
        """Match a path with a colon in its last segment, and nothing else out of the ordinary."""
        last = keys[-1]
        base, _, verb = last.rpartition(":")
        if self._verb_parts > 1 or not base or base[-1] == ".":
            return self._select(method, keys, keys)
        leaves: list[Leaf[T]] = []
        if verb in self._verbs:
            keys[-1] = base
            leaves = fitting(self._root, keys, verb)
            for leaf in leaves:
                entry = leaf.methods.get(method, leaf.any)
                if entry is not None:
                    return _new(Match, (entry.route, entry.bind(keys)))
            keys[-1] = last
        leaves += fitting(self._root, keys, "")
        for leaf in leaves:
            entry = leaf.methods.get(method, leaf.any)
            if entry is not None:
                return _new(Match, (entry.route, entry.bind(keys)))
        return self._miss(*leaves)

    def _match_odd(self, method: str, path: str) -> Match[T] | Miss:
        """Match any path."""
        if self._is_usual and path[:1] == "/" and path[-1] != "/" and "//" not in path:
            return self._match_escaped(method, path)
        split = self._split(path)
        if split is None:
            return NOT_FOUND
        return (self._select_newest if self._newest else self._select)(method, *split)

    def _match_escaped(self, method: str, path: str) -> Match[T] | Miss:
        """Match a path of segments that are not empty, as the router usually decodes them."""
        check(path)
        text = key_of(path)
        check_dots(text)
        if text is path or self._is_read_once(path):
            return self._match_keys(method, text.split("/"))
        raw = path.split("/")
        keys = text.split("/")
        if ":" in raw[-1]:
            return self._select(method, keys, raw)
        leaves = fitting(self._root, keys, "")
        for leaf in leaves:
            entry = leaf.methods.get(method, leaf.any)
            if entry is not None:
                return self._matched(entry, keys, raw)
        return self._miss(*leaves)

    def _is_read_once(self, path: str) -> bool:
        """Say whether the values are what the keys are: none of the path stays encoded in them."""
        return self._unescape == "except-reserved" and not stays_encoded(path, self._unescape)

    def _split(self, path: str) -> tuple[list[str], list[str]] | None:
        return split(path, self._unescape, drop_slash=self._drop_slash, empty_segments=self._newest)

    def _select(self, method: str, keys: list[str], raw: list[str]) -> Match[T] | Miss:
        passed: list[Leaf[T]] = []
        for verb, key, written in self._endings(keys[-1], raw[-1]):
            keys[-1], raw[-1] = key, written
            for leaf in fitting(self._root, keys, verb):
                entry = leaf.methods.get(method, leaf.any)
                if entry is not None:
                    return self._matched(entry, keys, raw)
                passed.append(leaf)
        return self._miss(*passed)

    def _select_newest(self, method: str, keys: list[str], raw: list[str]) -> Match[T] | Miss:
        passed: list[Leaf[T]] = []
        fit: list[tuple[Entry[T], str, str]] = []
        for verb, key, written in self._endings(keys[-1], raw[-1]):
            keys[-1] = key
            for leaf in fitting(self._root, keys, verb):
                entry = leaf.methods.get(method, leaf.any)
                if entry is None:
                    passed.append(leaf)
                else:
                    fit.append((entry, key, written))
        if not fit:
            return self._miss(*passed)
        entry, keys[-1], raw[-1] = max(fit, key=lambda found: found[0].rank)
        return self._matched(entry, keys, raw)

    def _endings(self, key: str, written: str) -> Iterable[tuple[str, str, str]]:
        """Return the ways to read the last segment: with each known verb, then as it is.

        Each is a verb, and what is left of the segment, compared and as it was written.
        """
        endings = [("", key, written)]
        plain, whole = key is written, key
        base, colon, verb = written.rpartition(":")
        spare = self._verb_parts
        while colon and spare:
            as_is = plain or "%" not in verb
            known = verb if as_is else key_of(verb)
            if known in self._verbs:
                if not base:
                    return ()
                key = whole[: -len(verb) - 1] if as_is else key_of(base)
                # The check of the whole path has seen the verb behind the dots.
                if key[-1] == "." and key.rpartition("\0")[2] in DOT_SEGMENTS:
                    raise InvalidRequest("the path holds a dot segment")
                endings.insert(0, (known, key, base))
            spare -= 1
            if spare:
                base, colon, part = base.rpartition(":")
                verb = f"{part}:{verb}"
        return endings

    def _matched(self, entry: Entry[T], keys: list[str], raw: list[str]) -> Match[T]:
        if keys is raw:
            values = entry.bind(raw)
        elif entry.is_as_key:
            values = entry.bind(keys)
            if "\0" in "".join(values):
                values = tuple([value.replace("\0", "/") for value in values])
        else:
            values = tuple(map(unquoted, entry.bind(raw), entry.modes))
        return _new(Match, (entry.route, values))

    def _add(self, entry: Entry[T]) -> Conflict[T] | None:
        template, method = entry.route.template, entry.route.method
        leaf = self._root.place(template.segments).setdefault(template.verb, Leaf())
        other = leaf.explicit(method)
        if other is None:
            leaf.add(entry)
            return None
        if not self._newest or other.route.reserved:
            return Conflict(entry.route, other.route, same=True)
        leaf.add(entry)
        if other.route.name != entry.route.name:
            return None
        return Conflict(other.route, entry.route, same=True)

    def _shadowed(self, entries: Sequence[Entry[T]]) -> Iterator[Shadowed[T]]:
        longest = max((len(route.template.segments) for route in self.routes), default=0)
        for entry in entries:
            takers = self._takers(entry, longest)
            if takers:
                yield Shadowed(entry.route, takers)

    def _takers(self, entry: Entry[T], longest: int) -> tuple[Route[T], ...]:
        """Return the routes that take all of a route's paths; none if some path is left to it.

        Among its paths of one length, the one in which no wildcard meets a known literal fits the
        fewest other routes, so it stands for all of them; and beyond the longest template another
        segment under `**` changes nothing.
        """
        route = entry.route
        takers: list[Route[T]] = []
        for keys in samples(route.template.segments, longest):
            if len(keys) == 1 and route.template.verb:
                continue  # No path has a verb and nothing else.
            leaves = fitting(self._root, keys, route.template.verb)
            candidates = (leaf.methods.get(route.method, leaf.any) for leaf in leaves)
            winner = next(candidate for candidate in candidates if candidate)
            if winner is entry:
                return ()
            if winner.route not in takers:
                takers.append(winner.route)
        return tuple(takers)


def _lone(shadowed: Shadowed[T]) -> bool:
    return len(shadowed.takers) == 1
