"""A trie over the segments of path templates.

A node is a prefix of templates. It has a child for each literal, one for `*`, and, where a
template goes on with `**`, the root of a second trie that holds what follows the `**`, written
backwards. Since `**` stands once in a template, a path is read from its front down the first trie
and from its end down the second, and whatever lies between is the `**`'s. No step depends on how
long that is: the work is bounded by the templates, never by the path.

What fits comes in an order: segment by segment from the left, literal > `*` > `**`, and a
template that ends with the path before one whose `**` matches nothing there. Templates that share
their `**` are compared in the same way from the end, and one that has more to compare is first.

A path is a list of segments behind an empty one, the text in front of its first slash.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

from transcoder.path_template import Kind, Segment

L = TypeVar("L")


class Node(Generic[L]):
    """A prefix of templates, or, under a `**`, an end of templates.

    What hangs at a node is found by the verb of its template.

    Args:
        depth: how many segments of a path, with the empty one, have led to it.
    """

    __slots__ = ("depth", "forks", "leaves", "literal", "literals", "lone", "tails", "wildcard")

    def __init__(self, depth: int = 1) -> None:
        self.depth = depth
        self.literals: dict[str, Node[L]] = {}
        self.wildcard: Node[L] | None = None
        self.tails: Node[L] | None = None
        self.leaves: dict[str, L] = {}
        # The rest spares the walk a step: the bound method of a literal's look-up, whether there
        # is more than one way on, and the only way on if that is the wildcard.
        self.literal = self.literals.get
        self.forks = False
        self.lone: Node[L] | None = None

    def place(self, segments: Sequence[Segment]) -> dict[str, L]:
        """Return where the leaves of a template of these segments hang, made if it is new."""
        for index, segment in enumerate(segments):
            if segment.kind is Kind.DEEP_WILDCARD:
                node = self.descend(segments[:index])
                node.forks = True
                node.tails = node.tails or Node()
                return node.tails.descend(reversed(segments[index + 1 :])).leaves
        return self.descend(segments).leaves

    def descend(self, segments: Iterable[Segment]) -> Node[L]:
        """Return the node behind these segments, made if it is new; no `**` may be among them."""
        node = self
        for segment in segments:
            child = node.child(segment)
            node.forks = node.forks or bool(node.literals and node.wildcard)
            node.lone = None if node.literals else node.wildcard
            node = child
        return node

    def child(self, segment: Segment) -> Node[L]:
        """Return the node behind one segment, made if it is new."""
        if segment.kind is Kind.LITERAL:
            return self.literals.setdefault(segment.text, Node(self.depth + 1))
        self.wildcard = self.wildcard or Node(self.depth + 1)
        return self.wildcard


def fitting(node: Node[L], keys: list[str], verb: str) -> list[L]:
    """Return the leaves that fit a path and a verb, the most specific first."""
    for key in keys[1:]:
        if node.forks:
            return _fitting_branches(node, keys, verb)
        child = node.lone or node.literal(key, node.wildcard)
        if child is None:
            return []
        node = child
    if node.forks:
        return _fitting_branches(node, keys, verb)
    leaf = node.leaves.get(verb)
    return [] if leaf is None else [leaf]


def _fitting_branches(node: Node[L], keys: list[str], verb: str) -> list[L]:
    """Return the leaves at or under a node that the path has come to."""
    found: list[L] = []
    waiting: list[tuple[Node[L], int]] = []
    end = len(keys)
    depth = node.depth
    while True:
        if node.forks:
            if node.tails is not None:
                # A negative depth says that a `**` begins there.
                waiting.append((node.tails, -depth))
            if node.wildcard is not None and depth != end and keys[depth] in node.literals:
                waiting.append((node.wildcard, depth + 1))
        if depth == end:
            leaf = node.leaves.get(verb)
            if leaf is not None:
                found.append(leaf)
        else:
            child = node.lone or node.literal(keys[depth], node.wildcard)
            if child is not None:
                node = child
                depth += 1
                continue
        while waiting:
            node, depth = waiting.pop()
            if depth > 0:
                break
            found += _fitting_tails(node, keys, -depth, verb)
        else:
            return found


def _fitting_tails(node: Node[L], keys: list[str], start: int, verb: str) -> Iterator[L]:
    found = []
    waiting = [(node, len(keys))]
    # Walked from the least specific, because a node's own leaf comes behind all below it.
    while waiting:
        node, end = waiting.pop()
        leaf = node.leaves.get(verb)
        if leaf is not None:
            found.append(leaf)
        if end > start:
            child = node.literals.get(keys[end - 1])
            if child is not None:
                waiting.append((child, end - 1))
            if node.wildcard is not None:
                waiting.append((node.wildcard, end - 1))
    return reversed(found)


def samples(segments: Sequence[Segment], longest: int) -> Iterator[list[str]]:
    """Yield a path of each length that a template can tell apart, its wildcards matching NUL."""
    parts = [[segment.text] if segment.kind is Kind.LITERAL else ["\0"] for segment in segments]
    deep = [segment.kind is Kind.DEEP_WILDCARD for segment in segments]
    for repeat in range(longest + 2 if any(deep) else 1):
        keys = [""]
        for part, repeated in zip(parts, deep, strict=True):
            keys += part * repeat if repeated else part
        yield keys
