from __future__ import annotations

from pathlib import Path

import pytest

from fuzz_targets import TARGETS

CORPUS = Path(__file__).parents[1] / "fuzz/corpus"
SEEDS = sorted(path for path in CORPUS.glob("*/*") if path.is_file())


def test_each_target_has_a_corpus() -> None:
    """A fuzzer that starts from nothing finds nothing in a minute."""
    assert {path.parent.name for path in SEEDS} == set(TARGETS)


@pytest.mark.parametrize("seed", SEEDS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_seed(seed: Path) -> None:
    """What the fuzzers start from holds without a fuzzer."""
    TARGETS[seed.parent.name](seed.read_bytes())
