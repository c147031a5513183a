from __future__ import annotations

from typing import Any

import pytest

from entrances import known
from transcoder import Code
from transcoder.errors import ConfigError
from transcoder.policies.policy import Denied
from transcoder.policies.requirement import Requirement, claim_at


@pytest.mark.parametrize(
    ("held", "lacking"),
    [
        ({"read", "write"}, ""),
        ({"read", "write", "more"}, ""),
        ({"read"}, "scope"),
        (set(), "scope"),
        # A scope is no prefix of another.
        ({"read", "writes"}, "scope"),
    ],
)
def test_scopes(held: set[str], lacking: str) -> None:
    """All of the scopes are needed."""
    requirement = Requirement(scopes=["read", "write"])
    assert requirement.lacking(known(scopes=frozenset(held))) == lacking


@pytest.mark.parametrize(
    ("wanted", "claim", "held"),
    [
        ("a", "a", True),
        ("a", "ab", False),
        ("a", None, False),
        (["a", "b"], "b", True),
        (["a", "b"], ["c", "b"], True),
        (["a", "b"], ["c"], False),
        ("a", ["a"], True),
        ("a", {"a": 1}, False),
        (True, True, True),
        # True == 1 in Python.
        (True, 1, False),
        (1, True, False),
        (True, "true", False),
        (7, 7, True),
        (7, 7.0, False),
        ("a", [], False),
    ],
)
def test_claims(wanted: Any, claim: Any, held: bool) -> None:  # noqa: FBT001  a column of the table
    """A claim has one of the values, of the same type, or is a list with one."""
    claims = {} if claim is None else {"tenant": claim}
    lacking = Requirement(claims={"tenant": wanted}).lacking(known(claims=claims))
    assert lacking == ("" if held else "claim")


def test_refused() -> None:
    """Who lacks something is told which scopes are needed, and nothing of claims."""
    requirement = Requirement(scopes=["read", "write"], claims={"tenant": "secret"})
    with pytest.raises(Denied) as refused:
        requirement.check(known())

    assert (refused.value.status.code, refused.value.http) == (Code.PERMISSION_DENIED, 403)
    challenge = 'Bearer error="insufficient_scope", scope="read write"'
    assert refused.value.headers == (("www-authenticate", challenge),)
    assert refused.value.reason == "scope"


def test_refused_by_claim() -> None:
    """Which claim is lacking, and what it should be, is nobody's business."""
    with pytest.raises(Denied) as refused:
        Requirement(claims={"tenant": "secret"}).check(known())

    assert refused.value.headers == (("www-authenticate", 'Bearer error="insufficient_scope"'),)
    assert refused.value.reason == "claim"


def test_let_in() -> None:
    """Who holds everything is let in."""
    requirement = Requirement(scopes=["read"], claims={"tenant": "a"})
    requirement.check(known(scopes=frozenset({"read"}), claims={"tenant": "a"}))


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"scopes": "read"}, "scopes 'read': a sequence is expected"),
        ({"scopes": ["a b"]}, "scopes: 'a b' is no scope"),
        ({"scopes": ['a"b']}, "is no scope"),
        ({"scopes": [""]}, "is no scope"),
        ({}, "a requirement needs scopes or claims"),
    ],
)
def test_options(options: dict[str, Any], problem: str) -> None:
    """What is no requirement is an error at start."""
    with pytest.raises(ConfigError, match=problem):
        Requirement(**options)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a", {"b": [1]}),
        (("a", "b"), [1]),
        ("a.b", None),
        (("a", "c"), None),
        (("a", "b", "c"), None),
        (("x", "b"), None),
    ],
)
def test_claim_at(path: Any, found: Any) -> None:
    """A path names a claim inside others; a dot is a part of a name."""
    assert claim_at({"a": {"b": [1]}}, path) == found
