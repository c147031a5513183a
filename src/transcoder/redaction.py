"""What descriptors tell of where clients are not to know of some methods.

Files are told without those methods, without services of such methods alone, and without the
messages and enums that only they use. What stays is whole: no file names what it does not have.
"""

from __future__ import annotations

import contextlib
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FileDescriptor,
    MethodDescriptor,
)
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool

_Type: TypeAlias = "Descriptor | EnumDescriptor"

_SHELL = frozenset({"name", "nested_type", "enum_type"})
_EVERYBODYS = "google/"
"""Files that tell nothing of a service begin so."""


class Withholds(Protocol):
    """Says which methods are not there for clients."""

    def __call__(self, rpc: MethodDescriptor) -> bool:
        """Say whether a method is not."""
        ...

    def is_internal(self, name: str, *options: Any) -> bool:
        """Say it of a method by its full name, its options and its service's."""
        ...


@dataclass(frozen=True, slots=True)
class Told:
    """What is told of a file.

    Args:
        data: the file, serialized.
        symbols: full names of what it declares.
        imports: the files that it imports.
    """

    data: bytes
    symbols: frozenset[str]
    imports: tuple[FileDescriptor, ...]


class Redaction:
    """Redacts files, each of them once.

    Args:
        services: full names of all that are served, to whomever.
        pools: where they and the files are looked up.
        withholds: says which of their methods nobody is told of.
    """

    def __init__(
        self, services: Iterable[str], pools: Sequence[DescriptorPool], withholds: Withholds
    ) -> None:
        self._pools = pools
        self._withholds = withholds
        methods: dict[bool, list[MethodDescriptor]] = {True: [], False: []}
        for name in services:
            for rpc in self._methods(name):
                methods[bool(withholds(rpc))].append(rpc)
        self._shown = _reached(methods[False])
        self._hidden = _reached(methods[True]) - self._shown
        self._scopes = _scopes(self._shown)
        self._told: dict[FileDescriptor, Told | None] = {}

    def of(self, file: FileDescriptor) -> Told | None:
        """Return what is told of a file; None for nothing, which is as if there were none."""
        waiting = [file]
        while waiting:
            each = waiting[-1]
            if each in self._told:
                waiting.pop()
            elif below := [found for found in each.dependencies if found not in self._told]:
                waiting += below
            else:
                self._told[each] = self._redacted(each)
        return self._told[file]

    def files(self, file: FileDescriptor) -> list[bytes]:
        """Return what is told of a file and all that it then imports, serialized, it first."""
        found: dict[FileDescriptor, bytes] = {}
        waiting = [file]
        while waiting:
            each = waiting.pop()
            told = None if each in found else self.of(each)
            if told is not None:
                found[each] = told.data
                waiting += reversed(told.imports)
        return list(found.values())

    def hides(self, name: str) -> bool:
        """Say whether a message or an enum is not told of.

        That is so of those which only methods use that are not, and of those that cannot be told
        without them.
        """
        found = self._type(name)
        return found is not None and self._is_hidden(found)

    def _is_hidden(self, asked: _Type) -> bool:
        users: dict[str, str] = {asked.full_name: ""}
        waiting = [asked]
        while waiting:
            each = waiting.pop()
            name = each.full_name
            if name in self._hidden:
                while name:
                    self._hidden.add(name)
                    name = users[name]
                return True
            if name in self._shown:
                continue
            outer = each.containing_type
            for used in (*_used_by(each), *(() if outer is None else (outer,))):
                if used.full_name not in users:
                    users[used.full_name] = name
                    waiting.append(used)
        # None of them needs a hidden one.
        self._shown.update(users)
        return False

    def _redacted(self, file: FileDescriptor) -> Told | None:
        """Return what is told of a file, given that of its imports."""
        whole, told = FileDescriptorProto(), FileDescriptorProto()
        file.CopyToProto(whole)
        told.CopyFrom(whole)
        package = f"{file.package}." if file.package else ""
        self._redact_messages(told.message_type, package)
        self._redact_enums(told.enum_type, package)
        self._redact_extensions(told.extension)
        self._redact_services(told, package)
        imports = {each.name: each for each in file.dependencies if self._told[each]}
        _keep_imports(told, imports)
        if told != whole:
            # Who imports it may use what it imports in public.
            if not (
                told.message_type
                or told.enum_type
                or told.service
                or told.extension
                or told.public_dependency
            ):
                return None
            # It tells of places by their numbers.
            told.ClearField("source_code_info")
        return Told(told.SerializeToString(), frozenset(declared(told)), tuple(imports.values()))

    def _redact_messages(self, messages: Any, scope: str) -> None:
        for message in reversed(messages):
            inner = f"{scope}{message.name}."
            if self.hides(inner[:-1]):
                if inner[:-1] not in self._scopes:
                    messages.remove(message)
                    continue
                # It is no more than the scope of others.
                for field in DescriptorProto.DESCRIPTOR.fields:
                    if field.name not in _SHELL:
                        message.ClearField(field.name)
            self._redact_messages(message.nested_type, inner)
            self._redact_enums(message.enum_type, inner)
            self._redact_extensions(message.extension)

    def _redact_enums(self, enums: Any, scope: str) -> None:
        for enum in reversed(enums):
            if self.hides(f"{scope}{enum.name}"):
                enums.remove(enum)

    def _redact_extensions(self, extensions: Any) -> None:
        for extension in reversed(extensions):
            if self.hides(extension.type_name[1:]) or self.hides(extension.extendee[1:]):
                extensions.remove(extension)

    def _redact_services(self, file: FileDescriptorProto, package: str) -> None:
        for service in reversed(file.service):
            kept = [
                method
                for method in service.method
                if not self._withholds.is_internal(
                    f"{package}{service.name}.{method.name}", method.options, service.options
                )
                and not self.hides(method.input_type[1:])
                and not self.hides(method.output_type[1:])
            ]
            if kept or not service.method:
                del service.method[len(kept) :]
                for method, one in zip(service.method, kept, strict=True):
                    method.CopyFrom(one)
            else:
                file.service.remove(service)

    def _methods(self, service: str) -> Iterable[MethodDescriptor]:
        for pool in self._pools:
            with contextlib.suppress(KeyError):
                found: Iterable[MethodDescriptor] = pool.FindServiceByName(service).methods
                return found
        return ()

    def _type(self, name: str) -> _Type | None:
        for pool in self._pools:
            for find in (pool.FindMessageTypeByName, pool.FindEnumTypeByName):
                with contextlib.suppress(KeyError):
                    found: _Type = find(name)
                    return found
        return None


