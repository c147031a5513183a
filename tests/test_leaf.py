from __future__ import annotations

import pytest

from transcoder.leaf import NOT_FOUND, Entry, Leaf, miss
from transcoder.path_template import PathTemplate
from transcoder.route import Miss, Route


def leaf(*methods: str) -> Leaf[str]:
    made: Leaf[str] = Leaf()
    for age, method in enumerate(methods):
        route = Route(method, PathTemplate.parse("/{x}/{y=a/**}"), method, method)
        made.add(Entry(route, age, "except-slash"))
    return made


@pytest.mark.parametrize("methods", [("GET", "HEAD"), ("HEAD", "GET")])
def test_head_of_its_own(methods: tuple[str, ...]) -> None:
    """GET answers HEAD too, but never in place of a HEAD route."""
    assert leaf("GET").methods["HEAD"].route.method == "GET"
    assert leaf(*methods).methods["HEAD"].route.method == "HEAD"


def test_explicit() -> None:
    """A method is explicit when a route names it; `*` is one of them."""
    made = leaf("GET", "*")

    assert [made.explicit(method) is not None for method in ("GET", "*", "HEAD", "PUT")] == [
        True,
        True,
        False,
        False,
    ]


def test_modes() -> None:
    """Only a variable of several segments keeps anything encoded."""
    entry = leaf("GET").methods["GET"]

    assert entry.modes == ["all", "except-slash"]


def test_miss() -> None:
    """What is allowed is what any of the leaves has, and OPTIONS; nothing without leaves."""
    assert miss(leaf("PUT"), leaf("GET")) == Miss(("GET", "HEAD", "OPTIONS", "PUT"))
    assert miss() is NOT_FOUND
