from __future__ import annotations

from typing import Any

import pytest

from transcoder import ConfigError
from transcoder.security import PUBLIC, Security


@pytest.mark.parametrize(
    "wrong", [{"requires": [{"barer": []}]}, {"methods": {"a.B.Get": [{"barer": []}]}}]
)
def test_a_scheme_that_is_none(wrong: dict[str, Any]) -> None:
    """What is required has a scheme."""
    with pytest.raises(ConfigError, match="there is no scheme barer; did you mean bearer"):
        Security(schemes={"bearer": {}}, **wrong)


def test_methods() -> None:
    """A method needs what is said of it, or what is said of all."""
    security = Security(schemes={"key": {}}, requires=[{"key": []}], methods={"a.B.Open": PUBLIC})

    assert list(security.of("a.B.Get")) == [{"key": []}]
    assert list(security.of("a.B.Open")) == []
