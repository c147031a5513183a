"""A line of the last few minutes, as small as a word."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

GAP: Final = 5.0
"""Seconds without a look across which no line is drawn."""


class Spot(NamedTuple):
    """One point of a line.

    Args:
        at: when it was.
        value: how much.
        text: as SVG has it; the browser scales.
    """

    at: float
    value: float
    text: str

    @classmethod
    def of(cls, at: float, value: float) -> Spot:
        """Return a point.

        >>> Spot.of(1.25, 1000)
        Spot(at=1.25, value=1000, text='1.2,-1000')
        """
        return cls(at, value, f"{at:.1f},{0 - value:.4g}")


def sparkline(
    lines: Sequence[Sequence[Spot | None]], now: float, seconds: float, least: float = 0
) -> str:
    """Return lines as SVG, all to one scale, which begins at 0.

    Args:
        lines: of the oldest point first; None is a gap.
        now: when the right end is.
        seconds: that the width stands for.
        least: what the height stands for at least.

    >>> line = [Spot.of(8, 5.0), None, Spot.of(10, 10.0)]
    >>> sparkline([line], now=10, seconds=2).count("<polyline")
    2
    """
    top = max([spot.value for line in lines for spot in line if spot is not None], default=0.0)
    scale = max(top, least) or 1.0
    parts = "".join(
        f'<polyline class="l{number}" points="{points}"/>'
        for number, line in enumerate(lines)
        for points in _pieces(line)
    )
    # Room for half of a line's width, above and below.
    box = f"{now - seconds:.1f} {-scale * 1.07:.4g} {seconds:g} {scale * 1.14:.4g}"
    return (
        f'<svg class="spark" viewBox="{box}" preserveAspectRatio="none" aria-hidden="true">'
        f"{parts}</svg>"
    )


def _pieces(line: Sequence[Spot | None]) -> list[str]:
    """Return the points of each piece of a line that has gaps."""
    pieces: list[str] = []
    points: list[str] = []
    before = 0.0
    for spot in line:
        if spot is None:
            pieces += _piece(points)
            points = []
            continue
        at, _, text = spot
        if at - before > GAP:
            pieces += _piece(points)
            points = []
        points.append(text)
        before = at
    return pieces + _piece(points)


def _piece(points: list[str]) -> list[str]:
    # A point by itself is a line of no length, which a round end makes visible.
    return [" ".join(points if len(points) > 1 else points * 2)] if points else []
