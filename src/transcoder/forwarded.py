"""Who the client is, behind proxies: `X-Forwarded-*` and `Forwarded` (RFC 7239).

Anybody can send these headers, so they count for nothing unless the peer is a trusted proxy. Then
the addresses are read from the right, where the nearest proxy wrote: the first that is no trusted
proxy's is the client's, and what stands left of it is the client's own tale. An entry that is no
address ends the reading too: then the peer is the client.

Addresses are strict: no octal, no zone. IPv4 within IPv6 (`::ffff:192.0.2.1`) is IPv4. A port may
follow an address, and in `Forwarded` an address may be quoted.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Iterable, Iterator
from typing import Final, Literal, NamedTuple, TypeAlias

from transcoder.errors import ConfigError
from transcoder.metadata import RawHeaders

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
Source: TypeAlias = Literal["x-forwarded", "forwarded"]

UNIX: Final = "unix"
"""Stands for every peer of a Unix socket, among trusted networks."""

CHAIN_LIMIT: Final = 16
"""Trusted proxies that are told of; they are read to the end all the same."""

_HOST = re.compile(
    r"(?:[A-Za-z0-9._~!$&'()*+;=%-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::([0-9]{1,5}))?"
)
_WITH_PORT = re.compile(r"(?:([0-9.]+)|\[([0-9A-Fa-f]*:[0-9A-Fa-f:.]*)\])(?::[0-9]{1,5})?")
# RFC 7239, section 4: pairs of a token and a token or quoted string.
_PAIR = re.compile(r'([!#$%&\'*+.^_`|~0-9A-Za-z-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s";,]*))')
_SCHEMES = frozenset({"http", "https"})


class Origin(NamedTuple):
    """Where a request came from, as far as it is believed.

    Args:
        address: the client's; empty for the peer of a Unix socket that names no other.
        host: what the client asked for, of which Host header; empty when there is none.
        proto: how: `http` or `https`.
        chain: the client's address, then those of the proxies on the way, the peer last.
    """

    address: str
    host: str
    proto: str
    chain: tuple[str, ...]


class TrustedProxies:
    """The proxies that are believed about their clients.

    Args:
        networks: their addresses or networks, as `10.0.0.0/8`; `unix` for Unix sockets.
        source: which headers they write. The other ones are the client's own and say nothing,
            for a proxy hands on what it does not know.

    Raises:
        ConfigError: one of the networks is none.

    >>> proxies = TrustedProxies(["10.0.0.0/8"])
    >>> headers = [(b"x-forwarded-for", b"6.6.6.6, 192.0.2.1, 10.0.0.9")]
    >>> proxies(headers, ("10.0.0.1", 4711), "http").chain
    ('192.0.2.1', '10.0.0.9', '10.0.0.1')
    """

    def __init__(self, networks: Iterable[str] = (), *, source: Source = "x-forwarded") -> None:
        if isinstance(networks, str):
            raise ConfigError(f"trusted proxies {networks!r}: a sequence of networks is expected")
        if source not in {"x-forwarded", "forwarded"}:
            raise ConfigError(f"source {source!r}: 'x-forwarded' or 'forwarded' is expected")
        listed = list(networks)
        self._networks = tuple(_network(each) for each in listed if each != UNIX)
        self._unix = UNIX in listed
        self._source = source
        self._peer = functools.lru_cache(1024)(self._peer_of)

    def __call__(self, headers: RawHeaders, peer: tuple[str, int] | None, scheme: str) -> Origin:
        """Return where a request came from.

        Args:
            headers: of the request, names in lower case.
            peer: who is at the other end of the connection; None for a Unix socket.
            scheme: of the connection.
        """
        own, trusted = ("", self._unix) if peer is None else self._peer(peer[0])
        host = _last(headers, b"host")
        proto = scheme if scheme in _SCHEMES else {"ws": "http", "wss": "https"}.get(scheme, "")
        direct = Origin(own, host if is_host(host) else "", proto, (own,) if own else ())
        if not trusted:
            return direct
        if self._source == "forwarded":
            return self._by_forwarded(headers, direct)
        return self._by_x_forwarded(headers, direct)

    def client(self, headers: RawHeaders, peer: str | None) -> str:
        """Return the address of the client alone; empty for the peer of a Unix socket.

        Args:
            headers: as above.
            peer: the address at the other end of the connection; None for a Unix socket.
        """
        own, trusted = ("", self._unix) if peer is None else self._peer(peer)
        if not trusted:
            return own
        return self(headers, None if peer is None else (peer, 0), "").address

    def trusts(self, peer: str | None) -> bool:
        """Say whether a peer, by its address, is one of these; None for a Unix socket."""
        return self._unix if peer is None else self._peer(peer)[1]

    def _by_x_forwarded(self, headers: RawHeaders, direct: Origin) -> Origin:
        entries = reversed(list(_values(headers, b"x-forwarded-for")))
        chain, _ = self._believed(entries, direct)
        host, proto = _last(headers, b"x-forwarded-host"), _last(headers, b"x-forwarded-proto")
        return _origin(direct, chain, host, proto)

    def _by_forwarded(self, headers: RawHeaders, direct: Origin) -> Origin:
        lines = [value.decode("latin-1") for name, value in headers if name == b"forwarded"]
        elements = [_pairs(each) for line in lines for each in _elements(line)]
        elements.reverse()
        chain, read = self._believed((each.get("for", "") for each in elements), direct)
        nearest_to_client = elements[read - 1] if read else {}
        host, proto = nearest_to_client.get("host", ""), nearest_to_client.get("proto", "")
        return _origin(direct, chain, host, proto)

    def _believed(self, entries: Iterable[str], direct: Origin) -> tuple[tuple[str, ...], int]:
        """Return the addresses from the client to the peer, and how many entries say them."""
        found: list[str] = []
        for entry in entries:
            address = _entry(entry)
            if address is None:
                return direct.chain, 0
            found.append(str(address))
            if not self._is_listed(address):
                break
        client, near = found[-1:], found[:-1][: CHAIN_LIMIT - 1]
        return (*client, *reversed(near), *direct.chain), len(found)

    def _peer_of(self, text: str) -> tuple[str, bool]:
        """Return the address of a peer, and whether it is trusted."""
        address = _parsed(text)
        return (text, False) if address is None else (str(address), self._is_listed(address))

    def _is_listed(self, address: Address) -> bool:
        return any(
            address.version == network.version and address in network for network in self._networks
        )


NO_PROXIES: Final = TrustedProxies()
"""Nobody is believed."""


@functools.lru_cache(256)
def is_host(text: str) -> bool:
    """Say whether this is a host with or without a port, as a Host header holds it.

    >>> is_host("[::1]:8080"), is_host("a/b"), is_host("a:99999")
    (True, False, False)
    """
    found = _HOST.fullmatch(text)
    return found is not None and int(found[1] or 0) <= 65_535


def _origin(direct: Origin, chain: tuple[str, ...], host: str, proto: str) -> Origin:
    proto = proto.lower()
    return Origin(
        chain[0] if chain else "",
        host if is_host(host) else direct.host,
        proto if proto in _SCHEMES else direct.proto,
        chain,
    )


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError(f"trusted proxy {text!r}: {error}") from None


def _parsed(text: str) -> Address | None:
    """Return an address as it must be written; IPv4 within IPv6 as IPv4."""
    if len(text) > 45 or "%" in text:
        return None
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return address if mapped is None else mapped


def _entry(text: str) -> Address | None:
    """Return the address of one entry, with or without a port."""
    address = _parsed(text)
    if address is None and len(text) <= 64 and (found := _WITH_PORT.fullmatch(text)):
        address = _parsed(found[1] or found[2])
    return address


def _values(headers: RawHeaders, name: bytes) -> Iterator[str]:
    for key, value in headers:
        if key == name:
            yield from (each.strip(" \t") for each in value.decode("latin-1").split(","))


def _last(headers: RawHeaders, name: bytes) -> str:
    """Return the last value of a header, which is the nearest proxy's; empty without one."""
    for key, value in reversed(headers):
        if key == name:
            return value.decode("latin-1").rpartition(",")[2].strip(" \t")
    return ""


def _elements(line: str) -> list[str]:
    """Cut a `Forwarded` header at its commas, except those within quotes."""
    elements, start, quoted, escaped = [], 0, False, False
    for index, character in enumerate(line):
        if escaped:
            escaped = False
        elif quoted and character == "\\":
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif character == "," and not quoted:
            elements.append(line[start:index])
            start = index + 1
    return [*elements, line[start:]]


def _pairs(element: str) -> dict[str, str]:
    """Return the pairs of one element; none when it is malformed or says a name twice."""
    pairs: dict[str, str] = {}
    for part in element.split(";"):
        found = _PAIR.fullmatch(part.strip(" \t"))
        if found is None or found[1].lower() in pairs:
            return {}
        quoted = found[2]
        value = found[3] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        pairs[found[1].lower()] = value
    return pairs
