"""What a file says, as the objects that the library has for it."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.config import models
from transcoder.config.file import Keys, Mistake, Placing, load_placed, read_bytes, read_text
from transcoder.config.folder import Folder
from transcoder.config.models import Config
from transcoder.config.models.services import Service
from transcoder.config.parts import Parts, WrongPart
from transcoder.config.policies import observers_of, overrides_of, policies_of
from transcoder.config.routes import add_route
from transcoder.config.upstreams import graphql, http_upstream, reflected, remote
from transcoder.config.versions import matches_of, sticky_of
from transcoder.connection_limits import ConnectionLimits
from transcoder.descriptors import Descriptors, assemble, import_descriptors, read_descriptors
from transcoder.errors import ConfigError
from transcoder.event_stream import EventStream
from transcoder.forwarded import TrustedProxies
from transcoder.gateway import Gateway
from transcoder.handshake import Token
from transcoder.health import Health
from transcoder.http_port import HttpPort
from transcoder.inbound import STRIPPED
from transcoder.own_pages import OpenApi
from transcoder.pace import Pace
from transcoder.policies.policy import Policy, Selective
from transcoder.policies.selectors import Selectors
from transcoder.profile import PROFILES
from transcoder.route import Conflict, RouteConflict
from transcoder.service_config import ServiceConfig, read_service_config
from transcoder.stream_limits import StreamLimits
from transcoder.timeouts import Timeout, Timeouts
from transcoder.upstream.proxy import Remote
from transcoder.upstream.split import Split, Version

if TYPE_CHECKING:
    from transcoder.multipart import FormLimits


@dataclass(frozen=True, slots=True)
class Built:
    """A gateway that a file describes.

    Args:
        gateway: with its services, whose calls go to their upstreams.
        config: what the file says.
        parts: what the gateway is made of.
        descriptors: of each of the file's services.
        policies: what stands before its calls, by where the file says it.
        place: tells where in the file a part of it is.
    """

    gateway: Gateway
    config: Config
    parts: Parts
    descriptors: tuple[Descriptors, ...]
    policies: Mapping[Keys, Policy]
    place: Placing = field(default=lambda _, message: Mistake("", 0, 0, message), repr=False)

    @property
    def services(self) -> tuple[ServiceDescriptor, ...]:
        """All of the file's services."""
        return tuple(service for each in self.descriptors for service in each.services)


def describe(built: Built, folder: Path) -> tuple[Descriptors, ...]:
    """Return the descriptors of a gateway's services as they are now; the same objects if they are.

    Args:
        built: the gateway.
        folder: which the file's relative paths are of.

    Raises:
        WrongPart: there are none.
    """
    parts = Parts(Folder(folder), built.parts.known)
    services = enumerate(built.config.services)
    return tuple(_described(index, given, built.config, parts) for index, given in services)


def open_file(path: str | Path, folder: Folder | None = None, before: Built | None = None) -> Built:
    """Return the gateway that a file describes, compiled.

    Args:
        path: of the file.
        folder: which its relative paths are of; by default that of the file.
        before: as for `build`.

    Raises:
        ConfigError: it cannot be served; tells why in one line, with the place in the file.
    """
    config, place = load_placed(path)
    try:
        built = build(config, folder or Path(path).parent, before)
        _compile(built)
    except WrongPart as error:
        raise ConfigError(str(place(error.keys, str(error)))) from error
    except ConfigError as error:
        keys = _keys_told(config, str(error))
        told = place(keys, str(error)) if keys else f"{path}: {error}"
        raise ConfigError(str(told)) from error
    return replace(built, place=place)


def _keys_told(config: Config, problem: str) -> Keys:
    """Return the way to what a gateway finds wrong; none where it does not tell.

    It begins with the name of the argument, and then names or quotes what of it is wrong.
    """
    key, _, told = problem.partition(": ")
    if key not in Config.model_fields:
        return ()
    given = getattr(config, key)
    parts: Mapping[Any, str] = {}
    if isinstance(given, list | dict):
        parts = (
            dict(enumerate(given)) if isinstance(given, list) else {each: each for each in given}
        )
    for at, text in parts.items():
        if told.startswith(f"{text}: ") or repr(text) in told:
            return key, at
    return (key,)


def _compile(built: Built) -> None:
    """Compile a gateway; say of routes in conflict which part of the file they are of."""
    try:
        built.gateway.compile()
    except RouteConflict as error:
        problem = f"{error.conflict}; `conflicts: warn` makes this a warning"
        raise WrongPart(_keys_of(built, error.conflict), problem) from error


def _keys_of(built: Built, conflict: Conflict[Any]) -> Keys:
    """Return the way to the routes or the service that bind one of two routes, the later one."""
    for each in conflict.route, conflict.other:
        for index, given in reversed([*enumerate(built.config.routes)]):
            if given.path == each.name and tuple(given.hosts) == tuple(each.hosts):
                return "routes", index
        for index, found in enumerate(built.descriptors):
            if each.name.rpartition(".")[0] in {service.full_name for service in found.services}:
                return "services", index
    return ()


