from __future__ import annotations

import ast
import dataclasses
import re

import pytest

from pages import page
from transcoder.profile import PROFILES, Profile

PAGE = page("profiles.md")
ROWS = PAGE.rows("## The options")
OPTIONS = [field.name for field in dataclasses.fields(Profile) if field.name != "name"]


def test_options() -> None:
    """The table has every option once, in the order of the code, under every profile."""
    assert f"\n| option | {' | '.join(PROFILES)} |\n" in PAGE.text
    assert [row[0] for row in ROWS] == [f"`{option}`" for option in OPTIONS]


@pytest.mark.parametrize("option", OPTIONS)
def test_values(option: str) -> None:
    """A row of the table has the values of the code."""
    (row,) = [row for row in ROWS if row[0] == f"`{option}`"]

    told = [ast.literal_eval(cell.strip("`").removeprefix("frozen")) for cell in row[1:]]
    assert told == [getattr(profile, option) for profile in PROFILES.values()]


def test_sentences() -> None:
    """Each option is explained, in the order of the table."""
    assert re.findall(r"^- `(\w+)`: ", PAGE.text, re.MULTILINE) == OPTIONS


def test_code() -> None:
    """The code of the page runs, and prints what the page shows."""
    assert PAGE.sessions() == (0, PAGE.text.count(">>> "))
