from __future__ import annotations

import pytest

from transcoder import ConfigError
from transcoder.security import NO_SECURITY, PUBLIC, Requirement, Security

TOKEN = Security(
    schemes={"bearer": {"type": "http", "scheme": "bearer"}, "basic": {"type": "http"}},
    requires=[{"bearer": ["read"]}, {"basic": []}],
    methods={"a.B.Open": PUBLIC},
)
KEY = Security(
    schemes={"key": {"type": "apiKey"}}, requires=[{"key": []}], methods={"a.B.Ping": PUBLIC}
)


@pytest.mark.parametrize(
    ("method", "needed"),
    [
        ("a.B.Get", [{"bearer": ["read"], "key": []}, {"basic": [], "key": []}]),
        # Public to the one, so that the other alone decides.
        ("a.B.Open", [{"key": []}]),
        ("a.B.Ping", [{"bearer": ["read"]}, {"basic": []}]),
    ],
)
def test_both(method: str, needed: list[Requirement]) -> None:
    """Who is asked by two needs something for each of them."""
    both = TOKEN & KEY

    assert list(both.of(method)) == needed
    assert set(both.schemes) == {"bearer", "basic", "key"}


def test_scopes_of_both() -> None:
    """Two who ask by the same scheme want the scopes of both."""
    other = Security(schemes={"bearer": {}}, requires=[{"bearer": ["write"]}])

    assert (TOKEN & other).requires[0] == {"bearer": ["read", "write"]}


def test_nobody_asks() -> None:
    """Where nobody asks, nothing is needed, also together."""
    assert (NO_SECURITY & NO_SECURITY).of("a.B.Get") == PUBLIC
    assert list((NO_SECURITY & KEY).of("a.B.Get")) == [{"key": []}]


@pytest.mark.parametrize(
    "wrong", [{"requires": [{"barer": []}]}, {"methods": {"a.B.Get": [{"barer": []}]}}]
)
def test_a_scheme_that_is_none(wrong: dict[str, object]) -> None:
    """What is required has a scheme."""
    with pytest.raises(ConfigError, match="there is no scheme barer; did you mean bearer"):
        Security(schemes={"bearer": {}}, **wrong)  # type: ignore[arg-type]
