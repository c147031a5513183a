"""A gateway that answers with what its servicer is told beside the request, and says what it asks.

`/query` answers with the metadata of the call in `stringList` and the seconds it has left in
`doubleValue`; what `string_map` holds it sends as trailing metadata. `create` is strict in nothing,
`behind` trusts loopback as a proxy, `grpc_gateway` follows grpc-gateway.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass

from catalogue import SERVICE, noting
from compiled import pool
from transcoder import GRPC_GATEWAY, Gateway


def create() -> Gateway:
    """Return the gateway with its defaults."""
    return serving()


def behind() -> Gateway:
    """Return one that is behind a proxy of the same machine."""
    return serving(trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"])


def grpc_gateway() -> Gateway:
    """Return one for the clients of grpc-gateway."""
    # The requests that tests send between others expect an answer without defaults.
    return serving(profile=dataclasses.replace(GRPC_GATEWAY, print_defaults=False))


def serving(**options: Any) -> Gateway:
    """Return the gateway with these options."""
    protos = pool()
    gateway = Gateway(pool=protos, **options)
    note = noting()
    handlers = {rpc.name: _handler(rpc, note) for rpc in protos.FindServiceByName(SERVICE).methods}
    gateway.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    return gateway


def _handler(rpc: MethodDescriptor, note: Callable[[str], None]) -> Any:
    message_class: Any = GetMessageClass(rpc.input_type)

    async def tell(request: Any, context: Any) -> Any:
        note(rpc.name)
        if rpc.name != "Query":
            return request
        context.set_trailing_metadata(sorted(request.string_map.items()))
        told = [f"{key}={value}" for key, value in context.invocation_metadata()]
        return message_class(string_list=told, double_value=context.time_remaining())

    return grpc.unary_unary_rpc_method_handler(
        tell,
        request_deserializer=message_class.FromString,
        response_serializer=message_class.SerializeToString,
    )
