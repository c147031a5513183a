"""Which routes a request may take, by the host that it asks for.

    user.example.com        one host
    *.example.com           all hosts below one, at any depth, and not that one itself
    user.example.com:8443   either of these, where the connection came to that port

The most specific pattern decides: a whole name before `*.`, a longer one of those before a shorter,
and of two that differ in the port the one that names it. Then only the routes that are bound to it
answer, and those that are bound to no host, which are at all of them. So it is with Envoy's virtual
hosts, and between the virtual services of Istio.

The port is that of the listener. The one in a Host header is the client's word, and where a load
balancer stands before the listener, it is the load balancer's.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from typing import Final, Generic, NamedTuple, TypeVar

from transcoder.errors import ConfigError, StatusError
from transcoder.route import Conflict, Route
from transcoder.routing import Router
from transcoder.status import Code

T = TypeVar("T")

_PATTERN = re.compile(
    r"(?P<wild>\*\.)?(?P<name>[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?|\[[0-9a-f:.]{2,45}\])"
    r"(?::(?P<port>[0-9]{1,5}))?"
)
_REMEMBERED = 1024
_HEALTH = frozenset({"health", "liveness", "readiness"})


class Host(NamedTuple):
    """A pattern of hosts.

    >>> Host.parse("*.Example.com:8443")
    Host(name='example.com', below=True, port=8443)
    >>> str(Host.parse("*.Example.com:8443"))
    '*.example.com:8443'
    """

    name: str
    below: bool = False
    port: int | None = None

    @classmethod
    def parse(cls, text: str) -> Host:
        """Return the pattern that a text writes.

        Raises:
            ConfigError: it writes none.
        """
        found = _PATTERN.fullmatch(text.lower())
        if found is None or (found["wild"] and found["name"][0] == "[") or ".." in text:
            raise ConfigError(f"host {text!r}: NAME or *.NAME is expected, or with :PORT")
        port = None if found["port"] is None else int(found["port"])
        if port is not None and not 0 < port <= 65_535:
            raise ConfigError(f"host {text!r}: {port} is no port")
        return cls(found["name"], found["wild"] is not None, port)

    def covers(self, other: Host) -> bool:
        """Say whether all requests that another pattern fits fit this one too."""
        if self.port not in {None, other.port}:
            return False
        if self.below:
            return other.name.endswith(f".{self.name}") or (other.below and other.name == self.name)
        return other.name == self.name and not other.below

    def __str__(self) -> str:
        port = "" if self.port is None else f":{self.port}"
        return f"{'*.' if self.below else ''}{self.name}{port}"


class Served:
    """The hosts that are answered somewhere.

    Args:
        patterns: of them.

    Raises:
        ConfigError: a pattern is none.
    """

    def __init__(self, patterns: Iterable[str]) -> None:
        self._patterns: Final = frozenset(map(Host.parse, patterns))

    def fits(self, host: str, port: int | None) -> bool:
        """Say whether a request is for one of them; the arguments are those of `Hosts.of`."""
        return any(each in self._patterns for each in _candidates(name_of(host), port))

    def check_port(self, port: int) -> None:
        """See that no pattern is of another port than theirs; 0 is any.

        Raises:
            ConfigError: one is.
        """
        for each in self._patterns:
            if port and each.port not in {None, port}:
                raise ConfigError(f"host {str(each)!r}: connections come to port {port}")


class Hosts(Generic[T]):
    """The routers of a gateway's hosts.

    Args:
        routes: in the order in which they were declared.
        make: makes a router.
        served: the hosts that are answered at all; none for all hosts. Health is asked for by
            address, and so it answers at the others too.

    Raises:
        ConfigError: a pattern is none, a route is bound to a host that is not served, or two
            routes of one host are in conflict.
    """

    def __init__(
        self,
        routes: Sequence[Route[T]],
        make: Callable[[Iterable[Route[T]]], Router[T]] = Router,
        served: Iterable[str] = (),
    ) -> None:
        self.routes: Final = tuple(routes)
        self.default: Final = make(route for route in routes if not route.hosts)
        """The router of hosts to which no route is bound."""
        self._served = tuple(map(Host.parse, served))
        self._routers: dict[Host, Router[T]] = {}
        bound = {text: Host.parse(text) for route in routes for text in route.hosts}
        for host in bound.values():
            if problem := unserved(host, self._served):
                raise ConfigError(f"a route is bound to the host {problem}")
        made: dict[tuple[int, ...], Router[T]] = {}
        for host in dict.fromkeys(bound.values()):
            here = [
                index
                for index, route in enumerate(routes)
                if not route.hosts or any(bound[text] == host for text in route.hosts)
            ]
            if tuple(here) not in made:
                made[tuple(here)] = make(routes[index] for index in here)
            self._routers[host] = made[tuple(here)]
        self.routers: Final = (self.default, *made.values())
        """All of them, each once."""
        self.by_host: Final = bool(self._routers or self._served)
        """Whether it matters which host a request asks for."""
        own = [route for route in routes if route.reserved and route.name in _HEALTH]
        self.elsewhere: Final = make(own)
        """The router of hosts that are not served."""
        self._found = functools.lru_cache(_REMEMBERED)(self._find)

    @property
    def conflicts(self) -> tuple[Conflict[T], ...]:
        """Routes that never answer at some host because others do."""
        found = [each for router in self.routers for each in router.conflicts]
        return tuple({(id(each.route), id(each.other)): each for each in found}.values())

    def of(self, host: str, port: int | None = None) -> Router[T]:
        """Return the router of the hosts that a request asks for.

        Args:
            host: as the Host header holds it, with or without a port; empty for none.
            port: that the connection came to; None where there is none, as with a Unix socket.
        """
        return self._found(host, port) if self.by_host else self.default

    def serves(self, router: Router[T]) -> bool:
        """Say whether a router is of hosts that are served."""
        return router is not self.elsewhere

    def _find(self, host: str, port: int | None) -> Router[T]:
        name = name_of(host)
        asked = list(_candidates(name, port))
        if self._served and not any(each in self._served for each in asked):
            return self.elsewhere
        for each in asked:
            if each in self._routers:
                return self._routers[each]
        return self.default


def unserved(host: Host, served: Collection[Host]) -> str:
    """Return why nothing at a host is ever asked for; empty where it is served.

    Args:
        host: to which routes are bound.
        served: none for all.
    """
    if not served or any(each.covers(host) for each in served):
        return ""
    return f"{host}: served are {', '.join(map(str, served))}"


def not_served(why: str = "the host that the request asks for is not served here") -> StatusError:
    """Return the error for a host that is not this gateway's (RFC 9110, section 15.5.20).

    Args:
        why: what the client is told.
    """
    return StatusError(Code.NOT_FOUND, why, http=421)


def listed(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return several hosts.

    Raises:
        ConfigError: they are one text.
    """
    if isinstance(hosts, str):
        raise ConfigError(f"hosts {hosts!r}: a sequence is expected")
    return tuple(hosts)


def _candidates(name: str, port: int | None) -> Iterator[Host]:
    """Yield the patterns that a host fits, the most specific first."""
    below = False
    while name:
        if port is not None:
            yield Host(name, below, port)
        yield Host(name, below)
        below = True
        name = "" if name[0] == "[" else name.partition(".")[2]


def name_of(host: str) -> str:
    """Return the name in a Host header: in lower case, without a port or the root's dot.

    >>> name_of("User.Example.com.:8080"), name_of("[::1]:80"), name_of("")
    ('user.example.com', '[::1]', '')
    """
    name = host.lower()
    end = name.rfind(":")
    if end > name.rfind("]"):
        name = name[:end]
    return name.removesuffix(".")
