"""A gateway of large replies, which tells how long its event loop was held.

`GET /v1/NAME` answers with the reply of that name, made before the server is ready. `GET /held`
tells the most CPU seconds that the process took between two turns of the loop since it was last
asked: CPU seconds, for those of other processes are nobody's fault here.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import grpc
from google.protobuf.message_factory import GetMessageClass
from starlette.routing import Route

from compiled import pool
from held import Held
from transcoder import Gateway
from transcoder.profile import GOOGLE, Profile

SERVICE = "catalogue.v1.Catalogue"
PROTOS = pool()
EVERYTHING: Any = GetMessageClass(PROTOS.FindMessageTypeByName("everything.v1.Everything"))


def _repeated(number: int, item: bytes, count: int) -> Any:
    """Return a message of so many items in one field, by a way that takes no time."""
    tag = number << 3 | 2
    head = bytes([tag & 127 | 128, tag >> 7]) if tag > 127 else bytes([tag])
    return EVERYTHING.FromString((head + _length(len(item)) + item) * count)


def _packed(number: int, count: int) -> Any:
    """Return a message of so many ones in one field."""
    tag = number << 3 | 2
    return EVERYTHING.FromString(
        bytes([tag & 127 | 128, tag >> 7]) + _length(count) + b"\x01" * count
    )


def _length(size: int) -> bytes:
    out = b""
    while size > 127:
        out += bytes([size & 127 | 128])
        size >>= 7
    return out + bytes([size])


def _map(name: str, count: int, value: Any) -> Any:
    return EVERYTHING(**{name: {f"{i:x}": value for i in range(count)}})


def _rows(count: int) -> Any:
    row = EVERYTHING().struct
    row.update({f"column{i}": float(i) for i in range(16)})
    return EVERYTHING(value_list=[{"struct_value": row}] * count)


def _any(count: int) -> Any:
    data = _repeated(25, b"", count).SerializeToString()
    return EVERYTHING(
        any={"type_url": "type.googleapis.com/everything.v1.Everything", "value": data}
    )


ON_LOOP: dict[str, Callable[[], Any]] = {
    "loop-children": lambda: _repeated(25, b"", 990),
    "loop-children-defaults": lambda: _repeated(25, b"", 330),
    "loop-values": lambda: _repeated(26, b"", 3_990),
    "loop-texts": lambda: _repeated(21, b"", 5_400),
    "loop-numbers": lambda: _packed(20, 16_000),
    "loop-map": lambda: _map("string_map", 1_500, "x"),
    "loop-bytes": lambda: EVERYTHING(bytes_value=bytes(16_000)),
}
"""Replies just under the limits of what is printed on the loop."""

PRINTED: dict[str, Callable[[], Any]] = {
    "children": lambda: _repeated(25, b"", 49_900),
    "children-defaults": lambda: _repeated(25, b"", 16_600),
    "grandchildren": lambda: _repeated(25, b"\xca\x01\x00", 24_900),
    "values": lambda: _repeated(26, b"", 199_900),
    "rows": lambda: _rows(3_900),
    "map": lambda: _map("string_map", 99_900, "x"),
    "child-map": lambda: _map("child_map", 33_000, {}),
    "texts": lambda: _repeated(21, b"", 1_390_000),
    "numbers": lambda: _packed(20, 1_990_000),
    "bytes": lambda: EVERYTHING(bytes_value=bytes(4_190_000)),
    "text": lambda: EVERYTHING(string_value="x" * 4_190_000),
    "any": lambda: _any(49_000),
}
"""Replies just under the limits of what is printed at all."""

REFUSED: dict[str, Callable[[], Any]] = {
    "too-many": lambda: _repeated(26, b"", 1_390_000),
    "too-many-children": lambda: _repeated(25, b"\xca\x01\x00" * 100, 1_000),
    "too-many-rows": lambda: _rows(9_000),
    "too-large-map": lambda: _map("string_map", 200_000, "x"),
    "too-long": lambda: EVERYTHING(bytes_value=bytes(8_000_000)),
    "too-many-numbers": lambda: _packed(20, 4_190_000),
    "too-large-any": lambda: _any(400_000),
}
"""Replies over them."""

REPLIES = {**ON_LOOP, **PRINTED, **REFUSED}


def create(profile: Profile = GOOGLE) -> Gateway:
    """Return the gateway."""
    held = Held()
    replies = {name: make() for name, make in REPLIES.items()}
    # The replies are there for as long as the process, and no request's garbage.
    gc.freeze()

    async def get(request: Any, context: Any) -> Any:
        return replies[request.string_value]

    async def create(request: Any, context: Any) -> Any:
        return EVERYTHING(string_value="created")

    gateway = Gateway(
        profile=profile,
        pool=PROTOS,
        body_limit=4 << 20,
        routes=[Route("/held", held.tell)],
        lifespan=held.lifespan,
    )
    handlers: dict[str, Any] = {
        name: grpc.unary_unary_rpc_method_handler(method)
        for name, method in (("Get", get), ("Create", create))
    }
    gateway.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    return gateway


def create_with_defaults() -> Gateway:
    """Return a gateway that prints fields without presence."""
    return create(replace(GOOGLE, print_defaults=True))
