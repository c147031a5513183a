"""FieldMask as text: paths in lowerCamelCase, joined by commas.

The rules are for ASCII; a path with other letters is left to json_format.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

PATHS = 10_000
"""Paths of one mask; a text is one JSON value, whatever is in it."""

_TO_SNAKE = {ord(letter): f"_{letter.lower()}" for letter in string.ascii_uppercase}
_SNAKE = re.compile(r"_([a-z])")


def read_paths(text: str) -> list[str]:
    """Return the paths that a text names, as the proto has them.

    Raises:
        ValueError: the text has an underscore, letters beyond ASCII, a comma with no path on one
            side, or over `PATHS` paths.

    >>> read_paths("displayName,address.postalCode")
    ['display_name', 'address.postal_code']
    """
    if not text.isascii() or "_" in text or text.count(",") >= PATHS:
        raise ValueError("not a field mask")
    if not text:
        return []
    paths = text.translate(_TO_SNAKE).split(",")
    if "" in paths:
        raise ValueError("an empty path")
    return paths


def paths_text(paths: Iterable[str]) -> str:
    """Return paths as one text.

    Raises:
        ValueError: a path has capitals, letters beyond ASCII, or an underscore that no letter
            follows: it would read back as another.

    >>> paths_text(["display_name", "address"])
    'displayName,address'
    """
    snake = ",".join(paths)
    text = _SNAKE.sub(lambda match: match[1].upper(), snake)
    if not snake.isascii() or "_" in text or snake != snake.lower():
        raise ValueError("a field mask that cannot be printed")
    return text
