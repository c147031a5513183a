from __future__ import annotations

import pytest

from transcoder.errors import InvalidRequest
from transcoder.request_target import origin_form, typed


@pytest.mark.parametrize(
    ("target", "found"),
    [
        ("/v1/users?x=1", "/v1/users?x=1"),
        ("http://a/v1/users", "/v1/users"),
        ("HTTPS://user@a:1/", "/"),
        ("http://a?x=1", "/?x=1"),
        ("*", "*"),
    ],
)
def test_typed(target: str, found: str) -> None:
    """Of a path it is all that is read, of a URL what a client sends that is given it."""
    assert typed(target) == found


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        ("/a#b", "holds a fragment"),
        ("http://a/b#c", "holds a fragment"),
        ("a/b", "neither a path nor a URL"),
        ("", "neither a path nor a URL"),
        ("/a b", "to be percent-encoded"),
        ("/\u00e9", "to be percent-encoded"),
        ("/a\x00", "to be percent-encoded"),
    ],
)
def test_not_typed(target: str, problem: str) -> None:
    """What no client can send, or a server refuses, is refused here too."""
    with pytest.raises(InvalidRequest, match=problem):
        typed(target)


@pytest.mark.parametrize("hosts", [[], [b"b"], [b"a", b"a"]])
def test_another_host(hosts: list[bytes]) -> None:
    """A URL names the one host that the Host header names."""
    with pytest.raises(InvalidRequest, match="another host"):
        origin_form(b"http://a/", hosts)
