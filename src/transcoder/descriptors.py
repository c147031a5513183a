"""Where descriptors come from, and where in the protos their rules stand.

A descriptor set of protoc and an image of `buf build` are read alike, since an image is a
descriptor set that also marks which of its files are only imported. In one of protoc those are
taken for imported that another file imports. Both keep the places of source texts, if they are
asked to; generated modules and reflection do not.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from types import ModuleType
from typing import Any

from google.api import annotations_pb2
from google.api.http_pb2 import HttpRule
from google.protobuf import descriptor_pool, json_format
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import (
    FileDescriptorProto,
    FileDescriptorSet,
    MethodDescriptorProto,
    ServiceDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet

from transcoder.errors import ConfigError
from transcoder.values import suggestion

_BUF_EXTENSION = 8042
"""Field of `buf.alpha.image.v1.ImageFile`, with `is_import` as its field 1."""
_SERVICE = FileDescriptorProto.SERVICE_FIELD_NUMBER
_METHOD = ServiceDescriptorProto.METHOD_FIELD_NUMBER
_OPTIONS = MethodDescriptorProto.OPTIONS_FIELD_NUMBER
_HTTP: int = annotations_pb2.http.number
_ADDITIONAL = HttpRule.ADDITIONAL_BINDINGS_FIELD_NUMBER
_PATTERN = tuple(field.number for field in HttpRule.DESCRIPTOR.oneofs_by_name["pattern"].fields)


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where something is written; a line of 0 is not known.

    >>> print(Place("user.proto", 7, 5), Place("user.proto"))
    user.proto:7:5 user.proto
    """

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}" if self.line else self.file


class SourceInfo:
    """Finds the places of methods and their rules in files that were compiled with them."""

    def __init__(self, files: Iterable[FileDescriptorProto] = ()) -> None:
        self._files = {file.name: file for file in files}
        self._spans: dict[str, Mapping[tuple[int, ...], tuple[int, int]]] = {}

    @property
    def files(self) -> tuple[FileDescriptorProto, ...]:
        """The files; none of generated modules."""
        return tuple(self._files.values())

    def service(self, service: ServiceDescriptor) -> Place:
        """Return where a service is declared."""
        return self._first(service, [(_SERVICE, service.index)])

    def method(self, rpc: MethodDescriptor) -> Place:
        """Return where a method is declared."""
        return self._first(rpc.containing_service, [_path(rpc)])

    def binding(self, rpc: MethodDescriptor, index: int = 0) -> Place:
        """Return where a binding of a method's `google.api.http` option is written.

        protoc knows where the option begins, buf also where each binding does.

        Args:
            rpc: the method.
            index: 0 for the rule itself, n for its nth additional binding.
        """
        option = (*_path(rpc), _OPTIONS, _HTTP)
        rule = (*option, _ADDITIONAL, index - 1) if index else option
        patterns = [(*rule, number) for number in _PATTERN]
        return self._first(
            rpc.containing_service, [*patterns, rule, option, option[:-1], _path(rpc)]
        )

    def _first(self, service: ServiceDescriptor, paths: Iterable[tuple[int, ...]]) -> Place:
        file = service.file.name
        spans = self._spans.get(file)
        if spans is None:
            spans = self._spans[file] = _spans(self._files.get(file))
        found = next((spans[path] for path in paths if path in spans), (0, 0))
        return Place(file, *found)


def _path(rpc: MethodDescriptor) -> tuple[int, ...]:
    """Return a method's path in the sense of `SourceCodeInfo.Location`."""
    return (_SERVICE, rpc.containing_service.index, _METHOD, rpc.index)


def _spans(file: FileDescriptorProto | None) -> Mapping[tuple[int, ...], tuple[int, int]]:
    spans: dict[tuple[int, ...], tuple[int, int]] = {}
    for location in file.source_code_info.location if file else ():
        if location.path[:1] == [_SERVICE] and len(location.span) > 1:
            line, column = location.span[:2]
            spans.setdefault(tuple(location.path), (line + 1, column + 1))
    return spans


