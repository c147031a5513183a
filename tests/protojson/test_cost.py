from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cost import BOUND, cost
from transcoder.protojson.cost import json_values

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def values(tree: Any) -> int:
    """Count the values of a parsed document."""
    if isinstance(tree, dict):
        return 1 + sum(map(values, tree.values()))
    if isinstance(tree, list):
        return 1 + sum(map(values, tree))
    return 1


@given(JSON)
def test_never_too_low(tree: Any) -> None:
    """The count is at least that of the document's values, however it is counted."""
    document = json.dumps(tree).encode()

    assert json_values(document) >= values(tree)
    assert json_values(document, enough=0) >= values(tree)


@given(JSON)
def test_near(tree: Any) -> None:
    """The exact count is off by no more than the empty containers, which look as if filled."""
    document = json.dumps(tree).encode()
    empty = document.count(b"[]") + document.count(b"{}")

    assert json_values(document, enough=0) <= values(tree) + empty


def test_strings_do_not_count() -> None:
    """A long text of commas is one value, once it is looked at closely."""
    assert json_values(json.dumps({"a": "," * 20_000}).encode()) == 2


@given(st.lists(st.sampled_from(['"', "\\", ",", "x", "\\\\\\"]) | st.just("\\" * 9), max_size=40))
def test_pieces(parts: list[str]) -> None:
    """A long document is counted in pieces, which end anywhere in strings and escapes."""
    text = "".join(parts)
    for size in range(65_500, 65_540, 7):
        tree = ["y" * size, text * 3, [1, 2], text, "z"]
        assert json_values(json.dumps(tree).encode(), enough=8) == 8


def test_enough() -> None:
    """Counting ends soon after it is enough."""
    document = b"[" + b"1," * 200_000 + b"1]"

    assert 100 < json_values(document, enough=100) < 200_000


@pytest.mark.parametrize(
    "document",
    [
        b'"' * 500_000,
        b'"' + b'\\"' * 500_000,
        b'"\\' * 300_000,
        b"[" * 1_000_000,
        b"\\" * 1_000_000,
    ],
    ids=["quotes", "escaped quotes", "quotes and escapes", "brackets", "backslashes"],
)
def test_linear(document: bytes) -> None:
    """What is no JSON is counted in a time that grows with its length."""
    assert cost(lambda: json_values(document, enough=0)) < BOUND
