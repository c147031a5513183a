"""What generated modules, and what is in them, are named after a proto; and what has no name."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from google.protobuf.descriptor import FileDescriptor, ServiceDescriptor

from transcoder.descriptors import Place, SourceInfo

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Names(NamedTuple):
    """What is written for a service: the table of its routes, and the function to register it."""

    table: str
    function: str


def path_of(proto: str, suffix: str = "_transcoder") -> str:
    """Return the path of the module that is generated for a proto.

    >>> path_of("services/user-data/v1/user_service.proto")
    'services/user_data/v1/user_service_transcoder.py'
    """
    stem = proto.removesuffix(".proto").replace("-", "_").replace(".", "/")
    return f"{stem}{suffix}.py"


def stubs_of(proto: str) -> tuple[str, str]:
    """Return the package and the name of the module that grpc generates for a proto."""
    *folders, name = path_of(proto, "_pb2_grpc").removesuffix(".py").split("/")
    return ".".join(folders), name


def names_of(services: Sequence[ServiceDescriptor]) -> list[Names]:
    """Return the names for services of one file; those that two would share, neither has."""
    snake = [_WORD.sub("_", service.name).lower() for service in services]
    return [
        Names(f"{service.name}_ROUTES", f"register_{service.name}")
        if snake.count(name) > 1
        else Names(f"{name.upper()}_ROUTES", f"register_{name}")
        for service, name in zip(services, snake, strict=True)
    ]


def unnamable(file: FileDescriptor, source: SourceInfo) -> Iterator[tuple[Place, str]]:
    """Yield what keeps Python from importing the module that grpc generates, and where it is.

    grpc writes names of services and methods, and imports by folders, as the protos have them.

    Args:
        file: has services.
        source: tells where they are.
    """
    services = file.services_by_name.values()
    methods = [rpc for service in services for rpc in service.methods]
    types = [kind.file for rpc in methods for kind in (rpc.input_type, rpc.output_type)]
    names = [(source.service(each), each.name) for each in services]
    names += [(source.method(each), each.name) for each in methods]
    for proto in dict.fromkeys(each.name for each in (file, *types)):
        parts = path_of(proto, "_pb2").removesuffix(".py").split("/")
        names += [(Place(proto), part) for part in parts]
    for place, name in names:
        if keyword.iskeyword(name):
            yield place, f"{name} is a keyword"
        elif not name.isidentifier():
            yield place, f"{name} is no identifier"
