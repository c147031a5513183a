"""The services that a file describes: where their descriptors come from, and who answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

from transcoder.config.file import read_bytes
from transcoder.config.folder import Folder
from transcoder.config.models.services import Service
from transcoder.config.models.upstreams import Upstream
from transcoder.config.parts import Parts, WrongPart
from transcoder.config.upstreams import reflected
from transcoder.config.versions import matches_of, sticky_of
from transcoder.descriptors import Descriptors, assemble, import_descriptors, read_descriptors
from transcoder.errors import ConfigError
from transcoder.gateway import Gateway
from transcoder.upstream.proxy import Remote
from transcoder.upstream.split import Split, Version


def described(
    index: int, given: Service, upstreams: Mapping[str, Upstream], parts: Parts
) -> Descriptors:
    """Return the descriptors of services; a server that is to be asked for them is asked anew.

    Args:
        index: of them in the file.
        given: what the file says of them.
        upstreams: of the file, by name.
        parts: makes them.

    Raises:
        WrongPart: there are none.
    """
    source = given.descriptor_set, given.image, given.module, given.reflection, given.names
    keys = "services", index
    if given.reflection is None:
        return parts.made(keys, lambda _, at: _read(given, at), source, owns=False)
    upstream = upstreams.get(given.reflection)
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


def pool_of(described: Sequence[Descriptors]) -> DescriptorPool | None:
    """Return a pool that holds all services; None where there are none.

    Raises:
        ConfigError: their files do not go together.
    """
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


def add_service(
    gateway: Gateway,
    given: Service,
    found: Descriptors,
    upstreams: Mapping[str, Remote],
    parts: Parts,
    *,
    index: int,
) -> None:
    """Add services to a gateway.

    Args:
        gateway: that passes their calls on.
        given: what the file says of them.
        found: their descriptors.
        upstreams: by name.
        parts: of the gateway.
        index: of them in the file.

    Raises:
        ConfigError: a rule is wrong, one of them is registered already, or its versions are wrong.
    """
    answering = _answering(index, given, upstreams, parts)
    for service in found.services:
        known = gateway.pool.FindServiceByName(service.full_name)
        gateway.route(known, answering, hosts=given.hosts)


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
