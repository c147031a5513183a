"""Server reflection, in both of its versions, for services of any descriptor pool."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

from transcoder.redaction import Redaction, Withholds

NAME = reflection.SERVICE_NAME
NAMES = ("grpc.reflection.v1.ServerReflection", NAME)

_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]
# As grpc_reflection says it of what it does not know.
_UNKNOWN: tuple[int, str] = grpc.StatusCode.NOT_FOUND.value


def handlers(
    services: Iterable[str],
    pool: DescriptorPool,
    withholds: Withholds | None = None,
    unlisted: Iterable[str] = (),
) -> dict[str, grpc.GenericRpcHandler]:
    """Return handlers for grpc.aio, by the name of their service.

    Args:
        services: full names of what is listed.
        pool: where descriptors are looked up. What is not there, such as health or the messages
            of error details, is looked up in the default pool.
        withholds: says which methods nobody is told of; None for none.
        unlisted: full names of what is served beside, and not listed.
    """
    listed = tuple(services)
    servicers = (
        reflection.aio.ReflectionServicer(listed, pool),
        reflection.aio.ReflectionServicer(listed),
    )

    pools = (pool, Default())

    # Few ask, and a new gateway is not to wait for what nobody may ask for.
    @functools.cache
    def redaction() -> Redaction | None:
        served = (*listed, *unlisted)
        return None if withholds is None else Redaction(served, pools, withholds)

    async def _answer(request: Any, context: Any) -> Any:
        made = redaction()
        if made is None or request.WhichOneof("message_request") in (None, "list_services"):
            return await _first_found(servicers, _of_service(request, pools), context)
        return _told(request, pools, made)

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


def _told(request: Any, pools: Iterable[DescriptorPool], redaction: Redaction) -> Any:
    """Return the answer as if there were not what nobody is told of."""
    for pool in pools:
        with contextlib.suppress(KeyError):
            if request.HasField("all_extension_numbers_of_type"):
                return _extensions_told(request.all_extension_numbers_of_type, pool, redaction)
            file, symbol = _asked(_of_service(request, pools), pool)
            told = redaction.of(file)
            symbol = request.file_containing_symbol or symbol
            if told is None or (symbol and symbol not in told.symbols):
                break
            answer = reflection_pb2.ServerReflectionResponse()
            answer.file_descriptor_response.file_descriptor_proto[:] = redaction.files(file)
            return answer
    return _unknown()


def _asked(request: Any, pool: DescriptorPool) -> tuple[FileDescriptor, str]:
    """Return the file that is asked for, and for which symbol in it; empty for the file alone."""
    if request.HasField("file_by_filename"):
        return pool.FindFileByName(request.file_by_filename), ""
    if request.HasField("file_containing_symbol"):
        symbol = request.file_containing_symbol
        return pool.FindFileContainingSymbol(symbol), symbol
    asked = request.file_containing_extension
    extended = pool.FindMessageTypeByName(asked.containing_type)
    extension = pool.FindExtensionByNumber(extended, asked.extension_number)
    return pool.FindFileContainingSymbol(extension.full_name), extension.full_name


def _extensions_told(name: str, pool: DescriptorPool, redaction: Redaction) -> Any:
    extended = pool.FindMessageTypeByName(name)
    if redaction.hides(extended.full_name):
        return _unknown()
    answer = reflection_pb2.ServerReflectionResponse()
    found = answer.all_extension_numbers_response
    found.base_type_name = extended.full_name
    for extension in pool.FindAllExtensions(extended):
        told = redaction.of(pool.FindFileContainingSymbol(extension.full_name))
        if told is not None and extension.full_name in told.symbols:
            found.extension_number.append(extension.number)
    found.extension_number.sort()
    return answer


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