def _keep_imports(file: FileDescriptorProto, names: Container[str]) -> None:
    kept = [index for index, name in enumerate(file.dependency) if name in names]
    dependencies = [file.dependency[index] for index in kept]
    for numbers in (file.public_dependency, file.weak_dependency):
        numbers[:] = [kept.index(index) for index in numbers if index in kept]
    file.dependency[:] = dependencies


def declared(file: FileDescriptorProto) -> Iterator[str]:
    """Yield the full names of all that a file declares."""
    package = f"{file.package}." if file.package else ""
    yield from _declared(file, package)
    for service in file.service:
        yield f"{package}{service.name}"
        yield from (f"{package}{service.name}.{method.name}" for method in service.method)


def _declared(scope: Any, prefix: str) -> Iterator[str]:
    messages = scope.nested_type if isinstance(scope, DescriptorProto) else scope.message_type
    for message in messages:
        name = f"{prefix}{message.name}"
        yield name
        yield from (f"{name}.{each.name}" for each in (*message.field, *message.oneof_decl))
        yield from _declared(message, f"{name}.")
    for enum in scope.enum_type:
        yield f"{prefix}{enum.name}"
        for value in enum.value:
            # Values are beside their enum in its scope; some ask for them below it.
            yield f"{prefix}{value.name}"
            yield f"{prefix}{enum.name}.{value.name}"
    yield from (f"{prefix}{extension.name}" for extension in scope.extension)


def _reached(methods: Iterable[MethodDescriptor]) -> set[str]:
    """Return the names of all types that methods use, and these in their turn."""
    waiting: list[_Type] = [each for rpc in methods for each in (rpc.input_type, rpc.output_type)]
    seen: set[str] = set()
    while waiting:
        each = waiting.pop()
        if each.full_name not in seen and not each.file.name.startswith(_EVERYBODYS):
            seen.add(each.full_name)
            waiting += _used_by(each)
    return seen


def _scopes(names: Iterable[str]) -> frozenset[str]:
    """Return the names of all that names are within."""
    found: set[str] = set()
    for name in names:
        scope = name.rpartition(".")[0]
        while scope and scope not in found:
            found.add(scope)
            scope = scope.rpartition(".")[0]
    return frozenset(found)


def _used_by(each: _Type) -> list[_Type]:
    if isinstance(each, EnumDescriptor):
        return []
    types = (field.message_type or field.enum_type for field in each.fields)
    return [found for found in types if found is not None]
