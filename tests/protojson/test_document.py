from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder.protojson.document import names_a_key_twice

STRINGS = st.text(st.sampled_from('ab:"\\ \n\té\0'), max_size=6)
WHITESPACE = st.text(st.sampled_from(" \t\n\r"), max_size=2)


@st.composite
def documents(draw: st.DrawFn) -> str:
    """Return a document with keys that repeat, escapes and whitespace anywhere."""

    def string() -> str:
        text = json.dumps(draw(STRINGS), ensure_ascii=draw(st.booleans()))
        return text.replace(":", "\\u003a") if draw(st.booleans()) else text

    def value(depth: int) -> str:
        kind = draw(st.integers(0, 1 if depth > 2 else 4))
        space = draw(WHITESPACE)
        if kind == 0:
            return "1" + space
        if kind == 1:
            return string() + space
        items = draw(st.integers(0, 3))
        if kind == 2:
            return f"[{space}{','.join(value(depth + 1) for _ in range(items))}]"
        return f"{{{space}{','.join(member(depth) for _ in range(items))}}}"

    def member(depth: int) -> str:
        return f"{draw(WHITESPACE)}{string()}{draw(WHITESPACE)}:{value(depth + 1)}"

    return value(0)


def colons_and_keys(tree: Any) -> tuple[int, int]:
    """Return how many colons the strings of a tree hold, and how many keys its objects have."""
    if isinstance(tree, str):
        return tree.count(":"), 0
    if isinstance(tree, int):
        return 0, 0
    found = [colons_and_keys(item) for item in (tree.values() if isinstance(tree, dict) else tree)]
    colons, keys = (sum(each) for each in zip((0, 0), *found, strict=True))
    return colons, keys + (len(tree) if isinstance(tree, dict) else 0)


def repeats(document: str) -> bool:
    """Say whether an object names a key twice, by looking at each."""
    found = False

    def look(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal found
        found |= len(dict(pairs)) < len(pairs)
        return dict(pairs)

    json.loads(document, object_pairs_hook=look)
    return found


@given(document=documents(), known=st.booleans())
def test_key_given_twice(document: str, *, known: bool) -> None:
    """A key given twice is found whatever is in strings and between tokens, and no other."""
    data = document.encode()
    tree = orjson.loads(data)
    colons, keys = colons_and_keys(tree)

    assert repeats(document) == names_a_key_twice(data, keys, colons if known else 0)


@pytest.mark.parametrize(
    ("data", "keys", "twice"),
    [
        (b'{"a":1,"a":2}', 1, True),
        (b'{"a" :1,"a"\n:2}', 1, True),
        (b'{"a":1,"\\u0061":2}', 1, True),
        (b'{"a":"\\u003a\\u003a","a":1,"b":":"}', 2, True),
        (b'{"a":":","b":"\\":"}', 2, False),
        (b'{"a":{"a":{"a":1}}}', 3, False),
    ],
)
def test_examples(data: bytes, keys: int, *, twice: bool) -> None:
    """What makes it hard: whitespace, escapes, colons in strings, the same key in other objects."""
    assert twice == names_a_key_twice(data, keys, 0)