@dataclass(frozen=True, slots=True, kw_only=True)
class Descriptors:
    """Services to transcode, with all that their messages are made of.

    Args:
        pool: holds them, and everything they import.
        services: in the order of their declaration; not those of files that are only imported.
        source: the places of their rules.
        imported: full names of the services of files that are only imported.
    """

    pool: DescriptorPool
    services: tuple[ServiceDescriptor, ...]
    source: SourceInfo
    imported: tuple[str, ...] = ()

    def choose(self, names: Iterable[str]) -> Descriptors:
        """Return the same with other services of the pool, by their full names.

        Raises:
            ConfigError: there is no such service; suggests the nearest.
        """
        known = [*(service.full_name for service in self.services), *self.imported]
        found = []
        for name in dict.fromkeys(names):
            try:
                found.append(self.pool.FindServiceByName(name))
            except KeyError:
                raise ConfigError(f"no service is named {name}{suggestion(name, known)}") from None
        return dataclasses.replace(self, services=tuple(found), imported=())


def read_descriptors(data: bytes, name: str) -> Descriptors:
    """Return the descriptors of a descriptor set or a buf image, which may be in JSON.

    Args:
        data: what `protoc --descriptor_set_out` or `buf build --output` wrote.
        name: of the file, for messages.

    Raises:
        ConfigError: it is neither, or incomplete.
    """
    files, imported = _read(data, name)
    own = [file for file in files if file.name not in imported]
    others = [file for file in files if file.name in imported]
    assembled = assemble(files, _service_names(own), name)
    return dataclasses.replace(assembled, imported=tuple(_service_names(others)))


def read_files(data: bytes, name: str) -> Sequence[FileDescriptorProto]:
    """Return the files of a descriptor set or a buf image, in the order in which they are there.

    Args:
        data: as for `read_descriptors`.
        name: of the file, for messages.

    Raises:
        ConfigError: it is neither.
    """
    return _read(data, name)[0]


def import_descriptors(name: str) -> Descriptors:
    """Return the descriptors of a generated module, or of all that a package holds.

    Args:
        name: of the module, such as `services.user.v1.user_service_pb2`, or of the package.

    Raises:
        ConfigError: it cannot be imported, or holds nothing generated.
    """
    module = _imported(name)
    modules = [module] if hasattr(module, "DESCRIPTOR") else map(_imported, _generated(module))
    found = (getattr(module, "DESCRIPTOR", None) for module in modules)
    # A namespace package may list one folder twice.
    files = {file.name: file for file in found if isinstance(file, FileDescriptor)}
    if not files:
        raise ConfigError(
            f"{name} holds no generated code: name a module that ends in _pb2, or a package of them"
        )
    services = tuple(
        service for file in files.values() for service in file.services_by_name.values()
    )
    return Descriptors(pool=descriptor_pool.Default(), services=services, source=SourceInfo())


def assemble(
    files: Iterable[FileDescriptorProto], services: Iterable[str], name: str
) -> Descriptors:
    """Return descriptors made of files in any order.

    Args:
        files: with all that they import.
        services: full names of those to transcode.
        name: where the files come from, for messages.

    Raises:
        ConfigError: a file is missing, invalid or there twice.
    """
    named: dict[str, FileDescriptorProto] = {}
    for file in files:
        if named.setdefault(file.name, file) != file:
            raise ConfigError(f"{name}: {file.name} is there twice, each time different")
    pool = DescriptorPool()
    for file_name in _in_order(named, name):
        try:
            pool.Add(named[file_name])
        except TypeError as error:
            raise ConfigError(f"{name}: {file_name}: {_line(error)}") from None
    found = tuple(pool.FindServiceByName(service) for service in services)
    return Descriptors(pool=pool, services=found, source=SourceInfo(named.values()))


