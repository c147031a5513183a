"""Documents that are too much are refused before anything is made of them."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from transcoder import yaml_nodes
from transcoder.yaml_nodes import DEPTH, VALUES, Excess, compose

LOADERS = [yaml.SafeLoader, yaml_nodes.LOADER]


@pytest.fixture(params=LOADERS, ids=["python", "fastest"], autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read by the parser that each installation has, and by the one that most have."""
    monkeypatch.setattr(yaml_nodes, "LOADER", request.param)


@pytest.mark.parametrize(
    ("text", "place", "problem"),
    [
        ("[" * 1_000_000, (0, DEPTH), "it is nested too deep"),
        ("[" * 65 + "]" * 65, (0, DEPTH), "it is nested too deep"),
        ("- " * 500_000, (0, 2 * DEPTH), "it is nested too deep"),
        ("{a: " * 200_000, (0, 4 * DEPTH), "it is nested too deep"),
        ("".join(f"{' ' * n}a:\n" for n in range(1000)), (DEPTH, DEPTH), "it is nested too deep"),
        ("- 1\n" * VALUES, (VALUES - 1, 2), f"over {VALUES} values"),
        ("- &a 1\n" + "- *a\n" * VALUES, (VALUES - 1, 2), f"over {VALUES} values"),
    ],
)
def test_excess(text: str, place: tuple[int, int], problem: str) -> None:
    """It is told where it becomes too much."""
    with pytest.raises(Excess, match=problem) as raised:
        compose(text)

    mark = raised.value.problem_mark
    assert mark is not None
    assert (mark.line, mark.column) == place


def test_as_much_as_may_be() -> None:
    """What is as deep as it may be, or as long, is read."""
    deep: Any = compose("[" * DEPTH + "]" * DEPTH)
    wide: Any = compose("- 1\n" * (VALUES - 1))

    for _ in range(DEPTH - 1):
        (deep,) = deep.value
    assert deep.value == []
    assert len(wide.value) == VALUES - 1
    assert compose("# nothing") is None


@pytest.mark.parametrize("text", ["a: ä\0", "a: ä\x1b", "a: ä\ud800"])
def test_strange(text: str) -> None:
    """Characters that YAML does not have are told by their place among characters."""
    with pytest.raises(yaml.reader.ReaderError, match="special characters") as raised:
        compose(text)

    assert raised.value.position == 4
