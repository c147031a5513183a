from __future__ import annotations

import re

import pytest

from transcoder.console.sparkline import GAP, Spot, sparkline

Line = list[Spot | None]


def line(*spots: tuple[float, float] | None) -> Line:
    """Return a line."""
    return [None if each is None else Spot.of(*each) for each in spots]


def drawn(*lines: Line, least: float = 0) -> tuple[list[float], list[list[list[float]]]]:
    """Return the box, and the points of each piece that is drawn; the right end is at 10."""
    text = sparkline(lines, 10, 10, least)
    (box,) = re.findall(r'viewBox="([^"]*)"', text)
    found = re.findall(r'points="([^"]*)"', text)
    pieces = [[[*map(float, point.split(","))] for point in each.split()] for each in found]
    return [*map(float, box.split())], pieces


def test_points() -> None:
    """Points are where they are, and what is more is higher."""
    box, (points,) = drawn(line((1, 5), (2, 20)))
    assert points == [[1, -5], [2, -20]]
    assert (box[0], box[2]) == (0, 10)


@pytest.mark.parametrize(("least", "top"), [(0, 10), (20, 20), (5, 10)])
def test_scale(least: float, top: float) -> None:
    """The most is at the top, unless that stands for more; below is 0."""
    (_, begin, _, height), _ = drawn(line((1, 0), (2, 10)), least=least)
    assert (begin, begin + height) == pytest.approx((-1.07 * top, 0.07 * top))


def test_one_scale() -> None:
    """Lines have the same scale."""
    box, pieces = drawn(line((1, 5), (2, 5)), line((1, 10), (2, 10)))
    assert len(pieces) == 2
    assert box[1] == pytest.approx(-10.7)


def test_gaps() -> None:
    """Where nothing was, or nobody looked, there is no line; what stands alone is a point."""
    _, pieces = drawn(line((1, 1), (2, 1), None, (3, 1), (3.5 + GAP, 1), (9, 1)))
    assert [len(each) for each in pieces] == [2, 2, 2]
    assert pieces[1][0] == pieces[1][1]


def test_nothing() -> None:
    """Of nothing, nothing is drawn, to a scale that there is."""
    box, pieces = drawn([], line(None), least=0)
    assert pieces == []
    assert box[3] > 0
