"""A gateway whose page has what is rare: long names, keys, pictures, methods of other kinds."""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from compiled import descriptor_set
from transcoder import Code, Gateway, OpenApi, StatusError
from transcoder.comments import comments_of
from transcoder.multipart import FormLimits
from transcoder.policies.api_keys import ApiKeys

SERVICE = "odd.v1.ServiceOfAnOrganisationThatLikesItsNamesToTellTheWholeStory"
PROTO = """
syntax = "proto3";
package odd.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
// What may be of one kind or another.
enum Kind {
  // Nobody says.
  KIND_UNSPECIFIED = 0;
  // Of the `usual` kind.
  KIND_USUAL = 1;
}
message Ask {
  string id = 1;
  // <b>No markup</b>, a_name_that_is_longer_than_any_window_of_a_telephone_could_ever_hope_to_be.
  string a_field_whose_name_says_in_one_breath_all_that_there_is_to_say_about_it = 2;
  Ask inside = 3;
  Kind kind = 4;
  oneof either { string this = 5; string that = 6; }
  repeated Ask all = 7;
  map<string, Ask> by_name = 8;
}
message Upload {
  string id = 1; string title = 2; bytes data = 3; Ask ask = 4; repeated string tags = 5;
  Kind kind = 6; map<string, string> labels = 7; google.api.HttpBody raw = 8; bool done = 9;
}
message Picture { string id = 1; google.api.HttpBody data = 2; }
service ServiceOfAnOrganisationThatLikesItsNamesToTellTheWholeStory {
  // Says `back` what it is told.
  //
  // - one thing
  // - another
  //   thing
  rpc Echo(Ask) returns (Ask) { option deprecated = true; option (google.api.http) = {
    post: "/v1/a-path-that-is-longer-than-it-would-have-to-be-for-all-that-it-leads-to/{id}"
    body: "*"
  }; }
  rpc Lock(Ask) returns (Ask) {
    option (google.api.http) = {custom: {kind: "LOCK" path: "/v1/locks/{id}"}}; }
  rpc Draw(Picture) returns (google.api.HttpBody) {
    option (google.api.http) = {put: "/v1/pictures/{id}" body: "data"}; }
  rpc Keep(Upload) returns (Upload) {
    option (google.api.http) = {post: "/v1/uploads/{id}" body: "*"}; }
  rpc Tell(Ask) returns (stream Ask) { option (google.api.http) = {get: "/v1/told"}; }
  rpc Fail(Ask) returns (Ask) { option (google.api.http) = {get: "/v1/failures/{id}"}; }
}
"""


def picture() -> bytes:
    """Return a PNG of one red pixel (PNG specification, section 5)."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def gateway(keys: Path) -> Gateway:
    """Return the gateway.

    Args:
        keys: a file of the keys that it takes.
    """
    files = FileDescriptorSet.FromString(descriptor_set(PROTO)).file
    pool = DescriptorPool()
    for file in files:
        pool.Add(file)
    ask, draw, raw, upload = (GetMessageClass(pool.FindMessageTypeByName(name)) for name in _KINDS)

    async def echo(request: Any, context: Any) -> Any:
        return request

    async def drawn(request: Any, context: Any) -> Any:
        return request.data

    async def tell(request: Any, context: Any) -> AsyncIterator[Any]:
        yield ask(id="1")
        await asyncio.Event().wait()

    async def fail(request: Any, context: Any) -> Any:
        raise StatusError(
            Code.FAILED_PRECONDITION, f"{'it has been like this for long, ' * 12}so no"
        )

    def unary(behaviour: Any, kind: Any = ask, reply: Any = ask) -> Any:
        return grpc.unary_unary_rpc_method_handler(
            behaviour,
            request_deserializer=kind.FromString,
            response_serializer=reply.SerializeToString,
        )

    handlers = {
        "Echo": unary(echo),
        "Lock": unary(echo),
        "Draw": unary(drawn, draw, raw),
        "Keep": unary(echo, upload, upload),
        "Tell": grpc.unary_stream_rpc_method_handler(
            tell, request_deserializer=ask.FromString, response_serializer=ask.SerializeToString
        ),
        "Fail": unary(fail),
    }
    made = Gateway(
        pool=pool,
        forms=FormLimits(),
        policies=[ApiKeys(keys)],
        public=["/docs", "/openapi.json"],
        openapi=OpenApi(comments=comments_of(files), title="Odd things"),
    )
    made.add_registered_method_handlers(SERVICE, handlers)
    return made


_KINDS = ("odd.v1.Ask", "odd.v1.Picture", "google.api.HttpBody", "odd.v1.Upload")
