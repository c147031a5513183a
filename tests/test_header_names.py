"""Which headers are of a list, in any spelling."""

from __future__ import annotations

import pytest

from transcoder.errors import ConfigError
from transcoder.header_names import HeaderNames

NAMES = HeaderNames(["X-Internal", "x-user-*", "token-bin"])


@pytest.mark.parametrize(
    ("name", "listed"),
    [
        ("x-internal", True),
        ("X_INTERNAL", True),
        ("x-internal-bin", True),
        ("X.Internal", True),
        ("x|internal", True),
        ("x.internal.bin", True),
        ("x-internal-bina", False),
        ("x-internals", False),
        ("x-user-id", True),
        ("X_User_", True),
        ("x-user", False),
        ("x-username", False),
        ("token", True),  # a list that names the bytes means the text too
        ("token_bin", True),
        ("x-user-*", True),
        ("x-user-name-*", True),
        ("x-*", False),
        ("x-user*", False),  # more than what is listed
        ("x-internal*", False),
        ("", False),
    ],
)
def test_contains(name: str, *, listed: bool) -> None:
    """A header is of the list in any case, with another sign, as bytes; so are beginnings."""
    assert (name in NAMES) is listed


@pytest.mark.parametrize(
    ("name", "listed"),
    [("x-user-agent", False), ("X_User_Agent-bin", False), ("x-user-id", True), ("x-user-*", True)],
)
def test_but(name: str, *, listed: bool) -> None:
    """What is said to be none of the list is none, in any spelling."""
    assert (name in HeaderNames(["x-user-*"], but=["x-user-agent"])) is listed


@pytest.mark.parametrize("name", ["", "*", "x a", "x*y", "x-ä", "x:a", "x-a**", "x-a\n"])
def test_wrong(name: str) -> None:
    """What no header can be called is refused."""
    with pytest.raises(ConfigError, match="a header is expected, as x-user-id, or several"):
        HeaderNames(["x-a", name])
