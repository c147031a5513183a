"""docs/policies/index.md says what the code does."""

from __future__ import annotations

from starlette.testclient import TestClient

from pages import page
from transcoder.policies import Stage

PAGE = page("policies/index.md")


def test_stages() -> None:
    """The table has every stage, in the order of the code."""
    told = [row[0].strip("`") for row in PAGE.rows("# What decides which calls come in?")]

    assert told == [stage.name for stage in sorted(Stage)]


def test_python() -> None:
    """The gateway of the page has the policy."""
    (block,) = PAGE.blocks("python")
    answer = TestClient(PAGE.run(block)["app"]).get("/healthz")

    assert answer.headers["x-frame-options"] == "DENY"
