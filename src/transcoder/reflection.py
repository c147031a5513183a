"""Server reflection, in both of its versions, for services of any descriptor pool."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from google.protobuf.descriptor_pool import Default, DescriptorPool
from grpc_reflection.v1alpha import reflection, reflection_pb2

NAME = reflection.SERVICE_NAME
NAMES = ("grpc.reflection.v1.ServerReflection", NAME)

_NOT_FOUND: int = grpc.StatusCode.NOT_FOUND.value[0]


def handlers(services: Iterable[str], pool: DescriptorPool) -> dict[str, grpc.GenericRpcHandler]:
    """Return handlers for grpc.aio, by the name of their service.

    Args:
        services: full names of what is listed.
        pool: where descriptors are looked up. What is not there, such as health or the messages
            of error details, is looked up in the default pool.
    """
    listed = tuple(services)
    servicers = (
        reflection.aio.ReflectionServicer(listed, pool),
        reflection.aio.ReflectionServicer(listed),
    )

    async def answers(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            asked = _of_service(request, (pool, Default()))
            answer = await _first_found(servicers, asked, context)
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


async def _first_found(servicers: Iterable[Any], request: Any, context: Any) -> Any:
    async def only() -> AsyncIterator[Any]:
        yield request

    answer = None
    for servicer in servicers:
        async for answer in servicer.ServerReflectionInfo(only(), context):
            if answer.error_response.error_code != _NOT_FOUND:
                return answer
    return answer
