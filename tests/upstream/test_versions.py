from __future__ import annotations

from typing import Any

import pytest

from transcoder import Channel, ConfigError, HeaderMatch, Split, Version

DOWN = Channel("127.0.0.1:1")
LEFT_OUT = "leave the version out, or its weight where matches alone choose it"


@pytest.mark.parametrize(
    ("weights", "options", "problem"),
    [
        ([None, None], {}, "the weights make up 0: 100 is expected"),
        (
            [100, 0],
            {},
            f"v1: weight 0: a whole number from 1 to 100 is expected: {LEFT_OUT}",
        ),
        ([], {}, "the weights make up 0: 100 is expected"),
        ([95, 6], {}, "the weights make up 101: 100 is expected"),
        ([-5, 105], {}, "v0: weight -5: a whole number from 1 to 100 is expected"),
        ([float("nan"), 5], {}, "v0: weight nan: a whole number from 1 to 100 is expected"),
        ([99.5, 0.5], {}, "v0: weight 99.5: a whole number from 1 to 100 is expected"),
        ([True, 99], {}, "v0: weight True: a whole number from 1 to 100 is expected"),
        (["95", 5], {}, "v0: weight '95': a whole number from 1 to 100 is expected"),
        (
            [95, 5],
            {"matches": [HeaderMatch("x-a", "v3", exact="b")]},
            "x-a: no version is named 'v3': there are v0, v1",
        ),
        (
            [95, 5],
            {"matches": [HeaderMatch("x-a", "v1")]},
            "x-a: one of exact and prefix is expected",
        ),
        (
            [95, 5],
            {"matches": [HeaderMatch("x-a", "v1", exact="a", prefix="a")]},
            "x-a: one of exact and prefix is expected",
        ),
    ],
)
def test_wrong(weights: list[Any], options: dict[str, Any], problem: str) -> None:
    """What cannot be chosen by is told at start, with what is wrong with it."""
    versions = [Version(f"v{index}", DOWN, weight) for index, weight in enumerate(weights)]
    with pytest.raises(ConfigError) as raised:
        Split(versions, **options)

    assert str(raised.value) == f"split: {problem}"


def test_two_of_a_name() -> None:
    """So is a name that two versions have."""
    with pytest.raises(ConfigError, match="split: versions: a, a: each needs a name of its own"):
        Split([Version("a", DOWN, 50), Version("a", DOWN, 50)])
