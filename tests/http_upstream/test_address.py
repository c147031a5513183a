from __future__ import annotations

import pytest

from transcoder.errors import ConfigError, InvalidRequest
from transcoder.http_upstream.address import Address


@pytest.mark.parametrize(
    "url",
    [
        "",
        "orders:80",
        "grpc://orders",
        "http://",
        "http:///path",
        "http://user@orders",
        "http://orders?a=b",
        "http://orders#a",
        "http://orders:99999",
        "http://orders:a",
        "http://orders/a b",
        "http://orders/ä",
        "http://orders/a\r\nx: y",
    ],
)
def test_no_url(url: str) -> None:
    """What is no URL of a backend is refused, with what is expected."""
    with pytest.raises(ConfigError, match="is expected"):
        Address.parse(url)


@pytest.mark.parametrize(
    ("url", "authority"),
    [
        ("http://orders", "orders"),
        ("http://orders:80", "orders"),
        ("https://orders:443", "orders"),
        ("https://orders:80", "orders:80"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_authority(url: str, authority: str) -> None:
    """A Host header leaves out the port that the scheme has anyway."""
    assert Address.parse(url).authority == authority


@pytest.mark.parametrize(
    ("path", "prefix", "expected"),
    [
        ("/old/a", "", "/v2/old/a"),
        ("/old/a", "/old", "/v2/a"),
        ("/old", "/old", "/v2/"),
        ("/old/", "/old", "/v2/"),
        # The client may spell a letter in its own way.
        ("/%6fld/a", "/old", "/v2/a"),
        ("/old/a%2Fb%252e;c=1/", "/old", "/v2/a%2Fb%252e;c=1/"),
        ("/old/...", "/old", "/v2/..."),
        ("/old/..a/b..", "/old", "/v2/..a/b.."),
    ],
)
def test_path(path: str, prefix: str, expected: str) -> None:
    """What is left of a path is passed on byte for byte."""
    assert Address.parse("http://a/v2/").path(path, prefix) == expected


@pytest.mark.parametrize(
    "path",
    ["/old/..;/admin", "/old/.;a/x", "/old/%2e%2e;/admin", "/old/%5c..%5cadmin", "/old/a%5C."],
)
def test_dots(path: str) -> None:
    """What other servers take for a dot segment is refused."""
    with pytest.raises(InvalidRequest, match="dot segment"):
        Address.parse("http://a").path(path)
