"""A gateway whose requests have rules of protovalidate; it tells what it was asked."""

from __future__ import annotations

import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from protovalidate import ViolationPb

from compiled import descriptor_set
from transcoder import EventStream, Gateway
from transcoder.upstream.channel import Channel

API = """
syntax = "proto3";
package validated.v1;

import "buf/validate/validate.proto";
import "google/api/annotations.proto";
import "google/protobuf/field_mask.proto";
import "google/protobuf/timestamp.proto";

message User {
  message Address {
    option (buf.validate.message).cel = {
      id: "address.whole", message: "needs a city with a street"
      expression: "this.street == '' || this.city != ''"
    };
    string street = 1 [(buf.validate.field).string.max_len = 200];
    string city = 2;
    string postal_code = 3 [(buf.validate.field).string.max_len = 20];
    string region_code = 4 [
      (buf.validate.field).string.pattern = "^[A-Z]{2}$",
      (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE
    ];
  }
  message Messenger {
    string service = 1 [(buf.validate.field).required = true];
    string handle = 2 [(buf.validate.field).required = true];
  }
  enum Role {
    ROLE_UNSPECIFIED = 0;
    ROLE_VIEWER = 1;
    ROLE_MEMBER = 2;
    ROLE_ADMIN = 3;
  }
  string id = 1 [(buf.validate.field).string = {max_len: 63, pattern: "^[a-z0-9-]*$"}];
  string name = 2 [(buf.validate.field).string = {min_len: 1, max_len: 200}];
  string email = 3 [(buf.validate.field).string.email = true];
  Role role = 4 [(buf.validate.field).enum.defined_only = true];
  int64 quota_bytes = 6 [(buf.validate.field).int64.gte = 0];
  google.protobuf.Timestamp create_time = 8;
  repeated string tags = 10 [
    (buf.validate.field).repeated = {max_items: 2000, unique: true, items: {string: {max_len: 8}}}
  ];
  map<string, string> labels = 11 [
    (buf.validate.field).map = {keys: {string: {min_len: 2}}, values: {string: {max_len: 9}}}
  ];
  map<bool, Address> homes = 17;
  map<int32, string> rooms = 18;
  Address address = 12;
  oneof contact {
    option (buf.validate.oneof).required = true;
    string phone = 13 [(buf.validate.field).string.pattern = "^[+][0-9]{4,15}$"];
    Messenger messenger = 14;
  }
  optional bool newsletter = 15;
}
message GetRequest {
  string user_id = 1 [(buf.validate.field).string.max_len = 8];
  int32 page_size = 2 [(buf.validate.field).int32.lte = 100];
  int64 after_number = 3 [(buf.validate.field).int64.gte = 0];
  User.Address near = 4;
}
message CreateRequest {
  string user_id = 1 [(buf.validate.field).string.max_len = 8];
  User user = 2 [(buf.validate.field).required = true];
}
message UpdateRequest {
  User user = 1 [(buf.validate.field).required = true];
  google.protobuf.FieldMask update_mask = 2;
  string etag = 3 [(buf.validate.field).string.max_len = 4];
}
message FailingRequest {
  int32 number = 1 [(buf.validate.field).cel = {id: "one", expression: "1 / this > 0"}];
}
message FreeRequest { repeated FreeRequest requests = 1; }
message Reply {
  string text = 1;
  int64 number = 2;
}
service Validated {
  rpc Get(GetRequest) returns (Reply) {
    option (google.api.http) = {get: "/v1/users/{user_id}"};
  }
  rpc Create(CreateRequest) returns (Reply) {
    option (google.api.http) = {
      post: "/v1/users"
      body: "user"
      additional_bindings: {post: "/v1/users:all" body: "*"}
    };
  }
  rpc Update(UpdateRequest) returns (Reply) {
    option (google.api.http) = {patch: "/v1/users/{user.id}" body: "user"};
  }
  rpc Fail(FailingRequest) returns (Reply) {
    option (google.api.http) = {get: "/v1/failing"};
  }
  rpc Free(FreeRequest) returns (Reply) {
    option (google.api.http) = {get: "/v1/free"};
  }
  rpc Watch(GetRequest) returns (stream Reply) {
    option (google.api.http) = {get: "/v1/users/{user_id}:watch"};
  }
  rpc Import(stream CreateRequest) returns (Reply) {
    option (google.api.http) = {post: "/v1/users:import" body: "*"};
  }
  rpc Talk(stream CreateRequest) returns (stream Reply) {
    option (google.api.http) = {post: "/v1/users:talk" body: "*"};
  }
}
"""


