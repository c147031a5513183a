from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from transcoder.console.diagram import NODES, diagram
from transcoder.topology import CLIENTS, Edge

SVG = "{http://www.w3.org/2000/svg}"


def parsed(text: str) -> ET.Element:
    """Return a drawing, which is well-formed."""
    return ET.fromstring(text.replace("<svg ", f'<svg xmlns="{SVG[1:-1]}" ', 1))  # noqa: S314  our own


def boxes(text: str) -> dict[str, tuple[str, float, float]]:
    """Return the class and the place of each box, by its name."""
    found = {}
    for group in parsed(text).iter(f"{SVG}g"):
        title, box = group.find(f"{SVG}title"), group.find(f"{SVG}rect")
        assert title is not None
        assert box is not None
        place = float(box.get("x", "")), float(box.get("y", ""))
        found[title.text or ""] = group.get("class", ""), *place
    return found


def test_kinds() -> None:
    """It is seen who tells of itself, who does not, and who does not answer."""
    edges = [Edge(source=CLIENTS, destination="gate"), Edge(source="gate", destination="b.B")]
    found = boxes(diagram(edges, {"gate"}, {"peer:1"}))
    kinds = {name: kind for name, (kind, *_) in found.items()}
    assert kinds == {CLIENTS: "clients", "gate": "process", "b.B": "other", "peer:1": "down"}


def test_layers() -> None:
    """Who is called stands to the right, and no box stands upon another."""
    edges = [
        Edge(source=source, destination=destination)
        for source, destination in [(CLIENTS, "g"), ("g", "a"), ("g", "b"), ("a", "c")]
    ]
    found = boxes(diagram(edges, {"g", "a", "b", "c"}))
    across = {name: x for name, (_, x, _) in found.items()}
    assert across[CLIENTS] < across["g"] < across["a"] == across["b"] < across["c"]
    assert len({place for _, *place_ in found.values() for place in [tuple(place_)]}) == len(found)


def test_rates() -> None:
    """Each line tells how much goes along, and what fails is seen."""
    edges = [
        Edge(source="a", destination="b", rate=12.5, failed=0.1, p50=0.01, p99=0.2),
        Edge(source="a", destination="c", rate=3),
    ]
    text = diagram(edges, {"a"})
    assert re.findall(r">([^<]*/s[^<]*)</text>", text) == ["12.5/s · 10 %", "3/s"]
    assert text.count('class="edge failing"') == 1
    assert "a → b: 12.5/s, 10 % failed, p50 10 ms, p99 200 ms" in text


def test_circle() -> None:
    """A line that leads back is drawn too."""
    edges = [Edge(source="a", destination="b"), Edge(source="b", destination="a")]
    assert diagram(edges, {"a", "b"}).count("<path class=") == 2


def test_bounded() -> None:
    """Of many the busiest are drawn, and what lies between them."""
    edges = [
        Edge(source="gate", destination=f"b{number}", rate=number) for number in range(10 * NODES)
    ]
    found = boxes(diagram(edges, {"gate"}))
    assert len(found) == NODES
    assert {"gate", f"b{10 * NODES - 1}"} <= found.keys()


@pytest.mark.parametrize(
    "name", ["<script>alert(1)</script>", '"><g onload="x">', "a\u202eb\0c", "&lt;", "x" * 5000]
)
def test_hostile_names(name: str) -> None:
    """A name is never markup, nor does it turn what stands beside it."""
    text = diagram([Edge(source=name, destination="b")], {"b"}, {name + "2"})
    names = {element.tag.removeprefix(SVG) for element in parsed(text).iter()}
    assert names == {"svg", "defs", "marker", "path", "title", "g", "rect", "text"}
    assert "\u202e" not in text
    assert 'onload="' not in text


def test_nobody() -> None:
    """Without any call there is the process alone."""
    assert list(boxes(diagram([], {"gate"}))) == ["gate"]
