"""docs/http-backends.md says what the code does."""

from __future__ import annotations

import inspect
from pathlib import Path

from pages import page
from transcoder import Code, Gateway, HttpUpstream
from transcoder.config import build, load
from transcoder.forwarding import Forwarding
from transcoder.http_upstream.retries import SHARE

PAGE = page("http-backends.md")
ROUTES = [
    ("*", "/legacy/**", "/legacy"),
    ("GET", "/reports/{name}", ""),
]


def routes(gateway: Gateway) -> list[tuple[str, str, str]]:
    """Return what a gateway passes on: methods, paths, and what is stripped of them."""
    return [
        (route.method, route.template.text, route.endpoint.strip_prefix)
        for route in gateway.transcoder.routes
        if isinstance(route.endpoint, Forwarding)
    ]


def test_python() -> None:
    """The example makes what it says."""
    (example,) = PAGE.blocks("python")

    assert routes(PAGE.run(example)["gateway"]) == ROUTES


def test_yaml(tmp_path: Path) -> None:
    """The file is one that can be served, and says the same."""
    (example,) = PAGE.blocks("yaml")
    (tmp_path / "gateway.yaml").write_text(example)
    gateway = build(load(tmp_path / "gateway.yaml"), tmp_path).gateway

    assert routes(gateway) == ROUTES
    assert {policy.name for policy in gateway.chain.policies} >= {"request-id", "internal"}


def test_options() -> None:
    """Each option has its row, with its default."""
    parameters = inspect.signature(HttpUpstream).parameters
    told = {row[0].strip("`"): row[1].strip("`") for row in PAGE.rows("## Options")}

    assert told == {
        name: repr(parameter.default).replace("'", '"')
        for name, parameter in parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def test_words() -> None:
    """Codes and numbers are the code's."""
    rows = PAGE.rows("## When something is wrong")
    named = {word for row in rows for word in row[1].replace("`", "").split() if word.isupper()}

    assert {word.strip(",") for word in named} <= {code.name for code in Code}
    assert SHARE == 1 / 5
