from __future__ import annotations

import pytest

from transcoder.errors import ConfigError
from transcoder.forwarded import Origin, TrustedProxies, is_host

PROXIES = TrustedProxies(["10.0.0.0/8", "127.0.0.1", "fd00::/8"])
PEER = ("10.0.0.1", 4711)


def chain(*lines: str, peer: str = "10.0.0.1") -> list[str]:
    """Return the believed chain of a request with these lines of X-Forwarded-For."""
    headers = [(b"x-forwarded-for", line.encode("latin-1")) for line in lines]
    return list(PROXIES(headers, (peer, 4711), "http").chain)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("192.0.2.1", ["192.0.2.1"]),
        ("6.6.6.6, 192.0.2.1", ["192.0.2.1"]),  # the left one is the client's own tale
        ("192.0.2.1, 10.0.0.9", ["192.0.2.1", "10.0.0.9"]),
        ("6.6.6.6,192.0.2.1 ,\t10.0.0.9", ["192.0.2.1", "10.0.0.9"]),
        ("10.0.0.8, 10.0.0.9", ["10.0.0.8", "10.0.0.9"]),  # a client within
        ("::ffff:192.0.2.1", ["192.0.2.1"]),
        ("192.0.2.1, ::ffff:10.0.0.9", ["192.0.2.1", "10.0.0.9"]),
        ("2001:DB8::0001", ["2001:db8::1"]),
        ("192.0.2.1:80", ["192.0.2.1"]),
        ("[2001:db8::1]:80", ["2001:db8::1"]),
        ("[2001:db8::1]", ["2001:db8::1"]),
        ("127.0.0.1, x", []),
        ("192.0.2.1, x, 10.0.0.9", []),
        ("fe80::1%lo", []),
        ("010.0.0.1", []),
        ("192.0.2.010", []),
        ("0xc0.0.2.1", []),
        ("3221225985", []),
        ("192.0.2", []),
        ('"[::1]"', []),
        ("[192.0.2.1]", []),
        ("192.0.2.1:x", []),
        ("192.0.2.1,", []),
        ("unknown", []),
        ("", []),
        ("192.0.2.1\x00", []),
        ("\xb2.0.0.1", []),
    ],
)
def test_x_forwarded_for(line: str, expected: list[str]) -> None:
    """The client is the rightmost that is no proxy; without a plain address it is the peer."""
    assert [*expected, "10.0.0.1"] == chain(line)


def test_several_lines() -> None:
    """Several lines are one list, in order."""
    assert chain("6.6.6.6", "192.0.2.1, 10.0.0.9") == ["192.0.2.1", "10.0.0.9", "10.0.0.1"]


@pytest.mark.parametrize(
    "peer", ["192.0.2.9", "11.0.0.1", "::ffff:192.0.2.9", "fe80::1%lo", "testclient", ""]
)
def test_untrusted_peer(peer: str) -> None:
    """Of others than trusted proxies nothing is believed."""
    headers = [
        (b"host", b"a"),
        (b"x-forwarded-for", b"6.6.6.6"),
        (b"x-forwarded-host", b"b"),
        (b"x-forwarded-proto", b"https"),
        (b"forwarded", b"for=6.6.6.6;host=b;proto=https"),
    ]
    origin = PROXIES(headers, (peer, 4711), "http")

    assert (origin.host, origin.proto) == ("a", "http")
    assert origin.address == peer.removeprefix("::ffff:")


@pytest.mark.parametrize("peer", ["::ffff:10.0.0.1", "fd00::1", "127.0.0.1"])
def test_trusted_peer(peer: str) -> None:
    """IPv4 within IPv6 is IPv4."""
    assert chain("192.0.2.1", peer=peer) == ["192.0.2.1", peer.removeprefix("::ffff:")]


def test_nobody_is_trusted() -> None:
    """By default nobody is believed."""
    headers = [(b"x-forwarded-for", b"192.0.2.1")]

    assert TrustedProxies()(headers, PEER, "http").address == "10.0.0.1"


