from __future__ import annotations

import ast
import dataclasses
import doctest
import re
from pathlib import Path

import pytest

from transcoder.profile import PROFILES, Profile

PAGE = Path(__file__).parent.parent / "docs" / "profiles.md"
TEXT = PAGE.read_text(encoding="utf-8")
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.splitlines()
    if line.startswith("| ")
]
OPTIONS = [field.name for field in dataclasses.fields(Profile) if field.name != "name"]


def test_options() -> None:
    """The table has every option once, in the order of the code, under every profile."""
    assert ROWS[0] == ["option", *PROFILES]
    assert [row[0] for row in ROWS[1:]] == [f"`{option}`" for option in OPTIONS]


@pytest.mark.parametrize("option", OPTIONS)
def test_values(option: str) -> None:
    """A row of the table has the values of the code."""
    (row,) = [row for row in ROWS if row[0] == f"`{option}`"]

    told = [ast.literal_eval(cell.strip("`").removeprefix("frozen")) for cell in row[1:]]
    assert told == [getattr(profile, option) for profile in PROFILES.values()]


def test_sentences() -> None:
    """Each option is explained, in the order of the table."""
    assert re.findall(r"^- `(\w+)`: ", TEXT, re.MULTILINE) == OPTIONS


def test_code() -> None:
    """The code of the page runs, and prints what the page shows."""
    failed, tried = doctest.testfile(str(PAGE), module_relative=False, verbose=False)

    assert failed == 0
    assert tried == TEXT.count(">>> ")
