"""What a JSON document may cost before anything is done with it.

The cost of reading JSON grows with its values, and with what each of them is: at the speed of
json_format, to which a client can force any document, a value takes 4 to 20 microseconds. So values
are bounded, and counted before the document is read: a count of bytes first, which is never too
low, and the real count, piece by piece, only where that is over what is allowed.
"""

from __future__ import annotations

ON_LOOP = 4_000
"""Values of a document that is read on the event loop; a larger one would hold it too long."""

LONG = 131_072
"""Bytes of a document that is read on the event loop, however few values it has."""

LIMIT = 100_000
"""Values of a document that is read at all."""

_PIECE = 65_536


def json_values(document: bytes, enough: int = ON_LOOP) -> int:
    """Return how many values a JSON document has, or more; over `enough` only if it really is.

    Every value but the first stands behind a comma or an opening bracket. What is no JSON has a
    number as well. The count ends where it is over `enough`, and gives other threads their turns.

    >>> json_values(b'{"a": [1, 2], "b": "x,y"}')
    6
    >>> json_values(b'{"a": [1, 2], "b": "x,y"}', enough=4)
    5
    """
    bound = 1 + _separators(document)
    return bound if bound <= enough else _exact(document, enough)


def _exact(document: bytes, enough: int) -> int:
    values, in_string, carried = 1, False, b""
    for start in range(0, len(document), _PIECE):
        piece = carried + document[start : start + _PIECE]
        carried = b""
        if b"\\" in piece:
            # A backslash at the end of a piece belongs to the next one, with what it escapes.
            if (len(piece) - len(piece.rstrip(b"\\"))) % 2:
                piece, carried = piece[:-1], b"\\"
            piece = piece.replace(b"\\\\", b"").replace(b'\\"', b"")
        # Every other quote ends a string; an unfinished one runs to the end.
        parts = piece.split(b'"')
        values += _separators(b"".join(parts[in_string::2]))
        in_string ^= len(parts) % 2 == 0
        if values > enough:
            break
    return values


def _separators(document: bytes) -> int:
    return document.count(b",") + document.count(b"[") + document.count(b"{")
