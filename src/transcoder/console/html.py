"""Values as HTML shows them, whoever made them up."""

from __future__ import annotations

import html
from datetime import UTC, datetime
from typing import Final

NOTHING: Final = "-"


def text(value: str, *, lines: bool = False) -> str:
    r"""Return a text that is no markup, and turns no text around it.

    Args:
        value: from whomever.
        lines: whether it may have several.

    >>> text("<b>\u202ename\0")
    '&lt;b&gt;�name�'
    """
    if not value.isprintable():
        kept = "\n" if lines else ""
        value = "".join(each if each.isprintable() or each in kept else "\ufffd" for each in value)
    return html.escape(value)


def cut(value: str, length: int) -> str:
    """Return a text of a length at most, as HTML."""
    return text(value if len(value) <= length else f"{value[: length - 1]}…")


def rate(value: float) -> str:
    """Return calls a second.

    >>> rate(0), rate(0.25), rate(1234.5)
    ('0', '0.25', '1,234')
    """
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}".rstrip("0").rstrip(".")


def share(value: float) -> str:
    """Return a share in percent.

    >>> share(0), share(0.0005), share(0.125)
    ('0 %', '0.05 %', '12.5 %')
    """
    percent = f"{value * 100:.2f}" if 0 < value < 0.001 else f"{value * 100:.1f}"
    return f"{percent.removesuffix('.0')} %"


def seconds(value: float | None) -> str:
    """Return a duration.

    >>> seconds(None), seconds(0.00042), seconds(0.012), seconds(1.5)
    ('-', '0.42 ms', '12 ms', '1.5 s')
    """
    if value is None:
        return NOTHING
    if value >= 1:
        return f"{value:.3g} s"
    return f"{value * 1000:.2g} ms" if value < 0.01 else f"{value * 1000:.0f} ms"


def moment(value: float) -> str:
    """Return a time of the day, in UTC.

    >>> moment(0.25)
    '00:00:00.250'
    """
    told = datetime.fromtimestamp(value, UTC)
    return f"{told:%H:%M:%S}.{told.microsecond // 1000:03}"
