from __future__ import annotations

import pytest

from transcoder.errors import InvalidRequest, StatusError
from transcoder.head import check_head

HOST = (b"host", b"localhost")


@pytest.mark.parametrize("host", [b"localhost", b"localhost:8080", b"[::1]:80", b"evil.example"])
def test_host(host: bytes) -> None:
    """One well-formed Host is expected, of any name."""
    check_head([(b"accept", b"*/*"), (b"host", host)], "1.1")


@pytest.mark.parametrize("host", [b"", b"a/b?c", b"x:99999", b"a" * 1024, b"a b", b"a@b", b"a,b"])
def test_no_host(host: bytes) -> None:
    """What is no host is refused."""
    with pytest.raises(InvalidRequest, match="Host"):
        check_head([(b"host", host)], "1.1")


def test_count_of_hosts() -> None:
    """Two Hosts are refused, and so is none, except before HTTP/1.1."""
    check_head([], "1.0")
    with pytest.raises(InvalidRequest, match="exactly one Host"):
        check_head([], "1.1")
    for version in ("1.0", "1.1"):
        with pytest.raises(InvalidRequest, match="exactly one Host"):
            check_head([HOST, HOST], version)


def test_number_of_headers() -> None:
    """A request has at most 100 headers."""
    headers = [HOST, *[(b"x-a", b"")] * 99]
    check_head(headers, "1.1")

    with pytest.raises(StatusError, match="101 headers: 100 are allowed") as caught:
        check_head([*headers, (b"x-a", b"")], "1.1")
    assert caught.value.http == 431


def test_size_of_headers() -> None:
    """The headers of a request have 32 KiB."""
    headers = [HOST, (b"x-a", b"a" * (32_768 - 16))]
    check_head(headers, "1.1")

    with pytest.raises(StatusError, match="over the limit of 32768 bytes") as caught:
        check_head([*headers, (b"b", b"")], "1.1")
    assert caught.value.http == 431
