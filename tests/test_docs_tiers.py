"""The pages about gateways in tiers show what the demo has and prints, in both languages."""

from __future__ import annotations

import pytest

from pages import ROOT, page
from varying import masked

FILES = [file.read_text(encoding="utf-8") for file in (ROOT / "demo").glob("*.yaml")]
PAGES = ["tiers.md", "east-west.md", "routing.md"]
PAGES += ["zh/tiers.md", "zh/east-west.md", "zh/routing.md"]


@pytest.mark.parametrize("name", PAGES)
def test_yaml(name: str) -> None:
    """What a page shows of a file stands there, line by line."""
    for block in page(name).blocks("yaml"):
        assert any(block in text for text in FILES), block


@pytest.mark.parametrize("name", PAGES)
def test_console(name: str) -> None:
    """What a page shows of commands the demo prints, but for what is another one each time."""
    printed = {(command, masked(output)) for command, output in page("demo.md").commands}

    assert {(command, masked(output)) for command, output in page(name).commands} <= printed


@pytest.mark.parametrize("name", PAGES[:3])
def test_in_chinese(name: str) -> None:
    """The page in Chinese has the same sections, tables and blocks."""
    chinese, english = page(f"zh/{name}"), page(name)
    counts = [
        [sum(line.startswith(start) for line in told.text.splitlines()) for start in ("#", "|")]
        for told in (chinese, english)
    ]

    assert counts[0] == counts[1]
    assert [block.language for block in chinese.all_blocks] == [
        block.language for block in english.all_blocks
    ]