def build(config: Config, folder: Folder | Path = Path(), before: Built | None = None) -> Built:
    """Make what a file describes; nothing is connected yet.

    Args:
        config: what the file says.
        folder: which its relative paths are of.
        before: the gateway that it is to follow, whose parts it takes over.

    Raises:
        WrongPart: a file is missing, a service is not there, or an option is none.
        ConfigError: its parts do not go together.
    """
    at = Folder(folder) if isinstance(folder, Path) else folder
    if before is None:
        return _build(config, at, Parts(at))
    known = before.parts.known
    built = _build(config, at, Parts(at, known))
    if built.gateway.methods() == before.gateway.methods():
        return built
    # What calls its options mean is theirs to know, and those of before are still asked.
    fixed = (each for each in known.values() if isinstance(each.made, Selective))
    stale = set(map(id, fixed))
    known = {key: part for key, part in built.parts.known.items() if id(part) not in stale}
    return _build(config, at, Parts(at, known))


def _build(config: Config, at: Folder, parts: Parts) -> Built:
    described = tuple(
        _described(index, given, config, parts) for index, given in enumerate(config.services)
    )
    together = [id(each) for each in described]
    pool = parts.made(("services",), lambda *_: _pool(described), together, owns=False)
    made = {
        kind: {
            name: parts.made(("upstreams", name), functools.partial(make, name), given, id(pool))
            for name, given in config.upstreams.items()
            if given.kind == kind
        }
        for kind, make in _UPSTREAMS.items()
    }
    standing = dict(policies_of(config.policies, parts))
    gateway = Gateway(
        profile=PROFILES[config.profile],
        rules=_rules(config, at),
        unbound=config.unbound,
        hosts=config.listen.hosts,
        conflicts=config.conflicts,
        validate=_validates(config),
        trusted_proxies=_proxies(config),
        trusted_peers=config.trusted_peers,
        role=config.role,
        internal=config.internal,
        strip=STRIPPED if config.strip is None else config.strip,
        keep=config.keep,
        skip_for_trusted=config.skip_for_trusted,
        timeouts=_timeouts(config.timeouts),
        policies=standing.values(),
        public=config.public,
        overrides=overrides_of(config.overrides, parts),
        observers=list(observers_of(config.observers, parts)),
        pool=pool,
        **_requests(config),
    )
    for index, (given, found) in enumerate(zip(config.services, described, strict=True)):
        answering = _answering(index, given, made["target"], parts)
        for service in found.services:
            with _placed("services", index):
                known = gateway.pool.FindServiceByName(service.full_name)
                gateway.route(known, answering, hosts=given.hosts)
    for index, route in enumerate(config.routes):
        with _placed("routes", index):
            add_route(gateway, route, made, parts, index)
    _check_names(config, gateway)
    gateway.leave_to(parts)
    parts.done()
    return Built(gateway, config, parts, described, standing)


_UPSTREAMS: Final[Mapping[str, Callable[..., Any]]] = {
    "target": remote,
    "url": http_upstream,
    "graphql": graphql,
}
"""What makes an upstream, by its kind."""


def options(config: Config, folder: Path = Path()) -> dict[str, Any]:
    """Return the arguments of the `Server` that serves what a file describes.

    Args:
        config: what the file says.
        folder: which its relative paths are of.

    Raises:
        WrongPart: an option is none.
    """
    told = config.server.told("workers", "connections")
    with _placed("server"):
        told["connections"] = ConnectionLimits(**config.server.connections.told())
    with _placed("tls"):
        told["tls"] = Folder(folder).server_tls(config.tls)
    if config.listen.admin is not None:
        with _placed("listen", "admin"):
            import_module("transcoder.observers.scrape")
    return told


def http_ports(config: Config, folder: Path = Path()) -> list[HttpPort]:
    """Return where a `Server` listens for HTTP; the arguments are those of `options`.

    Raises:
        WrongPart: an option is none.
    """
    ports = [HttpPort(config.listen.http)]
    for index, each in enumerate(config.listeners):
        told = each.told("http")
        with _placed("listeners", index):
            if "tls" in told:
                told["tls"] = Folder(folder).server_tls(each.tls)
            ports.append(HttpPort(each.http, **told))
    return ports


@contextlib.contextmanager
def _placed(*keys: str | int) -> Iterator[None]:
    """Say which part of the file it is that does not go."""
    try:
        yield
    except WrongPart:
        raise
    except (ConfigError, ImportError) as error:
        # Not every installation has the extra that it needs.
        problem = str(error).removeprefix(f"{keys[0]}: ").removeprefix(": ")
        raise WrongPart(keys, problem) from error


def _described(index: int, given: Service, config: Config, parts: Parts) -> Descriptors:
    """Return the descriptors of services; a server that is to be asked for them is asked anew."""
    source = given.descriptor_set, given.image, given.module, given.reflection, given.names
    keys = "services", index
    if given.reflection is None:
        return parts.made(keys, lambda _, at: _read(given, at), source, owns=False)
    upstream = config.upstreams.get(given.reflection)
    if upstream is None:
        raise WrongPart(keys, f"reflection: no upstream is named {given.reflection!r}")

    def ask(_source: object, at: Folder) -> Descriptors:
        return _chosen(reflected(upstream, at), given)

    return parts.made(keys, ask, source, upstream, owns=False, same=_are_same)