def test_unix() -> None:
    """The peer of a Unix socket is trusted if that is said."""
    headers = [(b"x-forwarded-for", b"192.0.2.1"), (b"host", b"a")]

    assert TrustedProxies(["unix"])(headers, None, "http").chain == ("192.0.2.1",)
    assert PROXIES(headers, None, "http") == Origin("", "a", "http", ())
    assert TrustedProxies(["unix"])([], None, "http") == Origin("", "", "http", ())


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"x-forwarded-host", b"b"), (b"x-forwarded-proto", b"https")], ("b", "https")),
        ([(b"x-forwarded-host", b"c, b"), (b"x-forwarded-proto", b"http,HTTPS")], ("b", "https")),
        ([(b"x-forwarded-host", b"c"), (b"x-forwarded-host", b"b:80")], ("b:80", "http")),
        ([(b"x-forwarded-host", b"a/b"), (b"x-forwarded-proto", b"gopher")], ("a", "http")),
        ([(b"x-forwarded-host", b""), (b"x-forwarded-proto", b"")], ("a", "http")),
    ],
)
def test_host_and_proto(headers: list[tuple[bytes, bytes]], expected: tuple[str, str]) -> None:
    """Host and scheme are what the nearest proxy says, if it is well-formed."""
    origin = PROXIES([(b"host", b"a"), *headers], PEER, "http")

    assert expected == (origin.host, origin.proto)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("for=192.0.2.1", ("192.0.2.1", "a", "http")),
        ("For=192.0.2.1;Proto=https;Host=b", ("192.0.2.1", "b", "https")),
        ('for="192.0.2.1:80"', ("192.0.2.1", "a", "http")),
        ('for="[2001:db8::1]:80" ; proto=https', ("2001:db8::1", "a", "https")),
        ("for=6.6.6.6;host=c, for=192.0.2.1;host=b", ("192.0.2.1", "b", "http")),
        ("for=192.0.2.1;host=b, for=10.0.0.9;host=c", ("192.0.2.1", "b", "http")),
        ('for=6.6.6.6, for=192.0.2.1;by="a, for=9.9.9.9"', ("192.0.2.1", "a", "http")),
        (r'for="192.0.2\.1"', ("192.0.2.1", "a", "http")),
        ("for=unknown;host=b", ("10.0.0.1", "a", "http")),
        ("for=_hidden", ("10.0.0.1", "a", "http")),
        ("for=192.0.2.1;for=192.0.2.2", ("10.0.0.1", "a", "http")),
        ("host=b", ("10.0.0.1", "a", "http")),
        ('for="192.0.2.1', ("10.0.0.1", "a", "http")),
        ("192.0.2.1", ("10.0.0.1", "a", "http")),
        ("", ("10.0.0.1", "a", "http")),
    ],
)
def test_forwarded(line: str, expected: tuple[str, str, str]) -> None:
    """`Forwarded` is read where it is said to be what the proxies write, and then it alone."""
    proxies = TrustedProxies(["10.0.0.0/8"], source="forwarded")
    headers = [(b"host", b"a"), (b"x-forwarded-for", b"6.6.6.6"), (b"forwarded", line.encode())]
    origin = proxies(headers, PEER, "http")

    assert expected == (origin.address, origin.host, origin.proto)
    assert PROXIES(headers, PEER, "http").address == "6.6.6.6"


@pytest.mark.parametrize("source", ["x-forwarded", "forwarded"])
def test_long_chains(source: str) -> None:
    """A thousand entries are read to the end, and few of them are told."""
    proxies = TrustedProxies(["10.0.0.0/8"], source=source)  # type: ignore[arg-type]
    entry = "10.0.0.2" if source == "x-forwarded" else "for=10.0.0.2"
    name = b"x-forwarded-for" if source == "x-forwarded" else b"forwarded"
    headers = [(name, ", ".join([entry] * 1000).encode())]
    origin = proxies(headers, PEER, "http")

    assert len(origin.chain) == 17
    assert origin.address == "10.0.0.2"


@pytest.mark.parametrize("network", ["10.0.0.0/33", "10.0.0.1/8", "example.com", "010.0.0.1", ""])
def test_refused_networks(network: str) -> None:
    """What is no network is refused at start."""
    with pytest.raises(ConfigError, match="trusted proxy"):
        TrustedProxies([network])


def test_refused_options() -> None:
    """A text is no list of networks, and there are two sources."""
    with pytest.raises(ConfigError, match="sequence"):
        TrustedProxies("10.0.0.1")
    with pytest.raises(ConfigError, match="source"):
        TrustedProxies(source="x-real-ip")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost", True),
        ("a.example:8080", True),
        ("192.0.2.1:65535", True),
        ("[::1]", True),
        ("[::1]:8080", True),
        ("xn--bcher-kva.example", True),
        ("a_b", True),
        ("", False),
        (":80", False),
        ("a:", False),
        ("a:99999", False),
        ("a:x", False),
        ("a/b?c", False),
        ("a@b", False),
        ("a b", False),
        ("é", False),
        ("[::1", False),
        ("a" * 256, False),
    ],
)
def test_is_host(text: str, *, expected: bool) -> None:
    """A host is a name or an address, with or without a port."""
    assert is_host(text) is expected
