"""A gateway for bad input: every route answers with its request, and says what was called.

The header `x-called` names the method that ran, `x-route` the route that the scope tells to whoever
decides about the request. Calls go to the ledger of the test, log lines to a file beside
it.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.message_factory import GetMessageClass
from starlette.types import Message, Receive, Scope, Send

from compiled import pool
from transcoder import Gateway
from transcoder.route import Route

SERVICE = "catalogue.v1.Catalogue"


class Told(Gateway):
    """Tells in each answer which route the scope names."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_told(message: Message) -> None:
            # Starlette tells its own routes under the same key.
            route = scope.get("route")
            if message["type"] == "http.response.start" and isinstance(route, Route):
                name = (b"x-route", f"{route.name} {route.template}".encode())
                message["headers"] = [*message["headers"], name]
            await send(message)

        await super().__call__(scope, receive, send_told)


def create() -> Gateway:
    """Return the gateway, its log and its ledger where the test finds them."""
    return serving(noting())


def noting() -> Callable[[str], None]:
    """Write the log and the ledger where the test finds them; return what notes a name in it."""
    ledger = Path(os.environ["LEDGER"])
    logging.basicConfig(
        filename=ledger.with_name("log"),
        level=logging.INFO,
        format="%(name)s %(levelname)s %(message)s",
    )

    def note(name: str) -> None:
        with ledger.open("a") as file:
            file.write(f"{name}\n")

    return note


def serving(note: Callable[[str], None]) -> Gateway:
    """Return the gateway; `note` is told the name of each method that is called."""
    protos = pool()
    gateway = Told(pool=protos)
    handlers = {rpc.name: _handler(rpc, note) for rpc in protos.FindServiceByName(SERVICE).methods}
    gateway.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    return gateway


def _handler(rpc: MethodDescriptor, note: Callable[[str], None]) -> Any:
    message_class = GetMessageClass(rpc.input_type)

    async def echo(request: Any, context: Any) -> Any:
        note(rpc.name)
        context.set_trailing_metadata((("x-called", rpc.name),))
        return request

    return grpc.unary_unary_rpc_method_handler(
        echo,
        request_deserializer=message_class.FromString,
        response_serializer=message_class.SerializeToString,
    )
