"""`protoc-gen-transcoder`: checks the rules of protos, and writes their routes as Python.

protoc and buf start it as a program: a CodeGeneratorRequest on standard input, a
CodeGeneratorResponse on standard output. What is wrong with the rules is the response's error, and
notes go to standard error, each in a line that begins with file, line and column.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from google.protobuf.compiler.plugin_pb2 import CodeGeneratorRequest, CodeGeneratorResponse
from google.protobuf.descriptor import FileDescriptor, MethodDescriptor
from google.protobuf.descriptor_pb2 import Edition
from google.protobuf.message import DecodeError

from transcoder.check import Problem, check
from transcoder.comments import SUFFIX, comments_of, to_json
from transcoder.descriptors import Descriptors, assemble
from transcoder.errors import ConfigError
from transcoder.http_rule import Binding, bindings, unbound
from transcoder.plugin.module import module
from transcoder.plugin.naming import path_of, unnamable
from transcoder.plugin.options import KNOWN, Options, parse

if TYPE_CHECKING:
    from transcoder.service_config import Mistake, ServiceConfig

_FEATURES = (
    CodeGeneratorResponse.FEATURE_PROTO3_OPTIONAL | CodeGeneratorResponse.FEATURE_SUPPORTS_EDITIONS
)


def respond(request: CodeGeneratorRequest) -> tuple[CodeGeneratorResponse, tuple[Problem, ...]]:
    """Return the answer to a request, and what is not fatal but may not be meant."""
    response = CodeGeneratorResponse(
        supported_features=_FEATURES,
        minimum_edition=Edition.EDITION_PROTO2,
        maximum_edition=Edition.EDITION_2026,
    )
    problems: tuple[Problem, ...] = ()
    try:
        work = _Work.of(request)
        work.check_names()
        problems = work.problems()
        fatal = [str(problem) for problem in problems if problem.fatal]
        if fatal:
            count = f"{len(fatal)} problem{'' if len(fatal) == 1 else 's'}"
            response.error = "\n".join([f"{count} in the rules:", *fatal])
        else:
            response.file.extend(work.modules())
            response.file.extend(work.comments())
    except ConfigError as error:
        response.error = str(error)
    return response, tuple(problem for problem in problems if not problem.fatal)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Work:
    request: CodeGeneratorRequest
    options: Options
    descriptors: Descriptors
    config: ServiceConfig | None
    mistakes: tuple[Mistake, ...]

    @classmethod
    def of(cls, request: CodeGeneratorRequest) -> _Work:
        options = parse(request.parameter)
        config, mistakes = _configured(options.service_config)
        return cls(
            request=request,
            options=options,
            descriptors=assemble(request.proto_file, _services(request), "the request"),
            config=config,
            mistakes=mistakes,
        )

    def check_names(self) -> None:
        """Check that Python can import what protoc generates.

        Raises:
            ConfigError: it cannot.
        """
        files = {service.file.name: service.file for service in self.descriptors.services}
        source = self.descriptors.source
        found = {wrong for file in files.values() for wrong in unnamable(file, source)}
        if found:
            told = [f"{place}: {message}" for place, message in sorted(found)]
            raise ConfigError(
                "\n".join(["choose other names, for Python cannot have these:", *told])
            )

    def problems(self) -> tuple[Problem, ...]:
        options = self.options
        return check(
            self.descriptors,
            config=self.config,
            mistakes=self.mistakes,
            profile=self.config.adapt(options.profile) if self.config else options.profile,
            unbound=options.unbound,
            conflicts=options.conflicts,
            health=options.health,
            liveness=options.liveness,
            readiness=options.readiness,
            openapi=options.openapi,
            docs=options.docs,
        )

    def modules(self) -> Iterator[CodeGeneratorResponse.File]:
        wanted = set(self.request.file_to_generate)
        comments = comments_of(file for file in self.request.proto_file if file.name in wanted)
        for name in self.request.file_to_generate:
            file: FileDescriptor = self.descriptors.pool.FindFileByName(name)
            if file.services_by_name:
                text = module(file, self._bindings, comments)
                yield CodeGeneratorResponse.File(name=path_of(name), content=text)

    def comments(self) -> Iterator[CodeGeneratorResponse.File]:
        wanted = self.request.file_to_generate if self.options.comments else ()
        for file in self.request.proto_file:
            if file.name in wanted:
                text = to_json(comments_of([file]))
                yield CodeGeneratorResponse.File(name=_kept(file.name), content=text)

    def _bindings(self, rpc: MethodDescriptor) -> tuple[Binding, ...]:
        selected = self.config.rule(rpc) if self.config else None
        found = bindings(rpc, selected.rule if selected else None)
        return found or ((unbound(rpc),) if self.options.unbound else ())


def _kept(proto: str) -> str:
    """Return the path of a proto's comments, in the folder of its modules.

    >>> _kept("services/user-data/v1/user-data.proto")
    'services/user_data/v1/user-data_comments.json'
    """
    name = PurePosixPath(proto).name.removesuffix(".proto")
    return PurePosixPath(path_of(proto)).with_name(f"{name}{SUFFIX}").as_posix()


def _services(request: CodeGeneratorRequest) -> Iterator[str]:
    wanted = set(request.file_to_generate)
    for file in request.proto_file:
        if file.name in wanted:
            prefix = f"{file.package}." if file.package else ""
            yield from (f"{prefix}{service.name}" for service in file.service)


def _configured(path: str) -> tuple[ServiceConfig | None, tuple[Mistake, ...]]:
    if not path:
        return None, ()
    try:
        from transcoder.service_config import check_service_config  # noqa: PLC0415  needs PyYAML

        return check_service_config(Path(path).read_text(encoding="utf-8"), path)
    except OSError as error:
        raise ConfigError(f"service_config={path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path} is not UTF-8") from None
    except ImportError as error:
        raise ConfigError(str(error)) from None


def main() -> None:
    """Answer the one request on standard input."""
    _refuse_arguments()
    try:
        request = CodeGeneratorRequest.FromString(sys.stdin.buffer.read())
    except DecodeError:
        sys.exit("protoc-gen-transcoder: this is no CodeGeneratorRequest; protoc sends one")
    response, notes = respond(request)
    for note in notes:
        sys.stderr.write(f"{note.where}: warning: {note.message}\n")
    sys.stdout.buffer.write(response.SerializeToString(deterministic=True))


def _refuse_arguments() -> None:
    parser = argparse.ArgumentParser(
        "protoc-gen-transcoder",
        description="A plugin of protoc, which starts it: protoc --transcoder_out=FOLDER ...",
        epilog="Options, as --transcoder_opt=NAME=VALUE:\n"
        + "".join(f"  {name:<16}{told}\n" for name, told in KNOWN.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = importlib.metadata.version("transcoder")
    parser.add_argument("--version", action="version", version=f"%(prog)s {version}")
    parser.parse_args()
