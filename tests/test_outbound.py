from __future__ import annotations

import pytest

from transcoder.outbound import Outbound, announced, split, takes_trailers
from transcoder.profile import ENVOY, GOOGLE, GRPC_GATEWAY, STRICT, Profile


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("x-cost", "3", [(b"x-cost", b"3")]),
        ("X-Cost", "3", [(b"x-cost", b"3")]),
        ("seal-bin", b"\x00", [(b"seal-bin", b"AA==")]),
        ("location", "/v1/users/1", [(b"location", b"/v1/users/1")]),
        ("set-cookie", "a=b", []),
        ("content-length", "0", []),  # would break the framing of the answer
        ("transfer-encoding", "chunked", []),
        ("connection", "close", []),
        ("date", "today", []),
        ("grpc-status", "0", []),
        ("grpc-metadata-x", "0", []),
        ("x-http-code", "201", []),  # it becomes the status
        ("x-split", "a\r\nset-cookie: b", []),
        ("x-name", "é", []),
        ("x:y", "a", []),
        ("", "a", []),
    ],
)
def test_google(key: str, value: str | bytes, expected: list[tuple[bytes, bytes]]) -> None:
    """Metadata becomes a header of the same name unless it could break the answer."""
    assert expected == Outbound().headers([(key, value)])


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (GOOGLE, [b"x-a", b"etag", b"x-b"]),
        (ENVOY, [b"x-a", b"etag", b"set-cookie", b"x-b"]),
        (GRPC_GATEWAY, [b"grpc-metadata-x-a", b"etag", b"grpc-metadata-set-cookie"]),
        (STRICT, [b"etag"]),
    ],
)
def test_profiles(profile: Profile, expected: list[bytes]) -> None:
    """The profile says which metadata are told, and under which names."""
    initial = [("x-a", "1"), ("etag", "2"), ("set-cookie", "a=b"), ("grpc-status", "0")]
    trailing = [("x-b", "3")]
    promoted = [b"grpc-trailer-x-b"] if profile is GRPC_GATEWAY else []

    told = [name for name, _ in Outbound(profile).headers(initial, trailing)]
    assert [*expected, *promoted] == told


@pytest.mark.parametrize(
    ("profile", "expected"),
    [
        (GOOGLE, [(b"x-a", b"1"), (b"seal-bin", b"AA==")]),
        (GRPC_GATEWAY, [(b"grpc-trailer-x-a", b"1"), (b"grpc-trailer-seal-bin", b"AA==")]),
        (STRICT, []),
    ],
)
def test_trailers(profile: Profile, expected: list[tuple[bytes, bytes]]) -> None:
    """Trailers have grpc-gateway's prefix in its profile."""
    trailing: list[tuple[str, str | bytes]] = [
        ("x-a", "1"),
        ("seal-bin", b"\x00"),
        ("content-length", "1"),
        ("grpc-status", "0"),
    ]

    assert expected == Outbound(profile).trailers(trailing)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("cost", [(b"x-cost", b"1")]),
        ("session", [(b"set-cookie", b"1")]),
        ("length", []),
        ("status", []),
        ("odd", []),
        ("other", []),
    ],
)
def test_matcher(key: str, expected: list[tuple[bytes, bytes]]) -> None:
    """A matcher names the headers, but none that would break the answer."""
    names = {
        "cost": "X-Cost",
        "session": "set-cookie",
        "length": "content-length",
        "status": "grpc-status",
        "odd": "a b",
    }
    outbound = Outbound(GRPC_GATEWAY, matcher=names.get)

    assert expected == outbound.headers([(key, "1")])
    assert expected == outbound.trailers([(key, "1")])


def test_split() -> None:
    """What HTTP wants before the body is told apart from what may follow it."""
    before, after = split([("Location", "/"), ("x-a", "1"), ("x-http-code", "201")])

    assert before == [("Location", "/"), ("x-http-code", "201")]
    assert after == [("x-a", "1")]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"te", b"trailers")], True),
        ([(b"te", b"gzip;q=0.5, Trailers")], True),
        ([(b"te", b"gzip"), (b"te", b"trailers;q=1")], True),
        ([(b"te", b"trailer")], False),
        ([(b"trailer", b"trailers")], False),
        ([], False),
    ],
)
def test_takes_trailers(headers: list[tuple[bytes, bytes]], *, expected: bool) -> None:
    """A client asks for trailers by TE."""
    assert takes_trailers(headers) is expected


def test_announced() -> None:
    """Trailers are announced once each."""
    assert announced([(b"a", b"1"), (b"b", b"2"), (b"a", b"3")]) == (b"trailer", b"a, b")
