"""YAML of files, with a bound on what reading it costs."""

from __future__ import annotations

from typing import Any, Final

import yaml

LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C parser is ten times as fast, and left out of some builds of PyYAML."""

DEPTH: Final = 64
"""Levels that a document may have: what composes it recurses, and in C without a bound."""

VALUES: Final = 1 << 15
"""Values that it may have."""


class Excess(yaml.MarkedYAMLError):
    """A document is nested too deep, or has too many values."""


def compose(text: str) -> yaml.Node | None:
    """Return the root of a document; None of an empty one.

    Raises:
        yaml.YAMLError: it is none; an Excess if it is too much, which is found out before anything
            is made of it.
    """
    check_extent(text)
    return yaml.compose(text, LOADER)


def check_extent(text: str) -> None:
    """Refuse a document that would hold up whoever reads it; as `compose`."""
    strange = yaml.reader.Reader.NON_PRINTABLE.search(text)
    if strange is not None:
        place, told = strange.start(), "special characters are not allowed"
        raise yaml.reader.ReaderError("the text", place, ord(strange.group()), "unicode", told)
    depth = values = 0
    for event in yaml.parse(text, LOADER):
        if isinstance(event, yaml.NodeEvent):
            values += 1
            depth += isinstance(event, yaml.CollectionStartEvent)
        else:
            depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > DEPTH or values > VALUES:
            problem = f"over {VALUES} values" if depth <= DEPTH else "it is nested too deep"
            mark: Any = event.start_mark
            raise Excess(problem=problem, problem_mark=mark)
