"""The path of a request, as the client sent it: split, then decoded, once.

It is the text of the request line, still percent-encoded. Nothing is normalised: a dot segment, in
whatever spelling, is refused, and an empty segment matches nothing ("last-wins": it matches as any
other). `%2F` is data, and no literal equals it; "all" splits at `%2F` as well, though not at `%2f`,
as grpc-gateway does, and "legacy" decodes before it splits. `%3A` is data too, and no verb begins
at it. The other modes differ in what they leave encoded in a variable of several segments:
"except-reserved" the reserved characters of RFC 6570, "except-slash" the slash.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

from transcoder.errors import InvalidRequest
from transcoder.profile import Unescape

_DOT_SEGMENT: Final = re.compile(r"[/\0]\.\.?(?:[/\0]|\Z)")
_A_NUL: Final = "the path holds a NUL"
_BAD_ESCAPE: Final = "the path holds a malformed percent escape"
_NOT_UTF_8: Final = "the path is not UTF-8 once it is decoded"
_PAIRS: Final = [
    f"{high}{low}" for high in "0123456789ABCDEFabcdef" for low in "0123456789ABCDEFabcdef"
]


_MALFORMED: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_RESERVED: Final = "!#$&'()*+,/:;=?@[]"
_FEW: Final = 16
"""Escapes that are looked up one by one; more of them are decoded at once."""


class _Reading:
    """What the escapes of a text stand for.

    Args:
        kept: characters that stay encoded.
        slash: what an encoded slash is read as, unless it is kept.
    """

    __slots__ = ("characters", "slash", "staying")

    def __init__(self, kept: str = "", slash: str = "/") -> None:
        characters = {pair: chr(int(pair, 16)) for pair in _PAIRS if pair != "00"}
        stay = {pair: f"%{pair}" for pair, each in characters.items() if each in kept}
        self.characters = characters | dict.fromkeys(("2F", "2f"), slash) | stay
        self.staying = re.compile(f"%(?={'|'.join(stay)})") if stay else None
        self.slash = slash


_KEY: Final = _Reading(slash="\0")
_ALL: Final = _Reading()
_VALUE: Final[dict[Unescape, _Reading]] = {
    "except-reserved": _Reading(_RESERVED),
    "except-slash": _Reading("/"),
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
    check(path)
    if unescape == "legacy":
        path = unquoted(path, unescape)
    elif unescape == "all":
        path = path.replace("%2F", "/")
    if drop_slash:
        path = path.rstrip("/") or "/"
    text = path if unescape == "legacy" else key_of(path)
    check_dots(text)
    if path == "/":
        return [""], [""]
    if not empty_segments and ("//" in path or path[-1] == "/"):
        return None
    raw = path.split("/")
    return (raw if text is path else text.split("/")), raw


def check_dots(key: str) -> None:
    """Refuse a decoded path with a dot segment.

    Raises:
        InvalidRequest: it has one.
    """
    if "." in key and _DOT_SEGMENT.search(key):
        raise InvalidRequest("the path holds a dot segment")


def key_of(text: str) -> str:
    """Return a part of a path decoded, with NUL for an encoded slash."""
    return _decoded(text, _KEY) if "%" in text else text


def stays_encoded(path: str, unescape: Unescape) -> bool:
    """Say whether some of a path stays encoded in the value of several segments."""
    staying = _VALUE[unescape].staying
    return staying is not None and staying.search(path) is not None


def unquoted(text: str, unescape: Unescape) -> str:
    """Decode the value of several segments once, all but what the mode leaves encoded.

    >>> unquoted("a%2Fb/%63", "except-reserved"), unquoted("a%2Fb/%63", "all")
    ('a%2Fb/c', 'a/b/c')
    """
    return _decoded(text, _VALUE[unescape]) if "%" in text else text


def check(path: str) -> None:
    """Refuse what is no path, or holds what no path may.

    Raises:
        InvalidRequest: it is not ASCII, does not start with a slash, or holds a NUL.
    """
    if not path.startswith("/"):
        raise InvalidRequest("the path must start with '/'")
    if not path.isascii():
        raise InvalidRequest("the path is not ASCII: percent-encode it")
    if "\0" in path:
        raise InvalidRequest(_A_NUL)


def _decoded(text: str, reading: _Reading) -> str:
    """Replace each escape in an ASCII text by what stands for it, and read the whole as UTF-8."""
    decoded, *parts = text.split("%")
    if len(parts) > _FEW:
        return _decoded_at_once(text, reading)
    characters = reading.characters
    try:
        for part in parts:
            decoded += characters[part[:2]] + part[2:]
        return decoded if decoded.isascii() else decoded.encode("latin-1").decode()
    except KeyError as error:
        raise InvalidRequest(_A_NUL if error.args == ("00",) else _BAD_ESCAPE) from None
    except UnicodeDecodeError:
        raise InvalidRequest(_NOT_UTF_8) from None


def _decoded_at_once(text: str, reading: _Reading) -> str:
    """Decode as `_decoded` does; quoted-printable, which C decodes, differs in its sign only."""
    if "%00" in text:
        raise InvalidRequest(_A_NUL)
    if _MALFORMED.search(text):
        raise InvalidRequest(_BAD_ESCAPE)
    if reading.staying is not None:
        text = reading.staying.sub("%25", text)
    elif reading.slash != "/":
        text = text.replace("%2F", reading.slash).replace("%2f", reading.slash)
    quoted = text.replace("=", "=3D").replace("%", "=").encode()
    try:
        return binascii.a2b_qp(quoted).decode()
    except UnicodeDecodeError:
        raise InvalidRequest(_NOT_UTF_8) from None