def rules_file() -> FileDescriptorProto:
    """Return `buf/validate/validate.proto`, as protovalidate has it compiled."""
    return FileDescriptorProto.FromString(ViolationPb.desc().file.proto.to_binary())


def pool_of(text: str) -> DescriptorPool:
    """Return a pool with a proto that may import protovalidate's rules."""
    with tempfile.NamedTemporaryFile() as rules:
        Path(rules.name).write_bytes(FileDescriptorSet(file=[rules_file()]).SerializeToString())
        compiled = descriptor_set(text, f"--descriptor_set_in={rules.name}", "--include_imports")
    pool = DescriptorPool()
    for file in FileDescriptorSet.FromString(compiled).file:
        pool.Add(file)
    return pool


POOL = pool_of(API)
SERVICE = POOL.FindServiceByName("validated.v1.Validated")


def message(name: str) -> Any:
    """Return the class of one of the messages."""
    return GetMessageClass(POOL.FindMessageTypeByName(f"validated.v1.{name}"))


Reply = message("Reply")


class Validated:
    """The servicer: each request that it sees is a line of the test's ledger."""

    async def Get(self, request: Any, context: Any) -> Any:
        return self._seen(request)

    Update = Free = Create = Fail = Get

    async def Watch(self, request: Any, context: Any) -> AsyncIterator[Any]:
        yield self._seen(request)

    async def Import(self, requests: AsyncIterator[Any], context: Any) -> Any:
        return Reply(number=len([self._seen(each) async for each in requests]))

    async def Talk(self, requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async for request in requests:
            yield self._seen(request)

    def _seen(self, request: Any) -> Any:
        with Path(os.environ["LEDGER"]).open("a") as file:
            file.write(f"{type(request).DESCRIPTOR.name}\n")
        return Reply(text="seen")


def handlers(servicer: Any) -> grpc.GenericRpcHandler:
    """Return the servicer's handlers, as generated code makes them."""
    made = {}
    for rpc in SERVICE.methods:
        takes, returns = rpc.client_streaming, rpc.server_streaming
        kind = f"{'stream' if takes else 'unary'}_{'stream' if returns else 'unary'}"
        made[rpc.name] = getattr(grpc, f"{kind}_rpc_method_handler")(
            getattr(servicer, rpc.name),
            request_deserializer=GetMessageClass(rpc.input_type).FromString,
            response_serializer=GetMessageClass(rpc.output_type).SerializeToString,
        )
    return grpc.method_handlers_generic_handler(SERVICE.full_name, made)


def create(*, validate: bool = True) -> Gateway:
    """Return the gateway of the servicer."""
    events = {"validated.v1.Validated.Watch": EventStream(id="number", resume="after_number")}
    gateway = Gateway(pool=POOL, validate=validate, events=events)
    gateway.add_generic_rpc_handlers([handlers(Validated())])
    return gateway


def unvalidated() -> Gateway:
    """Return the gateway that checks nothing."""
    return create(validate=False)


def remote() -> Gateway:
    """Return the gateway of the same service elsewhere; the environment says where."""
    events = {"validated.v1.Validated.Watch": EventStream(id="number", resume="after_number")}
    gateway = Gateway(pool=POOL, validate=True, events=events)
    gateway.route(SERVICE, Channel(os.environ["VALIDATED_BACKEND"]))
    return gateway
