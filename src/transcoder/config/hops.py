"""Where a request goes, gateway by gateway, as their files say it.

A gateway is left for the one whose listener the upstream is, of gRPC or HTTP; what it adds to the
request, and what it takes from it, the next one sees. Nothing is connected, and no token is read:
what a caller claims is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit

from transcoder.call_details import CallDetails, Principal
from transcoder.config.build import Built
from transcoder.config.models import Config
from transcoder.config.models.listeners import Listener
from transcoder.config.models.routes import Route
from transcoder.config.models.services import Service, Versioned
from transcoder.config.models.upstreams import Upstream
from transcoder.config.versions import matches_of, sticky_of
from transcoder.errors import ConfigError, StatusError
from transcoder.explain import Explanation, explain
from transcoder.forwarding import Forwarding
from transcoder.header_names import HeaderNames
from transcoder.hosts import Served, not_served
from transcoder.listeners import Address as Listening
from transcoder.metadata import Metadatum
from transcoder.policies.policy import Limiting
from transcoder.upstream import Call
from transcoder.upstream.passing import passes
from transcoder.upstream.versions import choice_of

if TYPE_CHECKING:
    from transcoder.http_upstream.address import Address

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Described:
    """A gateway.

    Args:
        name: of its file.
        config: what the file says.
        built: what that is.
    """

    name: str
    config: Config
    built: Built

    @property
    def services(self) -> dict[str, Service]:
        """What the file says of each service, by its full name."""
        told = zip(self.config.services, self.built.descriptors, strict=True)
        return {service.full_name: given for given, found in told for service in found.services}


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for.

    Args:
        method: of HTTP.
        url: whose host and port a client connects to.
        headers: by name.
        claims: of the caller, which the gateway has verified.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    claims: Mapping[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """The path of the URL, as a client sends it."""
        return urlsplit(self.url).path or "/"


@dataclass(frozen=True, slots=True)
class Hop:
    """What becomes of a request at one gateway.

    Args:
        name: of its file.
        listener: which it comes in by.
        told: what is so, each with its name, in the order in which the request meets it.
        refused: why it goes no further; empty if it does.
    """

    name: str
    listener: str
    told: tuple[tuple[str, str], ...] = ()
    refused: str = ""


@dataclass(frozen=True, slots=True)
class _Call:
    """A call on its way.

    Args:
        metadata: what is said of it, by names in lower case.
        claims: of the caller, where tokens are read.
        request: of HTTP; None for one that comes by gRPC.
        method: its full name; empty until a route says it, and where no method answers.
    """

    metadata: Mapping[str, str]
    claims: Mapping[str, str]
    request: Request | None
    method: str = ""

    @property
    def asked(self) -> Call:
        """The call as far as it is looked at to choose a version."""
        service, _, name = self.method.rpartition(".")
        path = f"/{service}/{name}"
        headers = [(key.encode(), value.encode()) for key, value in self.metadata.items()]
        if self.request is None:
            details = CallDetails("grpc", self.method, path, path=path, headers=headers)
        else:
            url = urlsplit(self.request.url)
            details = CallDetails(
                "http", self.method, "", self.request.method, self.request.path, headers
            )
            details.query = url.query.encode()
        if self.claims:
            details.principal = Principal(subject="", scheme="jwt", claims=self.claims)
        made = Call(path)
        made.told(tuple(Metadatum(*pair) for pair in self.metadata.items()), details)
        return made


@dataclass(frozen=True, slots=True)
class _Routed:
    """Who answers a call at a gateway.

    Args:
        call: with the method, where one answers.
        told: of the way there.
        by: what the file says of who answers; None for nobody, or the gateway itself.
        refused: why nobody does.
    """

    call: _Call
    told: tuple[tuple[str, str], ...]
    by: Versioned | None = None
    refused: str = ""


def hops(gateways: Sequence[Described], request: Request) -> list[Hop]:
    """Return where a request goes.

    Args:
        gateways: the first of them gets the request; the others may be behind it, in any order.
        request: what a client sends.

    Raises:
        ConfigError: the URL is none of HTTP with a host, or names a port at which the first of the
            gateways has no listener; or two routes conflict.
    """
    _check_port(gateways[0], _parsed(request.url))
    metadata = {name.lower(): value for name, value in request.headers.items()}
    return list(_followed(gateways, _Call(metadata, request.claims, request)))


def _parsed(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  it is read here for its errors
    except ValueError as error:
        raise ConfigError(f"{url} is no URL: {error}") from None
    if not parts.hostname:
        raise ConfigError(f"{url}: a URL with a host is expected, as https://api.example/v1")
    if parts.scheme not in _PORTS:
        raise ConfigError(f"{url}: http or https is expected, and not {parts.scheme!r}")
    return parts


def _check_port(gateway: Described, url: SplitResult) -> None:
    """See that a gateway may be asked at the port that a URL names.

    One that names none, or its scheme's own, may be that of a load balancer before it.
    """
    if url.port is None or url.port == _PORTS[url.scheme]:
        return
    addresses = [gateway.config.listen.http, *(each.http for each in gateway.config.listeners)]
    ports = [Listening.parse(each).port for each in addresses]
    # At a socket of this machine, and at a port that the system chooses, it is not known.
    if url.port not in ports and all(ports):
        there = ", ".join(map(str, ports))
        raise ConfigError(f"{url.geturl()}: no listener at port {url.port}: there are {there}")


def _followed(gateways: Sequence[Described], call: _Call) -> Iterator[Hop]:
    """Yield the hops of a call that comes to the first of some gateways."""
    here: Described | None = gateways[0]
    seen: set[str] = set()
    while here is not None and here.name not in seen:
        seen.add(here.name)
        listen = here.config.listen
        if call.request is None:
            listener, routed = f"gRPC on {listen.grpc}", _by_method(here, call)
        else:
            port = _port(here, urlsplit(call.request.url))
            listener = f"HTTP on {listen.http if port is None else port.http}"
            routed = _by_path(here, call, call.request, port)
        if routed.by is None:
            yield Hop(here.name, listener, routed.told, routed.refused)
            return
        call = _admitted(here, routed.call)
        name, how = _chosen(routed.by, call)
        upstream = here.config.upstreams[name]
        told = [*routed.told, *_policies(here, call), *how]
        told.append(("upstream", f"{name}: {_described(upstream)}"))
        try:
            call = _onward(call, upstream, routed.by)
        except StatusError as error:
            yield Hop(here.name, listener, tuple(told), _refusal(error))
            return
        yield Hop(here.name, listener, tuple(told))
        here = _behind(gateways, upstream)


def _by_method(here: Described, call: _Call) -> _Routed:
    """Return who answers a call that comes by gRPC."""
    told = (("method", call.method),)
    if call.method not in _methods(here):
        return _Routed(call, told, refused="no such method here")
    return _Routed(call, told, here.services[call.method.rpartition(".")[0]])


def _port(gateway: Described, url: SplitResult) -> Listener | None:
    """Return the further port that a URL is of; None if it is none of them."""
    wanted = _PORTS[url.scheme] if url.port is None else url.port
    ports = gateway.config.listeners
    return next((each for each in ports if Listening.parse(each.http).port == wanted), None)


def _by_path(here: Described, call: _Call, request: Request, port: Listener | None) -> _Routed:
    """Return who answers a call that comes by HTTP."""
    told = [("host", urlsplit(request.url).netloc)]
    transcoder = here.built.gateway.transcoder
    found = explain(transcoder, request.method, request.url)
    route = found.route
    passes_on = route is not None and isinstance(route.endpoint, Forwarding)
    is_own = found.error is None and not passes_on
    is_own = is_own and (route is None or route.name not in _methods(here))
    if port is not None and port.hosts and not is_own:
        asked = (urlsplit(request.url).hostname or "", Listening.parse(port.http).port)
        if not Served(port.hosts).fits(*asked):
            found, route = Explanation(error=not_served()), None
    if route is not None:
        told.append(("route", f"{route.method} {route.template}"))
    if route is not None and isinstance(route.endpoint, Forwarding):
        for given in here.config.routes:
            fits = not given.methods or route.method in given.methods
            if fits and (given.path, tuple(given.hosts)) == (route.name, route.hosts):
                return _Routed(call, tuple(told), given)
    if route is not None and route.name in _methods(here):
        told.append(("method", route.name))
        call = replace(call, method=route.name)
        if found.error is not None and not route.endpoint.binding.body:
            # With a body, of which nothing is known here, it might be another error.
            return _Routed(call, tuple(told), refused=_refusal(found.error))
        service = here.services[route.name.rpartition(".")[0]]
        return _Routed(call, tuple(told), service)
    why = "this gateway answers it itself"
    if found.error is not None:
        why = _refusal(found.error)
        internal = [each for each in found.candidates if each.route in transcoder.withheld]
        why += "".join(f"; {each.route.name}: {each.stopped}" for each in internal)
    return _Routed(call, tuple(told[:1]), refused=why)


def _refusal(error: StatusError) -> str:
    return f"{error.http} {error.status.code.name}: {error.status.message}"


def _described(upstream: Upstream) -> str:
    """Return how an upstream is called, and where."""
    protocol = {"target": "gRPC", "url": "HTTP", "graphql": "GraphQL"}[upstream.kind]
    security = "in the clear"
    if upstream.tls is not None or upstream.place.startswith("https:"):
        security = "TLS" if upstream.tls is None or upstream.tls.certificate is None else "mTLS"
    return f"{protocol} to {upstream.place}, {security}"


def _onward(call: _Call, upstream: Upstream, by: Versioned) -> _Call:
    """Return a call as who is behind an upstream sees it.

    Raises:
        StatusError: its path is none that passes.
    """
    if call.request is None or upstream.url is None:
        return replace(call, metadata=_passed(call.metadata), claims={}, request=None)
    address = _address(upstream.url)
    asked = urlsplit(call.request.url)
    prefix = by.strip_prefix if isinstance(by, Route) else ""
    host = asked.netloc if upstream.host == "keep" else address.authority
    path = address.path(call.request.path, prefix)
    url = asked._replace(netloc=host, path=path).geturl()
    return _Call(call.metadata, {}, replace(call.request, url=url))


def _methods(gateway: Described) -> set[str]:
    pool = gateway.built.gateway.pool
    return {
        method.full_name
        for name in gateway.services
        for method in pool.FindServiceByName(name).methods
    }


def _admitted(gateway: Described, call: _Call) -> _Call:
    """Return a call with what the gateway's policies say of it, and nobody else may."""
    policies = gateway.config.policies
    trusted = bool(gateway.config.trusted_peers)
    built = gateway.built.gateway
    own: HeaderNames | frozenset[str] = built.chain.writes if trusted else built.stripped
    if trusted and gateway.config.role == "internal":
        own = frozenset()
    metadata = {name: value for name, value in call.metadata.items() if name not in own}
    if policies.internal is not None or gateway.config.role == "edge":
        metadata["x-internal"] = "true"
    for claim, key in ({} if policies.jwt is None else policies.jwt.forward).items():
        if claim in call.claims:
            metadata[key] = call.claims[claim]
    return replace(call, metadata=metadata)


