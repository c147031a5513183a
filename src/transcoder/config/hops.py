"""Where a request goes, gateway by gateway, as their files say it.

A gateway is left for the one whose listener is the target of the upstream; what it adds to the
request, and what it takes from it, the next one sees. Nothing is connected, and no token is read:
what a caller claims is given.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import SplitResult, urlsplit

from transcoder.call_details import CallDetails, Principal
from transcoder.config.build import Built
from transcoder.config.models import Config
from transcoder.config.models.listeners import Listener
from transcoder.config.models.services import Service
from transcoder.config.versions import matches_of, sticky_of
from transcoder.errors import ConfigError
from transcoder.explain import Explanation, explain
from transcoder.hosts import Served, not_served
from transcoder.listeners import Address
from transcoder.metadata import Metadatum
from transcoder.policies.policy import Limiting
from transcoder.upstream import Call
from transcoder.upstream.passing import passes
from transcoder.upstream.split import choice_of


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
        method: its full name.
        metadata: what is said of it, by names in lower case.
        claims: of the caller, where tokens are read.
        request: of HTTP; None for one that comes by gRPC.
    """

    method: str
    metadata: Mapping[str, str]
    claims: Mapping[str, str]
    request: Request | None = None

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
            verb, target = self.request.method, url.path or "/"
            details = CallDetails("http", self.method, "", verb, target, headers)
            details.query = url.query.encode()
        if self.claims:
            details.principal = Principal(subject="", scheme="jwt", claims=self.claims)
        made = Call(path)
        made.told(tuple(Metadatum(*pair) for pair in self.metadata.items()), details)
        return made


def hops(gateways: Sequence[Described], request: Request) -> list[Hop]:
    """Return where a request goes.

    Args:
        gateways: the first of them gets the request; the others may be behind it, in any order.
        request: what a client sends.

    Raises:
        ConfigError: the URL has no host, or two routes conflict.
    """
    first = gateways[0]
    url = urlsplit(request.url)
    if not url.hostname:
        raise ConfigError(
            f"{request.url}: a URL with a host is expected, as https://api.example/v1"
        )
    port = _port(first, url)
    listener = f"HTTP on {first.config.listen.http if port is None else port.http}"
    came = [("host", url.netloc)]
    transcoder = first.built.gateway.transcoder
    found = explain(transcoder, request.method, request.url)
    is_own = found.error is None and (
        found.route is None or found.route.name not in _methods(first)
    )
    if port is not None and port.hosts and not is_own:
        asked = (url.hostname, Address.parse(port.http).port)
        if not Served(port.hosts).fits(*asked):
            found = Explanation(error=not_served())
    if found.route is None or found.route.name not in _methods(first):
        why = "this gateway answers it itself"
        if found.error is not None:
            why = f"{found.error.http} {found.error.status.code.name}: {found.error.status.message}"
            internal = [each for each in found.candidates if each.route in transcoder.withheld]
            why += "".join(f"; {each.route.name}: {each.stopped}" for each in internal)
        return [Hop(first.name, listener, tuple(came), why)]
    came.append(("route", f"{found.route.method} {found.route.template}"))
    metadata = {name.lower(): value for name, value in request.headers.items()}
    call = _Call(found.route.name, metadata, request.claims, request)
    return list(_followed(gateways, listener, came, call))


def _port(gateway: Described, url: SplitResult) -> Listener | None:
    """Return the further port that a URL is of; None if it is none of them."""
    wanted = url.port or (443 if url.scheme == "https" else 80)
    ports = gateway.config.listeners
    return next((each for each in ports if Address.parse(each.http).port == wanted), None)


def _followed(
    gateways: Sequence[Described], listener: str, came: list[tuple[str, str]], call: _Call
) -> Iterator[Hop]:
    """Yield the hops of a call that has come to the first of some gateways."""
    here, seen = gateways[0], {gateways[0].name}
    while True:
        call = _admitted(here, call)
        service = here.services[call.method.rpartition(".")[0]]
        upstream, how = _chosen(service, call)
        given = here.config.upstreams[upstream]
        security = "TLS" if given.tls is not None else "in the clear"
        target = given.place
        told = [*came, ("method", call.method), *_policies(here, call.method), *how]
        told.append(("upstream", f"{upstream}: gRPC to {target}, {security}"))
        yield Hop(here.name, listener, tuple(told))
        following = _behind(gateways, target)
        if following is None or following.name in seen:
            return
        here, came = following, []
        listener = f"gRPC on {here.config.listen.grpc}"
        seen.add(here.name)
        if call.method not in _methods(here):
            yield Hop(here.name, listener, (("method", call.method),), "no such method here")
            return
        call = replace(call, metadata=_passed(call.metadata), claims={}, request=None)


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
    own = gateway.built.gateway.chain.writes | ({"x-internal"} if not trusted else set())
    if trusted and gateway.config.role == "internal":
        own = frozenset()
    metadata = {name: value for name, value in call.metadata.items() if name not in own}
    if policies.internal is not None or gateway.config.role == "edge":
        metadata["x-internal"] = "true"
    for claim, key in ({} if policies.jwt is None else policies.jwt.forward).items():
        if claim in call.claims:
            metadata[key] = call.claims[claim]
    return replace(call, metadata=metadata)


def _policies(gateway: Described, method: str) -> Iterable[tuple[str, str]]:
    chain = gateway.built.gateway.chain
    # Whoever stands before a gateway that trusts anybody is taken for a trusted peer.
    trusted = bool(gateway.config.trusted_peers)
    for index, policy in enumerate(chain.before(method, trusted=trusted)):
        more = f": {policy.limits}" if isinstance(policy, Limiting) else ""
        yield "" if index else "policies", f"{policy.name}{more}"


def _chosen(service: Service, call: _Call) -> tuple[str, list[tuple[str, str]]]:
    """Return which upstream answers, and why that one."""
    if service.upstream is not None:
        return service.upstream, []
    upstreams = {version.name: version.upstream for version in service.versions}
    choice = choice_of(service.versions, matches_of(service), sticky_of(service))
    found = choice.explain(call.asked)
    if found is not None:
        name, why = found
        return upstreams[name], [("version", f"{name}: {why}")]
    shares = ", ".join(f"{each.name} {each.weight}" for each in service.versions if each.weight)
    heaviest = max(service.versions, key=lambda version: version.weight)
    return heaviest.upstream, [
        ("version", f"by weight of 100: {shares}; followed here: {heaviest.name}")
    ]


def _behind(gateways: Sequence[Described], target: str) -> Described | None:
    """Return the gateway whose gRPC port an upstream is; by the port, for hosts have many names."""
    port = target.rpartition(":")[2]
    return next(
        (each for each in gateways if each.config.listen.grpc.rpartition(":")[2] == port), None
    )


def _passed(metadata: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if passes(name)}
