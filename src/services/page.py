"""Pages of a list (AIP-158): how long they are, and the tokens that say where one begins."""

from __future__ import annotations

import base64

from services.refusal import invalid

_SIZE = 50
_SIZE_LIMIT = 250


def size(page_size: int) -> int:
    """Return how many items a page has.

    >>> size(0), size(7), size(10_000)
    (50, 7, 250)
    """
    return min(page_size or _SIZE, _SIZE_LIMIT)


def token(last: str) -> str:
    """Return the token of the page that begins after an item.

    >>> token("lamp")
    'bGFtcA'
    """
    return base64.urlsafe_b64encode(last.encode()).rstrip(b"=").decode()


def after(page_token: str) -> str:
    """Return the item after which a page begins; the empty string for the first page.

    Raises:
        StatusError: INVALID_ARGUMENT, the token is none of `token`.

    >>> after("bGFtcA")
    'lamp'
    """
    try:
        last = base64.urlsafe_b64decode(page_token + "=" * (-len(page_token) % 4)).decode()
    except ValueError:
        last = ""
    if token(last) != page_token or "\0" in last:
        raise invalid("page_token", "is no next_page_token of this list")
    return last
