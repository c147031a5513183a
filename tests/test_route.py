from __future__ import annotations

import pytest

from transcoder.path_template import PathTemplate
from transcoder.route import Conflict, Route


def route(name: str, text: str) -> Route[None]:
    return Route("GET", PathTemplate.parse(text), name, None)


def test_route_as_text() -> None:
    """Messages show a route by its name, its method and its template."""
    assert str(route("a.B.Get", "/v1/{name=b/*}")) == "a.B.Get (GET /v1/{name=b/*})"


def test_route_without_a_name() -> None:
    """One that is named by its template is not told twice."""
    assert str(route("/a/*", "/a/*")) == "GET /a/*"


@pytest.mark.parametrize(
    ("same", "told"),
    [
        (True, "A (GET /{x}) and B (GET /{y}) answer the same requests: remove one of them"),
        (False, "B (GET /{y}) can never answer: A (GET /{x}) takes all its paths"),
    ],
)
def test_conflict_as_text(*, same: bool, told: str) -> None:
    """A conflict names both routes, and what is wrong with them."""
    conflict = Conflict(route("B", "/{y}"), route("A", "/{x}"), same=same)

    assert str(conflict) == told
    assert conflict.outcome == "B (GET /{y}) never answers: A (GET /{x}) does"
