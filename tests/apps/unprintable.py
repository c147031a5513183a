"""A service whose replies have no JSON form, each for another reason; its log is a file.

`remote` is a gateway before another process of it, whose address is in a file.
"""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator
from functools import cache
from pathlib import Path
from typing import Any

import grpc
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from compiled import descriptor_set
from transcoder import Gateway
from transcoder.upstream.channel import Channel

SECRET = "s3cr3t"
SERVICE = "unprintable.v1.Replies"
PROTO = """
    syntax = "proto2";
    package unprintable.v1;
    import "google/protobuf/any.proto";
    import "google/protobuf/duration.proto";
    import "google/protobuf/field_mask.proto";
    import "google/protobuf/struct.proto";
    import "google/protobuf/timestamp.proto";
    message Request { optional string name = 1; optional int32 size = 2; }
    message Reply {
      optional google.protobuf.Any any = 1;
      optional google.protobuf.Value value = 2;
      optional google.protobuf.Timestamp create_time = 3;
      optional string text = 4;
      repeated Reply replies = 5;
      map<string, Reply> by_name = 6;
      optional google.protobuf.Duration duration = 7;
      optional google.protobuf.FieldMask mask = 8;
      optional google.protobuf.Struct struct = 9;
      repeated string texts = 10;
      map<string, string> texts_by_name = 11;
      optional bytes filler = 12;
      extensions 100 to 200;
    }
    extend Reply { optional Reply more = 100; }
    service Replies {
      rpc Get(Request) returns (Reply);
      rpc List(Request) returns (stream Reply);
    }
"""
HOST = "type.googleapis.com"
REPLIES: dict[str, Any] = {
    "unknown-any": {"any": {"type_url": f"{HOST}/{SECRET}.Type", "value": b"s3cr3t"}},
    "bad-any": {"any": {"type_url": f"{HOST}/unprintable.v1.Reply", "value": b"\x0a\x7fs3cr3t"}},
    "nan": {"value": {"list_value": {"values": [{"number_value": float("nan")}]}}},
    "infinity": {"struct": {"fields": {SECRET: {"number_value": float("inf")}}}},
    "time": {"create_time": {"seconds": 10**15}},
    "duration": {"duration": {"seconds": 1, "nanos": -5}},
    "mask": {"mask": {"paths": [SECRET, "a__b"]}},
}
REPLIES |= {
    "nested": {"replies": [{}, {"by_name": {SECRET: REPLIES["time"]}}]},
    "fine": {"texts": ["a"]},
}
BYTES = {
    "utf8": b"\x22\x08s3cr3t\xff\xfe",
    "utf8-list": b"\x52\x01a\x52\x08s3cr3t\xff\xfe",
    "utf8-map": b"\x5a\x0f\x0a\x03key\x12\x08s3cr3t\xff\xfe",
    "utf8-key": b"\x5a\x0f\x0a\x08s3cr3t\xff\xfe\x12\x03abc",
}
"""Of a peer that checks nothing."""


@cache
def pool() -> DescriptorPool:
    """Return a pool with the service."""
    made = DescriptorPool()
    for file in FileDescriptorSet.FromString(descriptor_set(PROTO)).file:
        made.Add(file)
    return made


def reply_of(name: str) -> Any:
    """Return a reply by its name."""
    reply: Any = GetMessageClass(pool().FindMessageTypeByName("unprintable.v1.Reply"))
    if name in BYTES:
        return reply.FromString(BYTES[name])
    if name == "in-any":
        inner = reply_of("utf8")
        return reply(any={"type_url": f"{HOST}/unprintable.v1.Reply", "value": bytes_of(inner)})
    if name == "time-in-any":
        time = b"\x08\x80\x80\x9a\xa6\xea\xaf\xe3\x01"
        return reply(any={"type_url": f"{HOST}/google.protobuf.Timestamp", "value": time})
    if name == "extension":
        message = reply()
        message.Extensions[pool().FindExtensionByName("unprintable.v1.more")].MergeFrom(
            reply_of("time")
        )
        return message
    return reply(**REPLIES[name])


def bytes_of(message: Message) -> bytes:
    """Return a message on the wire."""
    return message.SerializeToString()


async def get(request: Any, context: Any) -> Any:
    """Answer with the reply that the request names, and as many bytes beside it."""
    reply = reply_of(request.name)
    reply.filler = b"x" * request.size
    return reply


async def list_(request: Any, context: Any) -> AsyncIterator[Any]:
    """Answer with two fine replies, the one that the request names, and a fine one."""
    for name in ("fine", "fine", request.name, "fine"):
        reply = reply_of(name)
        reply.filler = b"x" * request.size
        yield reply


def empty(log: str) -> Gateway:
    """Return a gateway without a service, which logs to a file of that name."""
    logging.basicConfig(
        filename=Path(os.environ["LEDGER"]).with_name(log),
        level=logging.INFO,
        format="%(name)s %(levelname)s %(message)s",
    )
    rules = {
        f"{SERVICE}.Get": HttpRule(get="/v1/{name}"),
        f"{SERVICE}.List": HttpRule(get="/v1/{name}/list"),
    }
    return Gateway(pool=pool(), rules=rules)


def remote() -> Gateway:
    """Return a gateway before a process that runs `create`."""
    gateway = empty("remote-log")
    backend = Path(os.environ["LEDGER"]).with_name("backend").read_text()
    gateway.route(pool().FindServiceByName(SERVICE), Channel(backend))
    return gateway


def create() -> Gateway:
    """Return the gateway."""
    gateway = empty("log")
    request = GetMessageClass(pool().FindMessageTypeByName("unprintable.v1.Request"))
    handlers = {
        "Get": grpc.unary_unary_rpc_method_handler(get, request.FromString, bytes_of),
        "List": grpc.unary_stream_rpc_method_handler(list_, request.FromString, bytes_of),
    }
    gateway.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, handlers)])
    return gateway
