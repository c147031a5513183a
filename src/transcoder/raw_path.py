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
from urllib.parse import unquote_to_bytes

from transcoder.errors import InvalidRequest
from transcoder.profile import Unescape

DOT_SEGMENTS: Final = (".", "..")
_MALFORMED: Final = re.compile("%(?![0-9A-Fa-f]{2})")
_KEPT: Final = {
    "except-reserved": re.compile("(%(?:2[1346-9A-CF]|3[ABDF]|40|5[BD]))", re.IGNORECASE),
    "except-slash": re.compile("(%2F)", re.IGNORECASE),
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
    text = _decoded(path)
    if unescape == "legacy":
        path = text
    elif unescape == "all":
        path = path.replace("%2F", "/")
    if drop_slash:
        path = path.rstrip("/") or "/"
    if path == "/":
        return [""], [""]
    if not empty_segments and ("//" in path or path.endswith("/")):
        return None
    raw = keys = path.split("/")
    if unescape != "legacy" and "%" in path:
        slashes = "%2F" in path or "%2f" in path
        keys = (key_of(path) if slashes else text).split("/")[: len(raw)]
    return keys, raw


def key_of(text: str) -> str:
    """Return a part of a path decoded, with NUL for an encoded slash."""
    if "%" not in text:
        return text
    return _unquoted(text.replace("%2F", "%00").replace("%2f", "%00"))


def unquoted(text: str, unescape: Unescape) -> str:
    """Decode the value of several segments once, all but what the mode leaves encoded.

    >>> unquoted("a%2Fb/%63", "except-reserved"), unquoted("a%2Fb/%63", "all")
    ('a%2Fb/c', 'a/b/c')
    """
    kept = _KEPT.get(unescape)
    if kept is None:
        return _unquoted(text)
    parts = kept.split(text)
    parts[::2] = [_unquoted(part) for part in parts[::2]]
    return "".join(parts)


def _decoded(path: str) -> str:
    """Return a path all decoded, for what is forbidden to show in it."""
    if not path.startswith("/"):
        raise InvalidRequest("the path must start with '/'")
    if not path.isascii():
        raise InvalidRequest("the path is not ASCII: percent-encode it")
    if _MALFORMED.search(path):
        raise InvalidRequest("the path holds a malformed percent escape")
    text = _unquoted(path)
    if "\0" in text:
        raise InvalidRequest("the path holds a NUL")
    if "/." in text and not set(DOT_SEGMENTS).isdisjoint(text.split("/")):
        raise InvalidRequest("the path holds a dot segment")
    return text


def _unquoted(text: str) -> str:
    try:
        return unquote_to_bytes(text).decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest("the path is not UTF-8 once it is decoded") from None
