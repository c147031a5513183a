"""Names of headers, in every spelling that whoever reads them may take for the same."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from transcoder.errors import ConfigError

_SIGNS: Final = {code: "-" for code in range(128) if not chr(code).isalnum()}
_PATTERN: Final = re.compile(r"[!#$%&'+.^_`|~0-9A-Za-z-]+\*?")


class HeaderNames:
    """Some headers: by name, or by how their names begin.

    A header is one of them in any case, with `_`, `.` or another such sign for `-`, as CGI has them
    all alike, and in `-bin`, as whose bytes gRPC tells what no text may hold.

    Args:
        names: of headers; one that ends in `*`, as `x-user-*`, is of all that begin so.
        but: those that are none of them nevertheless, likewise.

    Raises:
        ConfigError: one of them no header can have.

    >>> names = HeaderNames(["x-internal", "x-user-*"])
    >>> "X_Internal-Bin" in names, "x-user-id" in names, "x-user" in names
    (True, True, False)
    >>> "x-user-name-*" in names
    True
    """

    __slots__ = ("_but", "_exact", "_prefixes")

    def __init__(self, names: Iterable[str], but: Iterable[str] = ()) -> None:
        given, others = tuple(names), tuple(but)
        self._but = HeaderNames(others) if others else None
        for problem in filter(None, map(problem_of_name, given)):
            raise ConfigError(f"strip: {problem}")
        self._exact = frozenset(spelt(name) for name in given if not name.endswith("*"))
        begin = {folded(name[:-1]) for name in given if name.endswith("*")}
        self._prefixes = tuple(sorted(begin))

    def __contains__(self, name: str) -> bool:
        """Say whether a header is one of them, or all that begin so are."""
        if self._but is not None and name in self._but:
            return False
        if name.endswith("*"):
            return folded(name[:-1]).startswith(self._prefixes)
        text = spelt(name)
        return text in self._exact or text.startswith(self._prefixes)


def folded(name: str) -> str:
    """Return a name as servers that know neither case nor signs have it."""
    return name.lower().translate(_SIGNS)


def problem_of_name(name: str) -> str:
    """Return why a name, or its beginning before a `*`, is that of no header; empty if it is."""
    if _PATTERN.fullmatch(name):
        return ""
    return f"{name!r}: a header is expected, as x-user-id, or several, as x-user-*"


def spelt(name: str) -> str:
    """Return a name folded, without the `-bin` that says how a value is sent."""
    return folded(name).removesuffix("-bin")
