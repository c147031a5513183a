"""What a file says, as the objects that the library has for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.config import models
from transcoder.config.file import Keys, read_bytes, read_text
from transcoder.config.folder import Folder
from transcoder.config.models import Config
from transcoder.config.models.services import Service
from transcoder.config.policies import observers_of, policies_of
from transcoder.config.routes import add_route
from transcoder.config.upstreams import graphql, http_upstream, reflected, remote
from transcoder.config.versions import matches_of, sticky_of
from transcoder.descriptors import Descriptors, assemble, import_descriptors, read_descriptors
from transcoder.errors import ConfigError
from transcoder.gateway import Gateway
from transcoder.inbound import STRIPPED
from transcoder.policies.policy import Policy
from transcoder.profile import PROFILES
from transcoder.server_tls import ServerTls
from transcoder.service_config import ServiceConfig, read_service_config
from transcoder.timeouts import Timeout, Timeouts
from transcoder.upstream.proxy import Remote
from transcoder.upstream.split import Split, Version

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Built:
    """A gateway that a file describes.

    Args:
        gateway: with its services, whose calls go to their upstreams.
        descriptors: of each of the file's services.
        tls: what it shows on both ports; None to serve in the clear.
        policies: what stands before its calls, by where the file says it.
    """

    gateway: Gateway
    tls: ServerTls | None
    descriptors: tuple[Descriptors, ...]
    policies: Mapping[Keys, Policy]


def build(config: Config, folder: Path = Path()) -> Built:
    """Make what a file describes; nothing is connected yet.

    Args:
        config: what the file says.
        folder: which its relative paths are of.

    Raises:
        ConfigError: a file is missing, a service is not there, or an option is none.
    """
    at = Folder(folder)
    made = {
        kind: {
            name: _named(f"upstreams.{name}", make, name, given, at)
            for name, given in config.upstreams.items()
            if given.kind == kind
        }
        for kind, make in _UPSTREAMS.items()
    }
    described = [
        _named(f"services[{index}]", _described, given, config, at)
        for index, given in enumerate(config.services)
    ]
    pool = _pool(described)
    standing = dict(policies_of(config.policies, at))
    gateway = Gateway(
        profile=PROFILES[config.profile],
        rules=_rules(config, at),
        unbound=config.unbound,
        hosts=config.listen.hosts,
        validate=config.validate_requests,
        trusted_proxies=config.trusted_proxies,
        trusted_peers=config.trusted_peers,
        role=config.role,
        internal=config.internal,
        strip=STRIPPED if config.strip is None else config.strip,
        skip_for_trusted=config.skip_for_trusted,
        timeouts=_timeouts(config.timeouts),
        policies=standing.values(),
        public=config.public,
        observers=list(observers_of(config.observers, at)),
        pool=pool,
    )
    for index, (given, found) in enumerate(zip(config.services, described, strict=True)):
        answering = _named(f"services[{index}]", _answering, given, made["target"])
        for service in found.services:
            known = gateway.pool.FindServiceByName(service.full_name)
            gateway.route(known, answering, hosts=given.hosts)
    for index, route in enumerate(config.routes):
        _named(f"routes[{index}]", add_route, gateway, route, made, at)
    return Built(gateway, at.server_tls(config.tls), tuple(described), standing)


_UPSTREAMS: Final[Mapping[str, Callable[..., Any]]] = {
    "target": remote,
    "url": http_upstream,
    "graphql": graphql,
}
"""What makes an upstream, by its kind."""


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
        found = reflected(upstream, at)
    else:
        path = at(given.descriptor_set or given.image or "")
        found = read_descriptors(read_bytes(path), str(path))
    return found.choose(given.names) if given.names else found


def _pool(described: list[Descriptors]) -> DescriptorPool | None:
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
    return read_service_config(read_text(path), str(path))


def _answering(given: Service, upstreams: Mapping[str, Remote]) -> Remote:
    if given.upstream is not None:
        return upstreams[given.upstream]
    versions = [
        Version(each.name, upstreams[each.upstream], each.weight) for each in given.versions
    ]
    return Split(versions, matches=matches_of(given), sticky=sticky_of(given))


def _timeouts(given: models.Timeouts) -> Timeouts:
    methods = {name: Timeout(each.default, each.maximum) for name, each in given.methods.items()}
    return Timeouts(default=given.default, maximum=given.maximum, methods=methods)
