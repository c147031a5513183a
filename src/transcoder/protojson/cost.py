"""What a JSON document may cost before anything is done with it.

The cost of reading JSON grows with its values, and with what each of them is: at the speed of
json_format, to which a client can force any document, a value takes 4 to 20 microseconds. So values
are bounded, and counted before the document is read: a count of bytes first, which is never too
low, and the real count only where that is over what is allowed.
"""

from __future__ import annotations

ON_LOOP = 4_000
"""Values of a document that is read on the event loop; a larger one would hold it too long."""

LONG = 131_072
"""Bytes of a document that is read on the event loop, however few values it has."""

LIMIT = 100_000
"""Values of a document that is read at all."""


def json_values(document: bytes, enough: int = ON_LOOP) -> int:
    """Return how many values a JSON document has, or more; exact when over `enough`.

    Every value but the first stands behind a comma or an opening bracket. What is no JSON has a
    number as well.

    >>> json_values(b'{"a": [1, 2], "b": "x,y"}')
    6
    >>> json_values(b'{"a": [1, 2], "b": "x,y"}', enough=4)
    5
    """
    bound = _separators(document)
    return bound if bound <= enough else _separators(_without_strings(document))


def _without_strings(document: bytes) -> bytes:
    if b"\\" in document:
        document = document.replace(b"\\\\", b"").replace(b'\\"', b"")
    # Every other quote ends a string; an unfinished one runs to the end.
    return b"".join(document.split(b'"')[::2])


def _separators(document: bytes) -> int:
    return 1 + document.count(b",") + document.count(b"[") + document.count(b"{")