def _in_order(files: Mapping[str, FileDescriptorProto], name: str) -> Iterator[str]:
    """Yield the names of files, each behind those that it imports."""
    for file in files.values():
        for needed in file.dependency:
            if needed not in files:
                raise ConfigError(
                    f"{name}: {file.name} imports {needed}, which is not there: "
                    "build it with --include_imports"
                )
    try:
        yield from TopologicalSorter(
            {file.name: file.dependency for file in files.values()}
        ).static_order()
    except CycleError as error:
        raise ConfigError(f"{name}: {error.args[1][0]} imports itself") from None


def _service_names(files: Iterable[FileDescriptorProto]) -> Iterator[str]:
    for file in files:
        prefix = f"{file.package}." if file.package else ""
        yield from (f"{prefix}{service.name}" for service in file.service)


Read = tuple[Sequence[FileDescriptorProto], Collection[str]]
"""Files, and the names of those that are only imported by others."""


def _read(data: bytes, name: str) -> Read:
    read = _read_json if data.lstrip()[:1] == b"{" else _read_binary
    files, imported = read(data, name)
    if not files or not all(file.name for file in files):
        raise _not_a_set(name, "it holds no files")
    return files, imported


def _read_binary(data: bytes, name: str) -> Read:
    try:
        files = FileDescriptorSet.FromString(data).file
        marked = any(_unknown(file, _BUF_EXTENSION) for file in files)
        imported = {file.name for file in files if _is_import(file)}
        return files, imported if marked else _imports(files)
    except DecodeError as error:
        raise _not_a_set(name, _line(error)) from None


def _read_json(data: bytes, name: str) -> Read:
    try:
        tree = json.loads(data)
        marks = {file.get("name"): file.pop("bufExtension", None) for file in tree["file"]}
        # Options whose extensions are not known here say nothing about routes.
        read = json_format.ParseDict(tree, FileDescriptorSet(), ignore_unknown_fields=True)
    except Exception as error:  # noqa: BLE001  json_format lets TypeError and more through
        raise _not_a_set(name, _line(error)) from None
    if not any(mark is not None for mark in marks.values()):
        return read.file, _imports(read.file)
    return read.file, {name for name, mark in marks.items() if mark and mark.get("isImport")}


def _imports(files: Iterable[FileDescriptorProto]) -> set[str]:
    return {needed for file in files for needed in file.dependency}


def _is_import(file: FileDescriptorProto) -> bool:
    extensions = [data for data in _unknown(file, _BUF_EXTENSION) if isinstance(data, bytes)]
    return any(_unknown(Empty.FromString(data), 1) == [1] for data in extensions)


def _unknown(message: Message, number: int) -> list[Any]:
    """Return the values of a field that the message's type does not have."""
    fields = UnknownFieldSet(message)
    found = (fields[index] for index in range(len(fields)))
    return [field.data for field in found if field.field_number == number]


def _not_a_set(name: str, problem: str) -> ConfigError:
    return ConfigError(
        f"{name} is no descriptor set: {problem}; write one with "
        "`protoc --include_imports --include_source_info --descriptor_set_out=FILE` "
        "or `buf build --output FILE`"
    )


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except Exception as error:  # noqa: BLE001  a module does on import what it likes
        missing = isinstance(error, ModuleNotFoundError) and error.name
        if missing and f"{name}.".startswith(f"{missing}."):
            hint = "is the folder that holds it on PYTHONPATH?"
            raise ConfigError(f"no module is named {name}; {hint}") from None
        told = f"{type(error).__name__}: {_line(error)}"
        raise ConfigError(f"{name} cannot be imported: {told}") from None


def _generated(package: ModuleType) -> Iterator[str]:
    """Yield the names of the generated modules of a package, of its subpackages too."""
    for folder in getattr(package, "__path__", ()):
        for path in sorted(Path(folder).rglob("*_pb2.py")):
            inner = path.relative_to(folder).with_suffix("").parts
            yield ".".join((package.__name__, *inner))


def _line(error: Exception) -> str:
    """Return an error's text in one line."""
    return " ".join(str(error).split())
