"""Server reflection, in both of its versions, for services of any descriptor pool."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any, Protocol

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

NAME = reflection.SERVICE_NAME
NAMES = ("grpc.reflection.v1.ServerReflection", NAME)

_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]
# As grpc_reflection says it of what it does not know.
_UNKNOWN: tuple[int, str] = grpc.StatusCode.NOT_FOUND.value


class Withholds(Protocol):
    """Says which methods are not there for clients."""

    def __call__(self, rpc: MethodDescriptor) -> bool:
        """Say whether a method is not."""
        ...

    def is_internal(self, name: str, *options: Any) -> bool:
        """Say it of a method by its full name, its options and its service's."""
        ...


def handlers(
    services: Iterable[str], pool: DescriptorPool, withholds: Withholds | None = None
) -> dict[str, grpc.GenericRpcHandler]:
    """Return handlers for grpc.aio, by the name of their service.

    Args:
        services: full names of what is listed.
        pool: where descriptors are looked up. What is not there, such as health or the messages
            of error details, is looked up in the default pool.
        withholds: says which methods nobody is told of; None for none.
    """
    listed = tuple(services)
    servicers = (
        reflection.aio.ReflectionServicer(listed, pool),
        reflection.aio.ReflectionServicer(listed),
    )

    pools = (pool, Default())

    async def _answer(request: Any, context: Any) -> Any:
        if withholds is not None and _is_withheld(request.file_containing_symbol, pools, withholds):
            return _unknown()
        answer = await _first_found(servicers, _of_service(request, pools), context)
        return answer if withholds is None else _without(answer, withholds)

    async def answers(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            answer = await _answer(request, context)
            answer.original_request.CopyFrom(request)
            yield answer

    # v1 differs from v1alpha in the name of its package alone.
    method = grpc.stream_stream_rpc_method_handler(
        answers,
        reflection_pb2.ServerReflectionRequest.FromString,
        reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    return {
        name: grpc.method_handlers_generic_handler(name, {"ServerReflectionInfo": method})
        for name in NAMES
    }


def _of_service(request: Any, pools: Iterable[DescriptorPool]) -> Any:
    """Return a question about a method as one about its service, for pools do not know methods."""
    service, _, method = request.file_containing_symbol.rpartition(".")
    for pool in pools:
        with contextlib.suppress(KeyError):
            if method in pool.FindServiceByName(service).methods_by_name:
                return reflection_pb2.ServerReflectionRequest(
                    host=request.host, file_containing_symbol=service
                )
    return request


def _is_withheld(symbol: str, pools: Iterable[DescriptorPool], withholds: Withholds) -> bool:
    """Say whether a symbol is a method that nobody is told of, or a service of such alone."""
    service, _, method = symbol.rpartition(".")
    for pool in pools:
        with contextlib.suppress(KeyError):
            return withholds(pool.FindServiceByName(service).methods_by_name[method])
        with contextlib.suppress(KeyError):
            methods = pool.FindServiceByName(symbol).methods
            return bool(methods) and all(map(withholds, methods))
    return False


def _without(answer: Any, withholds: Withholds) -> Any:
    """Return an answer whose files do not describe what nobody is told of."""
    files = answer.file_descriptor_response.file_descriptor_proto
    for index, data in enumerate(files):
        file = FileDescriptorProto.FromString(data)
        if _remove(file, withholds):
            # It tells of places by their numbers.
            file.ClearField("source_code_info")
            files[index] = file.SerializeToString()
    return answer


def _remove(file: FileDescriptorProto, withholds: Withholds) -> bool:
    package = f"{file.package}." if file.package else ""
    removed = False
    for service in reversed(file.service):
        kept = [
            method
            for method in service.method
            if not withholds.is_internal(
                f"{package}{service.name}.{method.name}", method.options, service.options
            )
        ]
        if len(kept) == len(service.method):
            continue
        removed = True
        if kept:
            del service.method[:]
            service.method.extend(kept)
        else:
            file.service.remove(service)
    return removed


def _unknown() -> Any:
    answer = reflection_pb2.ServerReflectionResponse()
    answer.error_response.error_code, answer.error_response.error_message = _UNKNOWN
    return answer


async def _first_found(servicers: Iterable[Any], request: Any, context: Any) -> Any:
    async def only() -> AsyncIterator[Any]:
        yield request

    answer = None
    for servicer in servicers:
        async for answer in servicer.ServerReflectionInfo(only(), context):
            if answer.error_response.error_code != _NOT_FOUND:
                return answer
    return answer
