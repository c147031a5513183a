"""What a file says, as the objects that the library has for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.config import models
from transcoder.config.file import read_bytes, read_text
from transcoder.config.folder import Folder
from transcoder.config.models import Config
from transcoder.config.models.routes import Route
from transcoder.config.models.services import Service
from transcoder.config.policies import observers_of, policies_of
from transcoder.config.upstreams import http_upstream, remote
from transcoder.descriptors import Descriptors, assemble, import_descriptors, read_descriptors
from transcoder.errors import ConfigError
from transcoder.gateway import Gateway
from transcoder.profile import PROFILES
from transcoder.reflection_client import reflect
from transcoder.server_tls import ServerTls
from transcoder.service_config import ServiceConfig, read_service_config
from transcoder.timeouts import Timeout, Timeouts
from transcoder.upstream.proxy import Remote
from transcoder.upstream.split import HeaderMatch, Split, Version

if TYPE_CHECKING:
    from transcoder.http_upstream import HttpUpstream

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Built:
    """A gateway that a file describes.

    Args:
        gateway: with its services, whose calls go to their upstreams.
        tls: what it shows on both ports; None to serve in the clear.
    """

    gateway: Gateway
    tls: ServerTls | None


def build(config: Config, folder: Path = Path()) -> Built:
    """Make what a file describes; nothing is connected yet.

    Args:
        config: what the file says.
        folder: which its relative paths are of.

    Raises:
        ConfigError: a file is missing, a service is not there, or an option is none.
    """
    at = Folder(folder)
    upstreams = {
        name: _named(f"upstreams.{name}", remote, given, at)
        for name, given in config.upstreams.items()
        if given.url is None
    }
    described = [
        _named(f"services[{index}]", _described, given, config, at)
        for index, given in enumerate(config.services)
    ]
    pool = _pool(described)
    gateway = Gateway(
        profile=PROFILES[config.profile],
        rules=_rules(config, at),
        unbound=config.unbound,
        validate=config.validate_requests,
        trusted_proxies=config.trusted_proxies,
        trusted_peers=config.trusted_peers,
        timeouts=_timeouts(config.timeouts),
        policies=list(policies_of(config.policies, at)),
        public=config.public,
        observers=list(observers_of(config.observers, at)),
        pool=pool,
    )
    for index, (given, found) in enumerate(zip(config.services, described, strict=True)):
        answering = _named(f"services[{index}]", _answering, given, upstreams)
        for service in found.services:
            gateway.route(pool.FindServiceByName(service.full_name), answering)
    _pass_on(gateway, config, at)
    return Built(gateway, at.server_tls(config.tls))


def _pass_on(gateway: Gateway, config: Config, at: Folder) -> None:
    """Pass the paths of the routes on."""
    backends = {
        name: _named(f"upstreams.{name}", http_upstream, name, given, at)
        for name, given in config.upstreams.items()
        if given.url is not None
    }
    for index, route in enumerate(config.routes):
        for method in route.methods or ["*"]:
            backend = backends[route.upstream]
            _named(f"routes[{index}]", _forward, gateway, route, backend, method)


def _forward(gateway: Gateway, route: Route, backend: HttpUpstream, method: str) -> None:
    gateway.forward(route.path, backend, method=method, strip_prefix=route.strip_prefix)


def _named(place: str, make: Callable[..., T], *given: Any) -> T:
    """Return what is made, or say which part of the file it is that cannot be."""
    try:
        return make(*given)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from error


def _described(given: Service, config: Config, at: Folder) -> Descriptors:
    if given.module is not None:
        found = import_descriptors(given.module)
    elif given.reflection is not None:
        upstream = config.upstreams.get(given.reflection)
        if upstream is None:
            raise ConfigError(f"reflection: no upstream is named {given.reflection!r}")
        found = reflect(upstream.target or "", tls=at.tls(upstream.tls))
    else:
        path = at(given.descriptor_set or given.image or "")
        found = read_descriptors(read_bytes(path), str(path))
    return found.choose(given.names) if given.names else found


def _pool(described: list[Descriptors]) -> DescriptorPool:
    """Return a pool that holds all services."""
    pools = {id(each.pool): each.pool for each in described}
    if not pools:
        return DescriptorPool()
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
    return read_service_config(read_text(path), str(path))


def _answering(given: Service, upstreams: Mapping[str, Remote]) -> Remote:
    if given.upstream is not None:
        return upstreams[given.upstream]
    versions = [
        Version(each.name, upstreams[each.upstream], each.weight) for each in given.versions
    ]
    matches = [HeaderMatch(each.header, each.to, each.exact, each.prefix) for each in given.matches]
    return Split(versions, matches=matches, sticky=given.sticky)


def _timeouts(given: models.Timeouts) -> Timeouts:
    methods = {name: Timeout(each.default, each.maximum) for name, each in given.methods.items()}
    return Timeouts(default=given.default, maximum=given.maximum, methods=methods)
