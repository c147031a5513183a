"""Endpoints by DNS: all addresses of a host, or the hosts of a service (RFC 2782).

The system's hosts file is not asked: endpoints that are written down are better listed.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

from transcoder.discovery.records import (
    Addresses,
    Refresh,
    Service,
    is_number,
    name_server,
    of_host,
    of_services,
)
from transcoder.discovery.source import Answer, Unknown, split_address

try:
    import dns.asyncresolver
    import dns.exception
    import dns.resolver
    from dns.name import Name
except ImportError as missing:
    raise ImportError("dnspython is missing: install transcoder[dns]") from missing

_TIMEOUT: Final = 1.0
"""Seconds that one name server has for one answer."""

_LIFETIME: Final = 3.0
"""Seconds for a question, of whomever it is asked."""

_DEFAULT_REFRESH: Final = Refresh()


class Dns:
    """All addresses of a host, as a headless Service of Kubernetes has them.

    Args:
        target: `HOST:PORT`.
        nameserver: to ask, `HOST` or `HOST:PORT` in numbers; empty for those of the system.
        refresh: bounds of the time between two questions, which is that of the records.

    Raises:
        ConfigError: the target is none, or the name server.
    """

    def __init__(
        self, target: str, *, nameserver: str = "", refresh: Refresh = _DEFAULT_REFRESH
    ) -> None:
        self.name: Final = target
        self._host, self._port = split_address(target)
        self._questions = _Questions(nameserver)
        self._refresh = refresh

    async def look(self) -> Answer:
        """Return the endpoints; see `Source`."""
        try:
            found = await self._questions.addresses(self._host)
        except dns.exception.DNSException as error:
            raise _unknown(error) from None
        return of_host(found, self._host, self._port, self._refresh)


class Srv:
    """The hosts of a service and their ports, by priority and weight, as Consul tells them.

    Args:
        service: its name, as `_grpc._tcp.users.internal`.
        nameserver: as that of `Dns`.
        refresh: as that of `Dns`.

    Raises:
        ConfigError: the name server is none.
    """

    def __init__(
        self, service: str, *, nameserver: str = "", refresh: Refresh = _DEFAULT_REFRESH
    ) -> None:
        self.name: Final = service
        self._questions = _Questions(nameserver)
        self._refresh = refresh

    async def look(self) -> Answer:
        """Return the endpoints; see `Source`."""
        try:
            services, ttl = await self._questions.services(self.name)
            targets = sorted({each.target for each in services if each.target})
            asked = [self._questions.addresses(target) for target in targets]
            found = await asyncio.gather(*asked, return_exceptions=True)
        except dns.exception.DNSException as error:
            raise _unknown(error) from None
        hosts = dict(zip(targets, found, strict=True))
        known = {name: each for name, each in hosts.items() if isinstance(each, Addresses)}
        wrong = [each for each in found if isinstance(each, BaseException)]
        if wrong and not known:
            raise _unknown(wrong[0]) from None
        return of_services(services, ttl, known, self._refresh)


class _Questions:
    """Asks name servers.

    Args:
        nameserver: which; empty for those of the system.
    """

    def __init__(self, nameserver: str) -> None:
        self._server = name_server(nameserver) if nameserver else None
        self._resolver: dns.asyncresolver.Resolver | None = None

    async def addresses(self, host: str) -> Addresses:
        """Return the addresses of a host, of both kinds.

        Raises:
            DNSException: there is no answer.
        """
        if is_number(host):
            return Addresses((host,), float("inf"))
        kinds = [self._ask(host, kind) for kind in ("A", "AAAA")]
        found = await asyncio.gather(*kinds, return_exceptions=True)
        known = [each for each in found if not isinstance(each, BaseException)]
        hosts = [record.address for answer in known for record in answer]
        if not hosts:
            # What is known of one kind of address says nothing of the other.
            raise next(each for each in found if isinstance(each, BaseException))
        return Addresses(tuple(hosts), min(_ttl(answer) for answer in known))

    async def services(self, name: str) -> tuple[list[Service], float]:
        """Return the records of a service, and the seconds for which they hold.

        Raises:
            DNSException: there is no answer.
        """
        answer = await self._ask(name, "SRV")
        found = [
            Service(each.priority, each.weight, each.port, _text(each.target)) for each in answer
        ]
        return found, _ttl(answer)

    async def _ask(self, name: str, kind: str) -> Any:
        if self._resolver is None:
            self._resolver = self._made()
        return await self._resolver.resolve(name, kind, search=self._server is None)

    def _made(self) -> dns.asyncresolver.Resolver:
        resolver = dns.asyncresolver.Resolver(configure=self._server is None)
        if self._server is not None:
            resolver.nameservers, resolver.port = [self._server[0]], self._server[1]
        resolver.timeout, resolver.lifetime = _TIMEOUT, _LIFETIME
        return resolver


def _ttl(answer: Any) -> float:
    return float(answer.rrset.ttl)


def _text(name: Name) -> str:
    return name.to_text(omit_final_dot=True) if len(name.labels) > 1 else ""


def _unknown(error: BaseException) -> Unknown:
    if isinstance(error, dns.resolver.NXDOMAIN):
        return Unknown("there is no such name")
    if isinstance(error, dns.resolver.NoAnswer):
        return Unknown("there are no such records of the name")
    if isinstance(error, dns.resolver.LifetimeTimeout):
        return Unknown("the name server does not answer")
    if isinstance(error, dns.resolver.NoNameservers):
        return Unknown("no name server can answer")
    return Unknown(" ".join(str(error).split())[:200] or type(error).__name__)
