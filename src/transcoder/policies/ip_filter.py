"""Addresses that may call, and addresses that may not."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Iterable
from typing import Final, TypeAlias

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.forwarded import UNIX
from transcoder.policies.policy import Denied, Now, Stage, check_texts
from transcoder.status import Code

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_REMEMBERED = 4096


class IpFilter:
    """Lets calls pass by where they come from.

    The address is the client's as the gateway's trusted proxies tell it, and else the peer's. IPv4
    within IPv6 (`::ffff:192.0.2.1`) is IPv4.

    Args:
        allow: networks, as `10.0.0.0/8`, or addresses; with none, all are allowed. `unix` stands
            for the clients of a Unix socket.
        deny: the same; what is denied is so even where it is allowed.
        name: of the policy, for logs and overrides.

    Raises:
        ConfigError: one of them is no network.

    >>> policy = IpFilter(allow=["10.0.0.0/8"], deny=["10.9.0.0/16"])
    >>> policy.admits("10.1.2.3"), policy.admits("10.9.2.3"), policy.admits("192.0.2.1")
    (True, False, False)
    """

    stage: Final = Stage.ADDRESS

    def __init__(
        self, *, allow: Iterable[str] = (), deny: Iterable[str] = (), name: str = "ip-filter"
    ) -> None:
        self.name: Final = name
        self._allow, allow_unix = _networks(f"{name}: allow", allow)
        self._deny, deny_unix = _networks(f"{name}: deny", deny)
        listed = bool(self._allow) or allow_unix
        self._unix = not deny_unix and (allow_unix or not listed)
        self._listed = listed
        self.admits = functools.lru_cache(_REMEMBERED)(self._admits)

    def decide(self, call: CallDetails, now: Now) -> None:
        """Let a call pass, or refuse it."""
        if not self.admits(call.peer):
            raise Denied(Code.PERMISSION_DENIED, "this address may not call here", reason="address")

    def _admits(self, peer: str) -> bool:
        if not peer:
            return self._unix
        try:
            address = ipaddress.ip_address(peer)
        except ValueError:
            # Nobody knows where it comes from: only who lets in everybody lets that in.
            return not self._listed and not self._deny
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        address = mapped or address
        if any(address in network for network in self._deny):
            return False
        return not self._listed or any(address in network for network in self._allow)


def _networks(option: str, texts: Iterable[str]) -> tuple[tuple[Network, ...], bool]:
    listed = list(texts) if not isinstance(texts, str) else texts
    check_texts(option, listed)
    networks = tuple(_network(option, text) for text in listed if text != UNIX)
    return networks, UNIX in listed


def _network(option: str, text: str) -> Network:
    try:
        network = ipaddress.ip_network(text)
    except ValueError as error:
        raise ConfigError(f"{option}: {error}") from None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:
            return ipaddress.ip_network((mapped, network.prefixlen - 96))
    return network