def _policies(gateway: Described, call: _Call) -> Iterable[tuple[str, str]]:
    standing = gateway.built.gateway.chain.policies
    # Whoever stands before a gateway that trusts anybody is taken for a trusted peer.
    trusted = bool(gateway.config.trusted_peers)
    path = "" if call.request is None else call.request.path
    for index, policy in enumerate(standing.before(call.method, path, trusted=trusted)):
        more = f": {policy.limits}" if isinstance(policy, Limiting) else ""
        yield "" if index else "policies", f"{policy.name}{more}"


def _chosen(by: Versioned, call: _Call) -> tuple[str, list[tuple[str, str]]]:
    """Return which upstream answers, and why that one."""
    if by.upstream is not None:
        return by.upstream, []
    if isinstance(by, Route) and by.graphql is not None:
        return by.graphql.upstream, []
    upstreams = {version.name: version.upstream for version in by.versions}
    choice = choice_of(by.versions, matches_of(by), sticky_of(by) or "")
    found = choice.explain(call.asked)
    if found is not None:
        name, why = found
        return upstreams[name], [("version", f"{name}: {why}")]
    shares = ", ".join(f"{each.name} {each.weight}" for each in by.versions if each.weight)
    heaviest = max(by.versions, key=lambda version: version.weight or 0)
    return heaviest.upstream, [
        ("version", f"by weight of 100: {shares}; followed here: {heaviest.name}")
    ]


def _address(url: str) -> Address:
    from transcoder.http_upstream.address import Address  # noqa: PLC0415  it needs an extra

    return Address.parse(url)


def _behind(gateways: Sequence[Described], upstream: Upstream) -> Described | None:
    """Return the gateway whose port an upstream is; by the port, for hosts have many names."""
    if upstream.url is not None:
        port = str(_address(upstream.url).port)
        listeners = [
            [each.config.listen.http, *(further.http for further in each.config.listeners)]
            for each in gateways
        ]
    else:
        port = upstream.place.rpartition(":")[2]
        listeners = [[each.config.listen.grpc] for each in gateways]
    for gateway, ports in zip(gateways, listeners, strict=True):
        if port in [listener.rpartition(":")[2] for listener in ports]:
            return gateway
    return None


def _passed(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if passes(name)}
