"""The path of a request, as the client sent it: split, then decoded, once.

It is the text of the request line, still percent-encoded. Nothing is normalised: a dot segment, in
whatever spelling, is refused, and an empty segment matches nothing ("last-wins": it matches as any
other). `%2F` is data, and no literal equals it; "all" splits at `%2F` as well, though not at `%2f`,
as grpc-gateway does, and "legacy" decodes before it splits. `%3A` is data too, and no verb begins
at it. The other modes differ in what they leave encoded in a variable of several segments:
"except-reserved" the reserved characters of RFC 6570, "except-slash" the slash.
"""

from __future__ import annotations

import re
from typing import Final

from transcoder.errors import InvalidRequest
from transcoder.profile import Unescape

_DOT_SEGMENT: Final = re.compile(r"[/\0]\.\.?(?:[/\0]|\Z)")
_PAIRS: Final = [
    f"{high}{low}" for high in "0123456789ABCDEFabcdef" for low in "0123456789ABCDEFabcdef"
]


def _characters(kept: str, slash: str = "/") -> dict[str, str]:
    """Return what each pair of digits stands for, those of kept characters for themselves."""
    characters = {pair: chr(int(pair, 16)) for pair in _PAIRS if pair != "00"}
    stay = {pair: f"%{pair}" for pair, each in characters.items() if each in kept}
    return characters | dict.fromkeys(("2F", "2f"), slash) | stay


_KEY: Final = _characters(kept="", slash="\0")
_ALL: Final = _characters(kept="")
_VALUE: Final[dict[Unescape, dict[str, str]]] = {
    "except-reserved": _characters(kept="!#$&'()*+,/:;=?@[]"),
    "except-slash": _characters(kept="/"),
    "all": _ALL,
    "legacy": _ALL,
}


def split(
    path: str, unescape: Unescape, *, drop_slash: bool = False, empty_segments: bool = False
) -> tuple[list[str], list[str]] | None:
    r"""Return the segments of a path, decoded as keys, and raw as they came.

    In the keys an encoded slash is NUL, which no literal holds and no request may send. Both are
    one list if there is nothing to decode. The first of them is the text before the first slash.

    Args:
        path: percent-encoded, without the query.
        unescape: what is split at, and what stays encoded.
        drop_slash: drop empty segments at the end.
        empty_segments: take those that are left, instead of returning None.

    Raises:
        InvalidRequest: the path is malformed.

    >>> split("/v1/a%2Fb/%63", "except-reserved")
    (['', 'v1', 'a\x00b', 'c'], ['', 'v1', 'a%2Fb', '%63'])
    """
    _check(path)
    if unescape == "legacy":
        path = unquoted(path, unescape)
    elif unescape == "all":
        path = path.replace("%2F", "/")
    if drop_slash:
        path = path.rstrip("/") or "/"
    text = path if unescape == "legacy" else key_of(path)
    if "." in text and _DOT_SEGMENT.search(text):
        raise InvalidRequest("the path holds a dot segment")
    if path == "/":
        return [""], [""]
    if not empty_segments and ("//" in path or path[-1] == "/"):
        return None
    raw = path.split("/")
    return (raw if text is path else text.split("/")), raw


def key_of(text: str) -> str:
    """Return a part of a path decoded, with NUL for an encoded slash."""
    return _decoded(text, _KEY) if "%" in text else text


def unquoted(text: str, unescape: Unescape) -> str:
    """Decode the value of several segments once, all but what the mode leaves encoded.

    >>> unquoted("a%2Fb/%63", "except-reserved"), unquoted("a%2Fb/%63", "all")
    ('a%2Fb/c', 'a/b/c')
    """
    return _decoded(text, _VALUE[unescape]) if "%" in text else text


def _check(path: str) -> None:
    if not path.startswith("/"):
        raise InvalidRequest("the path must start with '/'")
    if not path.isascii():
        raise InvalidRequest("the path is not ASCII: percent-encode it")
    if "\0" in path:
        raise InvalidRequest("the path holds a NUL")


def _decoded(text: str, characters: dict[str, str]) -> str:
    """Replace each escape in an ASCII text by what stands for it, and read the whole as UTF-8."""
    decoded, *parts = text.split("%")
    try:
        for part in parts:
            decoded += characters[part[:2]] + part[2:]
        return decoded if decoded.isascii() else decoded.encode("latin-1").decode()
    except KeyError as error:
        problem = "a NUL" if error.args == ("00",) else "a malformed percent escape"
        raise InvalidRequest(f"the path holds {problem}") from None
    except UnicodeDecodeError:
        raise InvalidRequest("the path is not UTF-8 once it is decoded") from None
