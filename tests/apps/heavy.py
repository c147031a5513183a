"""Gateways of messages that take long to read, which tell how long their event loops were held.

`GET /held` tells the most CPU seconds that the process took between two turns of the loop since it
was last asked.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message_factory import GetMessageClass
from starlette.routing import Route

from compiled import pool
from held import Held
from transcoder import Channel, Gateway, StreamLimits

PROTOS = pool()
SERVICE = PROTOS.FindServiceByName("heavy.v1.Heavy")
EVERYTHING: Any = GetMessageClass(PROTOS.FindMessageTypeByName("everything.v1.Everything"))
TAKEN = EVERYTHING(string_value="taken")
LIMIT = 4 << 20


def create() -> Gateway:
    """Return a gateway that answers by itself."""
    gateway = _gateway()
    codecs = EVERYTHING.FromString, EVERYTHING.SerializeToString
    handlers = {
        "Put": grpc.unary_unary_rpc_method_handler(_put, *codecs),
        "Import": grpc.stream_unary_rpc_method_handler(_import, *codecs),
    }
    gateway.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler(SERVICE.full_name, handlers)]
    )
    return gateway


def routed() -> Gateway:
    """Return a gateway before the backend at BACKEND."""
    gateway = _gateway()
    gateway.route(SERVICE, Channel(os.environ["BACKEND"]))
    return gateway


def intercepted() -> Gateway:
    """Return the same, with an interceptor that looks at what passes."""
    gateway = _gateway(interceptors=[_Looking()])
    gateway.route(SERVICE, Channel(os.environ["BACKEND"]))
    return gateway


class _Looking(grpc.aio.ServerInterceptor):
    async def intercept_service(self, continuation: Any, details: Any) -> Any:
        return await continuation(details)


def _gateway(**options: Any) -> Gateway:
    held = Held()
    return Gateway(
        pool=PROTOS,
        body_limit=LIMIT,
        streams=StreamLimits(message=LIMIT),
        routes=[Route("/held", held.tell)],
        lifespan=held.lifespan,
        **options,
    )


async def _put(request: Any, context: Any) -> Any:
    return TAKEN


async def _import(requests: AsyncIterator[Any], context: Any) -> Any:
    async for _ in requests:
        pass
    return TAKEN
