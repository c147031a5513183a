from __future__ import annotations

import pytest

from transcoder.budget import Budget, nodes
from transcoder.errors import StatusError


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("", 0),
        ("1", 0),
        ("[0,0]", 2),
        ('{"a":{}}', 2),
        ("a,b,c", 2),
        (r'"\u002c\u002c"', 2),  # commas of a mask, as JSON may write them
        ("a" * 160, 10),
    ],
)
def test_nodes(text: str, count: int) -> None:
    """What begins a value counts, and so does length."""
    assert nodes(text) == count


def test_budget() -> None:
    """All of a budget may be spent, and no more."""
    budget = Budget(3)
    budget.spend(1)
    budget.spend(2)

    with pytest.raises(StatusError) as refused:
        budget.spend(1)
    assert refused.value.http == 413
