"""YAML of files, with a bound on what reading it costs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any, ClassVar, Final

import yaml
from yaml.constructor import BaseConstructor, ConstructorError, SafeConstructor

LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The C parser is ten times as fast, and left out of some builds of PyYAML."""

DEPTH: Final = 64
"""Levels that a document may have: what composes it recurses, and in C without a bound."""

VALUES: Final = 1 << 15
"""Values that it may have."""


_LENGTH: Final = 64
"""Characters that a number may have: a longer one costs time, and is more than any value may be."""

_TAG: Final = "tag:yaml.org,2002:"


class Excess(yaml.MarkedYAMLError):
    """A document is nested too deep, or has too many values."""


def _read(construct: Callable[[Any, Any], Any], kind: str) -> Callable[[Any, Any], Any]:
    """Return what constructs a scalar, or tells where there is none of its kind."""

    def read(constructor: SafeConstructor, node: Any) -> Any:
        text = constructor.construct_scalar(node)
        problem = f"{text!r} is read as {kind}, and is none"
        if len(text) > _LENGTH:
            problem = f"{text[:_LENGTH]!r} and more is read as {kind}, and is too long"
        else:
            with contextlib.suppress(ValueError, LookupError, ArithmeticError):
                return construct(constructor, node)
        raise ConstructorError(None, None, problem, node.start_mark)

    return read


class Constructor(SafeConstructor):
    """Makes values of nodes: mappings, lists, texts, numbers, true, false and null.

    A date is the text that it is, as `<<` and `=` are. Raises a ConstructorError for all else.
    """

    def construct_scalar(self, node: Any) -> Any:
        """Return the text of a scalar, and nothing of a mapping, which YAML 1.1 takes for one."""
        return BaseConstructor.construct_scalar(self, node)

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Merge nothing: each merge may double what it merges."""

    def _unknown(self, node: yaml.Node) -> None:
        problem = f"{node.tag!r} is no tag that is known here"
        raise ConstructorError(None, None, problem, node.start_mark)

    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        f"{_TAG}null": SafeConstructor.construct_yaml_null,
        f"{_TAG}bool": _read(SafeConstructor.construct_yaml_bool, "a bool"),
        f"{_TAG}int": _read(SafeConstructor.construct_yaml_int, "an int"),
        f"{_TAG}float": _read(SafeConstructor.construct_yaml_float, "a float"),
        f"{_TAG}str": SafeConstructor.construct_yaml_str,
        f"{_TAG}timestamp": SafeConstructor.construct_yaml_str,
        f"{_TAG}merge": SafeConstructor.construct_yaml_str,
        f"{_TAG}value": SafeConstructor.construct_yaml_str,
        f"{_TAG}seq": SafeConstructor.construct_yaml_seq,
        f"{_TAG}map": SafeConstructor.construct_yaml_map,
        None: _unknown,
    }


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
