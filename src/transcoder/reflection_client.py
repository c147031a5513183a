"""Descriptors from a running server, by the gRPC server reflection protocol."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TypeVar

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.message import DecodeError

# v1 differs from v1alpha in the name of its package alone.
from grpc_reflection.v1alpha.reflection_pb2 import (
    ServerReflectionRequest,
    ServerReflectionResponse,
)

from transcoder.descriptors import Descriptors, assemble
from transcoder.errors import ConfigError
from transcoder.upstream.tls import Tls

_Answer = TypeVar("_Answer")

_REFLECTION = "grpc.reflection."
_VERSIONS = ("v1", "v1alpha")
_OPTIONS = (("grpc.max_receive_message_length", 64 << 20),)


def reflect(target: str, *, tls: Tls | None = None, timeout: float = 10) -> Descriptors:
    """Return the descriptors of the services that a server lists and describes.

    Args:
        target: HOST:PORT, or another name that gRPC resolves.
        tls: whom to trust, and who we are; None to speak without TLS.
        timeout: seconds for all of it.

    Raises:
        ConfigError: the server does not answer, has no reflection, or describes nonsense; or a
            file of `tls` cannot be read.
    """
    return _ask(target, tls, timeout, lambda conversation: _described(conversation, target))


def reflect_files(
    target: str, symbol: str, *, tls: Tls | None = None, timeout: float = 10
) -> list[FileDescriptorProto]:
    """Return the file that declares a symbol, and all that it imports.

    A server knows types that none of its methods name, such as those of error details.

    Args:
        target: as for `reflect`.
        symbol: full name of a message.
        tls: as for `reflect`.
        timeout: seconds for all of it.

    Returns:
        Nothing if the server does not know it.

    Raises:
        ConfigError: as by `reflect`.
    """
    request = ServerReflectionRequest(file_containing_symbol=symbol)
    return _ask(
        target,
        tls,
        timeout,
        lambda conversation: _with_imports(conversation, conversation.files([request]), target),
    )


def _ask(
    target: str, tls: Tls | None, timeout: float, question: Callable[[_Conversation], _Answer]
) -> _Answer:
    deadline = time.monotonic() + timeout
    with dial(target, tls) as channel:
        for version in _VERSIONS:
            try:
                return question(_Conversation(channel, version, deadline))
            except grpc.RpcError as error:
                if error.code() is not grpc.StatusCode.UNIMPLEMENTED:
                    code, details = error.code().name, " ".join(str(error.details()).split())
                    raise ConfigError(f"{target} does not answer: {code}: {details}") from None
            except DecodeError as error:
                raise ConfigError(f"{target} describes no files: {error}") from None
    raise ConfigError(f"{target} has no server reflection: switch it on, or use a descriptor set")


def dial(target: str, tls: Tls | None = None) -> grpc.Channel:
    """Return a channel that takes large descriptions; a file of `tls` is read now.

    Raises:
        ConfigError: one cannot be read.
    """
    if tls is None:
        return grpc.insecure_channel(target, _OPTIONS)
    return grpc.secure_channel(target, tls.credentials(), (*_OPTIONS, *tls.options()))


class _Conversation:
    """Asks a server in one version of the protocol."""

    def __init__(self, channel: grpc.Channel, version: str, deadline: float) -> None:
        self._deadline = deadline
        self._ask = channel.stream_stream(
            f"/{_REFLECTION}{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=ServerReflectionRequest.SerializeToString,
            response_deserializer=ServerReflectionResponse.FromString,
        )

    def services(self) -> list[str]:
        """Return the names of the services, other than reflection itself."""
        replies = self._replies([ServerReflectionRequest(list_services="*")])
        listed = [
            service.name for each in replies for service in each.list_services_response.service
        ]
        return [name for name in listed if not name.startswith(_REFLECTION)]

    def files(self, requests: Iterable[ServerReflectionRequest]) -> list[FileDescriptorProto]:
        """Return the files that the server has for these requests."""
        return [
            FileDescriptorProto.FromString(file)
            for reply in self._replies(requests)
            for file in reply.file_descriptor_response.file_descriptor_proto
        ]

    def _replies(
        self, requests: Iterable[ServerReflectionRequest]
    ) -> list[ServerReflectionResponse]:
        return list(self._ask(iter(requests), timeout=self._deadline - time.monotonic()))


def _described(conversation: _Conversation, target: str) -> Descriptors:
    listed = conversation.services()
    files = conversation.files(
        ServerReflectionRequest(file_containing_symbol=name) for name in listed
    )
    files = _with_imports(conversation, files, target)
    declared = {
        f"{file.package}.{each.name}".lstrip(".") for file in files for each in file.service
    }
    return assemble(files, [name for name in listed if name in declared], target)


def _with_imports(
    conversation: _Conversation, files: list[FileDescriptorProto], target: str
) -> list[FileDescriptorProto]:
    while missing := _missing(files):
        found = conversation.files(
            ServerReflectionRequest(file_by_filename=name) for name in missing
        )
        if not any(file.name in missing for file in found):
            raise ConfigError(f"{target} does not describe {missing[0]}, which its files import")
        files = [*files, *found]
    return files


def _missing(files: Iterable[FileDescriptorProto]) -> list[str]:
    files = list(files)
    needed = {name for file in files for name in file.dependency}
    return sorted(needed - {file.name for file in files})
