from __future__ import annotations

import pytest

from transcoder.errors import InvalidRequest
from transcoder.profile import Unescape
from transcoder.raw_path import key_of, split, unquoted

PATH = "/a%2Fb%2fc/%25%3A"


@pytest.mark.parametrize(
    ("unescape", "keys", "raw"),
    [
        ("except-reserved", ["a\0b\0c", "%:"], ["a%2Fb%2fc", "%25%3A"]),
        ("except-slash", ["a\0b\0c", "%:"], ["a%2Fb%2fc", "%25%3A"]),
        ("all", ["a", "b\0c", "%:"], ["a", "b%2fc", "%25%3A"]),  # capitals only, as grpc-gateway
        ("legacy", ["a", "b", "c", "%:"], ["a", "b", "c", "%:"]),
    ],
)
def test_split(unescape: Unescape, keys: list[str], raw: list[str]) -> None:
    """A path is split where its mode says, and decoded once."""
    assert split(PATH, unescape) == (["", *keys], ["", *raw])


@pytest.mark.parametrize(
    ("path", "drop_slash", "empty_segments", "raw"),
    [
        ("/", False, False, []),
        ("/a/", False, False, None),
        ("/a//", True, False, ["a"]),
        ("//a", True, False, None),
        ("//a/", False, True, ["", "a", ""]),
        ("//", True, False, []),
    ],
)
def test_empty_segments(
    path: str, *, drop_slash: bool, empty_segments: bool, raw: list[str] | None
) -> None:
    """Empty segments are dropped at the end, taken, or fit nothing."""
    found = split(path, "all", drop_slash=drop_slash, empty_segments=empty_segments)

    assert (found and found[1][1:]) == raw


@pytest.mark.parametrize(
    ("unescape", "value"),
    [
        ("except-reserved", "a%2Fb%3A%c"),  # the percent sign is no reserved character
        ("except-slash", "a%2Fb:%c"),
        ("all", "a/b:%c"),
        ("legacy", "a/b:%c"),
    ],
)
def test_unquoted(unescape: Unescape, value: str) -> None:
    """The value of several segments keeps encoded what its mode keeps."""
    assert unquoted("a%2Fb%3A%25c", unescape) == value


@pytest.mark.parametrize("path", ["a", "", "/ü", "/%z1", "/%", "/%00", "/a/%2E%2e/b", "/%ff"])
def test_refuses(path: str) -> None:
    """A path that is malformed, or that some server would read in another way, is refused."""
    with pytest.raises(InvalidRequest):
        split(path, "except-reserved")


def test_key() -> None:
    """In a key an encoded slash is NUL."""
    assert [key_of(text) for text in ("a", "%61%2f", "%2F")] == ["a", "a\0", "\0"]


@pytest.mark.parametrize("unescape", ["except-reserved", "except-slash", "all", "legacy"])
def test_many_escapes(unescape: Unescape) -> None:
    """Many escapes, which are decoded at once, are decoded as few are."""
    few = "".join(f"%{byte:02X}" for byte in range(1, 128)) + "%c3%bc%2f%3a=_=41 x"
    parts = [few[start : start + 30] for start in range(0, 127 * 3, 30)]

    assert unquoted(few, unescape) == "".join(unquoted(part, unescape) for part in parts) + (
        unquoted(few[len("".join(parts)) :], unescape)
    )
    assert key_of(few * 2) == key_of(few) * 2


@pytest.mark.parametrize("wrong", ["%z1", "%", "%00", "%ff", "%C3"])
def test_many_escapes_refused(wrong: str) -> None:
    """What few escapes are refused for, many are refused for in the same words."""
    with pytest.raises(InvalidRequest) as few:
        key_of(f"/{wrong}")
    with pytest.raises(InvalidRequest) as many:
        key_of("/%41" * 100 + f"/{wrong}")

    assert str(many.value) == str(few.value)
