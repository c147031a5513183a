"""Messages whose fields have the names of a message's own attributes, and hide them."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import grpc
import pytest
from google.api.http_pb2 import HttpRule
from google.protobuf import descriptor_pb2
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from starlette.testclient import TestClient

from transcoder import Gateway, Transcoder
from transcoder.protojson import from_json, to_json

Field = descriptor_pb2.FieldDescriptorProto
NAMES = [name for name in dir(Empty) if name != "Extensions"]
"""Extensions would have the JSON name of another field, were it beside the rest."""
JSON = "application/json"


@cache
def service() -> ServiceDescriptor:
    """Return a service of a message that has a string and a message by each of the names."""
    file = descriptor_pb2.FileDescriptorProto(name="a.proto", package="a", syntax="proto3")
    for message in ("Texts", "Children"):
        file.message_type.add(name=message)
    texts, children = file.message_type
    for number, name in enumerate(NAMES, 1):
        texts.field.add(name=name, number=number, type=Field.TYPE_STRING, label=1)
        children.field.add(
            name=name, number=number, type=Field.TYPE_MESSAGE, type_name=".a.Texts", label=1
        )
    chosen = file.message_type.add(name="Chosen", oneof_decl=[{"name": "WhichOneof"}])
    for number, name in enumerate(("HasField", "Clear", "ListFields"), 1):
        chosen.field.add(name=name, number=number, type=Field.TYPE_INT32, label=1, oneof_index=0)
    for message in ("Texts", "Children", "Chosen"):
        file.service.add(name=f"{message}Service").method.add(
            name="Get", input_type=f".a.{message}", output_type=f".a.{message}"
        )
    pool = DescriptorPool()
    pool.Add(file)
    return pool.FindFileByName("a.proto").services_by_name["ChildrenService"]


def message_class(name: str) -> type[Message]:
    """Return the class of one of the messages."""
    return GetMessageClass(service().file.message_types_by_name[name])


def transcoder(message: str, **rule: Any) -> Transcoder:
    """Return a transcoder of one method."""
    found = service().file.services_by_name[f"{message}Service"]
    return Transcoder([found], rules={f"a.{message}Service.Get": HttpRule(**rule)})


def texts() -> Any:
    """Return a message with all of its fields set."""
    return message_class("Texts")(**{name: f"of {name}" for name in NAMES})


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("print_defaults", [False, True])
def test_json(*, print_defaults: bool, indent: int | None) -> None:
    """They are printed and read as all others are."""
    message: Any = message_class("Children")(**{name: texts() for name in NAMES})
    data = to_json(message, print_defaults=print_defaults, proto_names=True, indent=indent)
    inner = {name: f"of {name}" for name in NAMES}

    assert json.loads(data) == dict.fromkeys(NAMES, inner)
    assert from_json(data, type(message)) == message


def test_extensions() -> None:
    """So is a message that can be extended and has a field of that name."""
    file = descriptor_pb2.FileDescriptorProto(name="b.proto", package="b", syntax="proto2")
    extended = file.message_type.add(name="Extended")
    extended.field.add(name="Extensions", number=1, type=Field.TYPE_STRING, label=1)
    extended.extension_range.add(start=100, end=200)
    pool = DescriptorPool()
    pool.Add(file)
    wanted = GetMessageClass(pool.FindMessageTypeByName("b.Extended"))

    assert to_json(wanted(Extensions="a")) == b'{"Extensions":"a"}'


@pytest.mark.parametrize("name", ["HasField", "Clear", "ListFields"])
def test_oneof(name: str) -> None:
    """So is the one member of a oneof."""
    wanted = message_class("Chosen")
    data = b'{"%b":7}' % name.encode()

    assert to_json(wanted(**{name: 7})) == data
    assert from_json(data, wanted) == wanted(**{name: 7})


@pytest.mark.parametrize("name", [name for name in NAMES if not name.startswith("_")])
def test_request(name: str) -> None:
    """They are set by the path, the query and the body, and a reply is printed."""
    route = transcoder("Children", put=f"/v1/{{{name}.{name}}}", body=name)
    match = route.match("PUT", "/v1/by-path")
    other = "ByteSize" if name == "DESCRIPTOR" else "DESCRIPTOR"
    body = b'{"%b": "by-body"}' % other.encode()
    request = route.request(match, f"{other}.{name}=by-query".encode(), body, JSON)
    texts = message_class("Texts")
    expected: Any = {name: texts(**{name: "by-path", other: "by-body"})}
    expected[other] = texts(**{name: "by-query"})

    assert request == message_class("Children")(**expected)
    assert from_json(route.response(match, request).body, type(request)) == request


@pytest.mark.parametrize("name", ["Clear", "DESCRIPTOR", "WhichOneof"])
def test_response_body(name: str) -> None:
    """One of them can be the whole answer."""
    route = transcoder("Texts", get="/v1/x", response_body=name)

    assert json.loads(route.response(route.match("GET", "/v1/x"), texts()).body) == f"of {name}"


def test_members_of_a_oneof_in_a_query() -> None:
    """A oneof takes one of them."""
    route = transcoder("Chosen", get="/v1/{HasField}")
    match = route.match("GET", "/v1/7")

    assert route.request(match) == message_class("Chosen")(HasField=7)


@pytest.mark.parametrize("name", ["ByteSize", "CopyFrom", "DESCRIPTOR", "SerializeToString"])
@pytest.mark.parametrize("size", [1, 50_000], ids=["small", "large"])
def test_gateway(name: str, size: int) -> None:
    """A servicer takes and returns them over HTTP, also where the reply is a large one."""

    async def get(request: Any, context: Any) -> Any:
        return request

    wanted: Any = message_class("Texts")
    handler = grpc.unary_unary_rpc_method_handler(get, wanted.FromString, wanted.SerializeToString)
    rules = {"a.TextsService.Get": HttpRule(post=f"/v1/{{{name}}}", body="*")}
    gateway = Gateway(pool=service().file.pool, rules=rules)
    gateway.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("a.TextsService", {"Get": handler})]
    )
    other = next(each for each in NAMES if each != name and not each.startswith("_"))
    answer = TestClient(gateway).post("/v1/by-path", json={other: "x" * size})

    assert answer.status_code == 200
    assert from_json(answer.content, wanted) == wanted(**{name: "by-path", other: "x" * size})
