"""Comments of protos, which generated modules drop, by the full name of what they speak of.

They come from a descriptor set or a buf image with source info, or from a JSON object of full names
and texts, which is kept beside generated code. The value of an enum is named behind its enum.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FileDescriptorProto,
    ServiceDescriptorProto,
)

from transcoder.descriptors import read_files
from transcoder.errors import ConfigError

Comments: TypeAlias = Mapping[str, str]
"""Texts by full names, such as `services.user.v1.User.name`."""

NO_COMMENTS: Final[Comments] = {}

SUFFIX: Final = "_comments.json"
"""How the file of a proto's comments is called, behind the name of the proto."""

_Path: TypeAlias = tuple[int, ...]
_Named: TypeAlias = Iterator[tuple[_Path, str]]

_PACKAGE = FileDescriptorProto.PACKAGE_FIELD_NUMBER
_MESSAGE = FileDescriptorProto.MESSAGE_TYPE_FIELD_NUMBER
_ENUM = FileDescriptorProto.ENUM_TYPE_FIELD_NUMBER
_SERVICE = FileDescriptorProto.SERVICE_FIELD_NUMBER
_FIELD = DescriptorProto.FIELD_FIELD_NUMBER
_NESTED = DescriptorProto.NESTED_TYPE_FIELD_NUMBER
_NESTED_ENUM = DescriptorProto.ENUM_TYPE_FIELD_NUMBER
_ONEOF = DescriptorProto.ONEOF_DECL_FIELD_NUMBER
_VALUE = EnumDescriptorProto.VALUE_FIELD_NUMBER
_METHOD = ServiceDescriptorProto.METHOD_FIELD_NUMBER

_INTERNAL = re.compile(r"\(--.*?--\)", re.DOTALL)
_DIRECTIVE = re.compile(r"[ \t]*(?:buf:lint:|protolint:|api-linter:).*")


def comments_of(files: Iterable[FileDescriptorProto]) -> dict[str, str]:
    r"""Return the comments of files that were compiled with their source info.

    What stands between `(--` and `--)` is not for readers of the API (AIP-192).

    >>> file = FileDescriptorProto(name="a.proto", package="a", message_type=[{"name": "A"}])
    >>> file.source_code_info.location.add(path=[4, 0], leading_comments=" An A.\n")
    path: 4
    path: 0
    leading_comments: " An A.\n"
    <BLANKLINE>
    >>> comments_of([file])
    {'a.A': 'An A.'}
    """
    found: dict[str, str] = {}
    for file in files:
        names = dict(_names(file))
        for location in file.source_code_info.location:
            name = names.get(tuple(location.path))
            text = _text(location.leading_comments) or _text(location.trailing_comments)
            if name is not None and text:
                found.setdefault(name, text)
    return found


def read_comments(data: bytes, name: str) -> dict[str, str]:
    """Return the comments of a descriptor set, a buf image, or the JSON kept beside generated code.

    Args:
        data: what the file holds.
        name: of the file, for messages.

    Raises:
        ConfigError: it is none of them.

    >>> read_comments(b'{"a.A": "An A."}', "a_comments.json")
    {'a.A': 'An A.'}
    """
    if data.lstrip()[:1] == b"{":
        try:
            tree: Any = json.loads(data)
        except ValueError as error:
            raise ConfigError(f"{name} is not JSON: {error}") from None
        if "file" not in tree:
            if not all(isinstance(text, str) for text in tree.values()):
                raise ConfigError(f"{name}: expected an object of full names and their comments")
            return dict(tree)
    return comments_of(read_files(data, name))


def to_json(comments: Comments) -> str:
    r"""Return comments as they are kept beside generated code, the same ones in the same way.

    >>> to_json({"a.B": "A b.", "a.A": "An a."})
    '{\n  "a.A": "An a.",\n  "a.B": "A b."\n}\n'
    """
    return f"{json.dumps(comments, indent=2, ensure_ascii=False, sort_keys=True)}\n"


def kept_comments(files: Iterable[FileDescriptor]) -> dict[str, str]:
    """Return the comments that are kept beside the generated modules of files, imports included.

    Those of `services/user/v1/user_service.proto` are in `user_service_comments.json`, in the
    folder of the module `services.user.v1.user_service_pb2`. Without either there are none.

    Raises:
        ConfigError: what is there is not of this kind.
    """
    found: dict[str, str] = {}
    seen: set[str] = set()
    waiting = list(files)
    while waiting:
        file = waiting.pop()
        if file.name in seen:
            continue
        seen.add(file.name)
        waiting += file.dependencies
        kept = _kept(file.name.removesuffix(".proto"))
        if kept is not None and kept.is_file():
            found |= read_comments(kept.read_bytes(), kept.name)
    return found


def _kept(stem: str) -> Path | None:
    name = f"{stem.replace('-', '_').replace('/', '.')}_pb2"
    place = getattr(sys.modules.get(name), "__file__", None)
    return Path(place).with_name(f"{Path(stem).name}{SUFFIX}") if place else None


def _text(comment: str) -> str:
    lines = (line.rstrip() for line in _INTERNAL.sub("", comment).split("\n"))
    kept = [line.removeprefix(" ") for line in lines if not _DIRECTIVE.fullmatch(line)]
    return textwrap.dedent("\n".join(kept)).strip()


def _names(file: FileDescriptorProto) -> _Named:
    yield (_PACKAGE,), file.name
    prefix = f"{file.package}." if file.package else ""
    for index, message in enumerate(file.message_type):
        yield from _of_message((_MESSAGE, index), message, prefix)
    for index, enum in enumerate(file.enum_type):
        yield from _of_enum((_ENUM, index), enum, prefix)
    for index, service in enumerate(file.service):
        path, name = (_SERVICE, index), f"{prefix}{service.name}"
        yield path, name
        yield from _members((*path, _METHOD), service.method, name)


def _of_message(path: _Path, message: DescriptorProto, prefix: str) -> _Named:
    name = f"{prefix}{message.name}"
    yield path, name
    yield from _members((*path, _FIELD), message.field, name)
    yield from _members((*path, _ONEOF), message.oneof_decl, name)
    for index, nested in enumerate(message.nested_type):
        yield from _of_message((*path, _NESTED, index), nested, f"{name}.")
    for index, enum in enumerate(message.enum_type):
        yield from _of_enum((*path, _NESTED_ENUM, index), enum, f"{name}.")


def _of_enum(path: _Path, enum: EnumDescriptorProto, prefix: str) -> _Named:
    name = f"{prefix}{enum.name}"
    yield path, name
    yield from _members((*path, _VALUE), enum.value, name)


def _members(path: _Path, members: Iterable[Any], name: str) -> _Named:
    for index, member in enumerate(members):
        yield (*path, index), f"{name}.{member.name}"
