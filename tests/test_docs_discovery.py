"""docs/discovery.md says what the code does."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from pages import page
from transcoder import Balanced, OutlierDetection, Server
from transcoder.config import build, load
from transcoder.discovery.records import Refresh
from transcoder.upstream.balancers import BALANCERS
from transcoder.upstream.endpoint_counts import LIMIT

PAGE, CHINESE = page("discovery.md"), page("zh/discovery.md")


def test_python() -> None:
    """The examples make what they say."""
    made: dict[str, Any] = {}
    for example in PAGE.blocks("python"):
        exec(example, made)  # noqa: S102  it is our own page

    assert isinstance(made["users"], Balanced)
    assert isinstance(made["server"], Server)


def test_yaml(tmp_path: Path) -> None:
    """The file is one that can be served; the page in Chinese has the same."""
    (example,) = PAGE.blocks("yaml")
    assert CHINESE.blocks("yaml") == [example]
    (tmp_path / "gateway.yaml").write_text(example)
    gateway = build(load(tmp_path / "gateway.yaml"), tmp_path).gateway
    found = gateway._registry.upstream_of("/services.user.v1.UserService/GetUser")

    assert isinstance(found, Balanced)


def test_words() -> None:
    """Names and numbers are the code's."""
    assert [row[0].strip("`") for row in PAGE.rows("## Who is next")] == list(BALANCERS)
    assert [row[0].strip("`") for row in CHINESE.rows("## 由谁响应")] == list(BALANCERS)
    assert f"from {Refresh().minimum:g} to {Refresh().maximum:g}" in PAGE.text
    assert f"of which {LIMIT} are told apart" in PAGE.text
    grace = inspect.signature(Balanced).parameters["grace"].default
    assert f"within `grace` ({grace:g} seconds)" in PAGE.text
    assert OutlierDetection() == OutlierDetection(consecutive=5, base=1.0, maximum_percent=50)
