"""Python source as a formatter leaves it: lines of 100 columns, one item in each where they end."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Sequence

_COLUMNS = 100
_INDENT = "    "

_DIRECTIVE = re.compile(
    r"^(type|fmt|isort|mypy|noqa|pragma|pylint|pyright|ruff|yapf):", re.IGNORECASE
)
"""What tools would read as theirs in a comment."""

_ODD = re.compile(r"[^\S\n]|[\x00-\x08\x0e-\x1b\x7f]")
"""White space and control characters, some of which end a line for a formatter or for Python."""


def literal(text: str) -> str:
    r"""Return a string as a literal, in the quotes that need no escaping.

    >>> print(literal("/v1/users"), literal('a "b"'))
    "/v1/users" 'a "b"'
    """
    return repr(text) if '"' in text and "'" not in text else json.dumps(text, ensure_ascii=False)


def call(opening: str, items: Sequence[str], closing: str, indent: int = 0) -> list[str]:
    """Return the lines of something in brackets.

    Args:
        opening: what stands before the items, with the bracket.
        items: without their commas.
        closing: the bracket and what follows it.
        indent: how many levels the whole is indented.

    >>> print(*call("f(", ["a", "b=1"], "),", 1), sep="")
        f(a, b=1),
    """
    margin = _INDENT * indent
    inside = ", ".join(items)
    whole = f"{margin}{opening}{inside}{closing}"
    if len(whole) <= _COLUMNS:
        return [whole]
    lines = [f"{margin}{_INDENT}{inside}"]
    # A list has its items in one line with its brackets, or each in a line of its own.
    if len(lines[0]) > _COLUMNS or opening.endswith("= ["):
        lines = [f"{margin}{_INDENT}{item}," for item in items]
    return [f"{margin}{opening}", *lines, f"{margin}{closing}"]


def imported(package: str, name: str) -> list[str]:
    """Return the lines that import one name."""
    whole = f"from {package} import {name}"
    if len(whole) <= _COLUMNS:
        return [whole]
    return [f"from {package} import (", f"{_INDENT}{name},", ")"]


def assignment(name: str, value: str, indent: int = 0) -> list[str]:
    """Return the lines that give a name a value, in parentheses where that makes it fit."""
    margin = _INDENT * indent
    whole, inner = f"{margin}{name} = {value}", f"{margin}{_INDENT}{value}"
    if len(whole) <= _COLUMNS or len(inner) > _COLUMNS:
        return [whole]
    return [f"{margin}{name} = (", inner, f"{margin})"]


def docstring(text: str, indent: int = 0) -> list[str]:
    r'''Return the lines of a docstring.

    >>> docstring('One.')
    ['"""One."""']
    >>> docstring('One.\n\nTwo \\d.', 1)
    ['    r"""One.', '', '    Two \\d.', '    """']
    '''
    margin = _INDENT * indent
    text = _plain(text)
    raw = "\\" in text and '"""' not in text and not text.endswith("\\")
    if not raw:
        text = text.replace("\\", "\\\\").replace('"""', r"\"\"\"")
    first, *others = [line.rstrip() for line in text.split("\n")]
    first = f'{margin}{"r" if raw else ""}"""{first}'
    if others:
        return [first, *(f"{margin}{line}" if line else "" for line in others), f'{margin}"""']
    space = " " if first.endswith('"') else ""
    return [f'{first}{space}"""']


def _plain(text: str) -> str:
    r"""Return a text whose lines begin where a formatter has them begin.

    >>> _plain("One.\r\n\tTwo.\n\t  Three.\f")
    'One.\nTwo.\n  Three.'
    """
    text = _ODD.sub(" ", text.replace("\r\n", "\n").expandtabs()).strip()
    first, line_end, others = text.partition("\n")
    return f"{first}{line_end}{textwrap.dedent(others)}"


def comment(text: str, indent: int = 0) -> list[str]:
    """Return the lines of a comment that has the first paragraph of a text.

    >>> comment(chr(10).join(["Gets", "one.", "", "Or none."]))
    ['# Gets one.']
    """
    margin = f"{_INDENT * indent}# "
    lines = textwrap.wrap(
        _plain(text).split("\n\n")[0],
        _COLUMNS - len(margin),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return [margin + _DIRECTIVE.sub(r"\1 :", line) for line in lines]