def _are_same(one: Descriptors, other: Descriptors) -> bool:
    names = [[service.full_name for service in each.services] for each in (one, other)]
    return names[0] == names[1] and one.source.files == other.source.files


def _read(given: Service, at: Folder) -> Descriptors:
    if given.module is not None:
        return _chosen(import_descriptors(given.module), given)
    path = at(given.descriptor_set or given.image or "")
    return _chosen(read_descriptors(read_bytes(path), str(path)), given)


def _chosen(found: Descriptors, given: Service) -> Descriptors:
    for index, name in enumerate(given.names):
        try:
            found.choose([name])
        except ConfigError as error:
            raise ConfigError(f"names[{index}]: {error}") from None
    return found.choose(given.names) if given.names else found


def _pool(described: Sequence[Descriptors]) -> DescriptorPool | None:
    """Return a pool that holds all services; None where there are none."""
    if not described:
        return None
    pools = {id(each.pool): each.pool for each in described}
    if len(pools) == 1:
        return described[0].pool
    files: dict[str, FileDescriptorProto] = {}
    for each in described:
        for file in each.source.files or _files(each.services):
            known = files.setdefault(file.name, file)
            # Google's own come out of many compilers, which say the same in other bytes.
            if known != file and not file.name.startswith("google/"):
                raise ConfigError(f"services: {file.name} is there twice, each time different")
    return assemble(files.values(), [], "services").pool


def _files(services: tuple[ServiceDescriptor, ...]) -> Iterator[FileDescriptorProto]:
    """Yield the files of some services, and all that they import."""
    seen: dict[str, FileDescriptor] = {}
    waiting: list[FileDescriptor] = [service.file for service in services]
    while waiting:
        file = waiting.pop()
        if file.name not in seen:
            seen[file.name] = file
            waiting += file.dependencies
    for file in seen.values():
        proto = FileDescriptorProto()
        file.CopyToProto(proto)
        yield proto


def _rules(config: Config, at: Folder) -> ServiceConfig | None:
    if config.rules is None:
        return None
    path = at(config.rules)
    with _placed("rules"):
        return read_service_config(read_text(path), str(path))


def _proxies(config: Config) -> TrustedProxies:
    for index, network in enumerate(config.trusted_proxies):
        with _placed("trusted_proxies", index):
            TrustedProxies([network])
    return TrustedProxies(config.trusted_proxies)


def _answering(index: int, given: Service, upstreams: Mapping[str, Remote], parts: Parts) -> Remote:
    if given.upstream is not None:
        return upstreams[given.upstream]

    def split(given: Service, _at: Folder) -> Split:
        versions = [
            Version(each.name, upstreams[each.upstream], each.weight) for each in given.versions
        ]
        return Split(versions, matches=matches_of(given), sticky=sticky_of(given) or "")

    those = [id(upstreams[each.upstream]) for each in given.versions]
    return parts.made(("services", index), split, given, those, owns=False)


def _requests(config: Config) -> dict[str, Any]:
    """Return what bounds requests, and where the gateway tells of itself."""
    with _placed("health"):
        health = None if config.health is None else Health(**config.health.told())
    with _placed("websocket_token"):
        token = Token(**config.websocket_token.told())
    return {
        "body_limit": config.body_limit,
        "bodies_limit": config.bodies_limit,
        "pace": Pace(**config.pace.told()),
        "forms": _forms(config),
        "streams": StreamLimits(**config.streams.told()),
        "events": {name: EventStream(**each.told()) for name, each in config.events.items()},
        "origins": config.origins,
        "websocket_token": token,
        "health": health,
        "openapi": None if config.openapi is None else OpenApi(**config.openapi.told()),
    }


def _validates(config: Config) -> bool:
    if config.validate_requests:
        with _placed("validate_requests"):
            import_module("transcoder.validation")
    return config.validate_requests


def _forms(config: Config) -> FormLimits | None:
    if config.forms is None:
        return None
    with _placed("forms"):
        from transcoder.multipart import FormLimits  # noqa: PLC0415  it needs an extra

        return FormLimits(**config.forms.told())


def _check_names(config: Config, gateway: Gateway) -> None:
    """Refuse the first selector or name that means no method, with its place."""
    methods = gateway.methods()
    for keys, text in config.selectors():
        with _placed(*keys):
            Selectors("", [text]).check(methods)
    for keys, name in config.method_names():
        with _placed(*keys):
            gateway.transcoder.check_names("", [name])


def _timeouts(given: models.Timeouts) -> Timeouts:
    methods = {}
    for name, each in given.methods.items():
        with _placed("timeouts", "methods", name):
            methods[name] = Timeout(each.default, each.maximum)
    with _placed("timeouts"):
        return Timeouts(default=given.default, maximum=given.maximum, methods=methods)
