from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from transcoder import Gateway
from transcoder.errors import ConfigError
from transcoder.profile import GOOGLE, PROFILES


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("query_beside_body", "rejekt", "'reject' or 'ignore' or 'bind'"),
        ("wrong_method", 418, "405 or 501 or 404"),
        ("wrong_method", 405.0, "405 or 501 or 404"),
        ("proto_names", "yes", "False or True"),
        ("print_defaults", 1, "False or True"),
        ("unescape", "except_slash", "'except-reserved' or 'except-slash' or 'all' or 'legacy'"),
        ("request_metadata", None, "'all' or 'no-cookies' or 'prefixed' or 'listed'"),
    ],
)
def test_wrong_values(option: str, value: Any, expected: str) -> None:
    """A value that an option has not is told at once, with those that it has."""
    with pytest.raises(ConfigError) as raised:
        replace(GOOGLE, **{option: value})

    assert str(raised.value) == f"profile: {option} {value!r}: {expected} is expected"


def test_names() -> None:
    """Each named profile is found by its name."""
    assert {name: profile.name for name, profile in PROFILES.items()} == {
        name: name for name in ("google", "grpc-gateway", "envoy", "strict")
    }


def test_a_name_is_no_profile() -> None:
    """A gateway says what it wants who is given the name of a profile."""
    with pytest.raises(ConfigError, match="profile 'google': a Profile is expected"):
        Gateway(profile="google")  # type: ignore[arg-type]
