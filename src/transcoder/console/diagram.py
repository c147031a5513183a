"""Who calls whom, as a drawing in layers."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from transcoder.console import html
from transcoder.topology import CLIENTS, Edge, layers

NODES: Final = 40
"""How many are drawn: those with the most calls."""

_WIDTH, _HEIGHT = 190, 46
_ACROSS, _DOWN = 320, 76
_MARGIN = 8
_LETTERS = 24
_PARTS = re.compile("[./]")


@dataclass(frozen=True, slots=True)
class _Place:
    x: float
    y: float


def diagram(edges: Sequence[Edge], known: Collection[str], down: Collection[str] = ()) -> str:
    """Return a drawing as SVG.

    Args:
        edges: of the whole.
        known: names of processes that tell of themselves.
        down: names of those that should and do not.
    """
    drawn = _busiest(edges, [*known, *down])
    edges = [each for each in edges if {each.source, each.destination} <= drawn]
    columns = layers(edges, drawn)
    tallest = max(map(len, columns), default=0)
    places = {
        name: _Place(
            _MARGIN + number * _ACROSS,
            _MARGIN + (row + (tallest - len(column)) / 2) * _DOWN,
        )
        for number, column in enumerate(columns)
        for row, name in enumerate(column)
    }
    width = 2 * _MARGIN + max(len(columns) - 1, 0) * _ACROSS + _WIDTH
    height = 2 * _MARGIN + max(tallest - 1, 0) * _DOWN + _HEIGHT
    kinds = {name: _kind(name, known, down) for name in places}
    lines = "".join(_edge(each, places) for each in edges)
    labels = "".join(_label(each, places) for each in edges)
    boxes = "".join(_box(name, place, *kinds[name]) for name, place in places.items())
    return (
        f'<svg class="diagram" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-label="Who calls whom">{_ARROW}{lines}{boxes}{labels}</svg>'
    )


_ARROW: Final = (
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" '
    'markerUnits="userSpaceOnUse" orient="auto"><path d="M0 0L8 4L0 8z"/></marker></defs>'
)


def _busiest(edges: Sequence[Edge], names: Sequence[str]) -> set[str]:
    calls: dict[str, float] = dict.fromkeys(names, 0.0)
    for edge in edges:
        for name in (edge.source, edge.destination):
            calls[name] = calls.get(name, 0.0) + edge.rate
    ranked = sorted(calls, key=lambda name: (-calls[name], name))
    return set(ranked[:NODES])


def _kind(name: str, known: Collection[str], down: Collection[str]) -> tuple[str, str]:
    """Return the class of a box, and what is said of it."""
    if name in down:
        return "down", "does not answer"
    if name in known:
        return "process", ""
    return ("clients", "without a certificate") if name == CLIENTS else ("other", "tells nothing")


def _box(name: str, place: _Place, kind: str, note: str) -> str:
    x, y = place.x, place.y
    middle = x + _WIDTH / 2
    height = y + (20 if note else 28)
    below = f'<text class="note" x="{middle:g}" y="{y + 36:g}">{note}</text>' if note else ""
    return (
        f'<g class="{kind}"><title>{html.text(name)}</title>'
        f'<rect x="{x:g}" y="{y:g}" width="{_WIDTH}" height="{_HEIGHT}" rx="8"/>'
        f'<text x="{middle:g}" y="{height:g}">{html.text(_short(name))}</text>{below}</g>'
    )


def _short(name: str) -> str:
    """Return a name that fits: its end tells more than its beginning, as of a service.

    >>> _short("services.user.v1.UserService"), _short("x" * 100)
    ('…user.v1.UserService', '…xxxxxxxxxxxxxxxxxxxxxxx')
    """
    if len(name) <= _LETTERS:
        return name
    end = name[1 - _LETTERS :]
    parts = _PARTS.split(end, maxsplit=1)
    return f"…{parts[-1]}"


def _ends(edge: Edge, places: Mapping[str, _Place]) -> tuple[_Place, _Place, bool]:
    """Return where an edge begins and ends, and whether it leads back."""
    source, destination = places[edge.source], places[edge.destination]
    back = destination.x <= source.x
    begin = _Place(source.x + _WIDTH, source.y + _HEIGHT / 2)
    end = _Place(destination.x, destination.y + _HEIGHT / 2)
    return begin, end, back


def _edge(edge: Edge, places: Mapping[str, _Place]) -> str:
    begin, end, back = _ends(edge, places)
    bend = _ACROSS / 2 if back else max(40.0, (end.x - begin.x) / 2)
    width = 1.5 + min(4.0, math.log10(1 + edge.rate))
    failing = " failing" if edge.failed > 0 else ""
    path = (
        f"M{begin.x:g} {begin.y:g}C{begin.x + bend:g} {begin.y:g} {end.x - bend:g} {end.y:g} "
        f"{end.x:g} {end.y:g}"
    )
    told = (
        f"{edge.source} → {edge.destination}: {html.rate(edge.rate)}/s, "
        f"{html.share(edge.failed)} failed, p50 {html.seconds(edge.p50)}, "
        f"p99 {html.seconds(edge.p99)}"
    )
    return (
        f'<path class="edge{failing}" d="{path}" stroke-width="{width:.1f}" '
        f'marker-end="url(#arrow)"><title>{html.text(told)}</title></path>'
    )


def _label(edge: Edge, places: Mapping[str, _Place]) -> str:
    begin, end, _ = _ends(edge, places)
    failing = f" · {html.share(edge.failed)}" if edge.failed else ""
    said = f"{html.rate(edge.rate)}/s{failing}"
    x, y = (begin.x + end.x) / 2, (begin.y + end.y) / 2 + 4
    kind = "rate failing" if edge.failed else "rate"
    return f'<text class="{kind}" x="{x:g}" y="{y:g}">{said}</text>'
