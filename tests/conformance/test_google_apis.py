"""The rules that Google ships and documents bind as documented."""

from __future__ import annotations

import pathlib
from collections.abc import Iterator
from typing import Any

import pytest
from google.api.http_pb2 import HttpRule
from google.cloud.location import locations_pb2
from google.longrunning import operations_proto_pb2
from google.protobuf import json_format
from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass

from transcoder.http_rule import Binding, bindings
from transcoder.profile import GOOGLE
from transcoder.request import RequestDecoder
from transcoder.route import Match, Route
from transcoder.routing import Router

SHIPPED = [operations_proto_pb2.DESCRIPTOR, locations_pb2.DESCRIPTOR]


def shipped() -> Iterator[Binding]:
    """Yield the bindings of all services in `googleapis-common-protos`."""
    for file in SHIPPED:
        for service in file.services_by_name.values():
            for rpc in service.methods:
                yield from bindings(rpc)


BINDINGS = list(shipped())


def test_all_of_them_are_here() -> None:
    """No other proto in the package has a rule."""
    package = pathlib.Path(str(locations_pb2.__file__)).parents[2]
    ruled = {
        str(proto.relative_to(package.parent))
        for proto in package.rglob("*.proto")
        if "option (google.api.http)" in proto.read_text() and proto.name != "http.proto"
    }

    assert ruled == {
        "google/cloud/location/locations.proto",
        "google/longrunning/operations_proto.proto",
    }


@pytest.mark.parametrize("binding", BINDINGS, ids=lambda each: f"{each.rpc.name} {each.index}")
def test_shipped(binding: Binding) -> None:
    """A path made from the template of a shipped rule matches it, and binds its variables."""
    router = Router(
        [Route(each.method, each.template, each.rpc.full_name, each) for each in BINDINGS]
    )
    template = binding.template
    values = [
        "/".join(
            segment.text.replace("**", "a/b").replace("*", "a")
            for segment in template.segments[variable.start : variable.end]
        )
        for variable in template.variables
    ]

    match = router.match(binding.method, template.expand(values))

    assert isinstance(match, Match)
    assert match.route.endpoint is binding
    decode = RequestDecoder(binding, GetMessageClass(binding.rpc.input_type), GOOGLE)
    message = decode(match.values, b"", b"", "")
    assert [getattr(message, variable.name) for variable in template.variables] == values


USERS = HttpRule(
    get="/v1/messages/{message_id}",
    additional_bindings=[HttpRule(get="/v1/users/{user_id}/messages/{message_id}")],
)
SUB = HttpRule(get="/v1/messages/{message_id}")
FIELD = HttpRule(patch="/v1/messages/{message_id}", body="message")
WHOLE = HttpRule(patch="/v1/messages/{message_id}", body="*")
CONFIG = HttpRule(get="/v1/messages/{message_id}/{sub.subfield}")

# Each example in the comments of google/api/http.proto: the rule, the HTTP request, the message.
DOCUMENTED = [
    (
        "GetByName",
        HttpRule(get="/v1/{name=messages/*}"),
        ("GET", "/v1/messages/123456", b""),
        {"name": "messages/123456"},
    ),
    (
        "Get",
        SUB,
        ("GET", "/v1/messages/123456?revision=2&sub.subfield=foo", b""),
        {"message_id": "123456", "revision": "2", "sub": {"subfield": "foo"}},
    ),
    (
        "Get",
        SUB,
        ("GET", "/v1/messages/1?param=A&param=B", b""),
        {"message_id": "1", "param": ["A", "B"]},
    ),
    (
        "Get",
        SUB,
        ("GET", "/v1/messages/1?foo.a=A&foo.b=B&foo.c=C", b""),
        {"message_id": "1", "foo": {"a": "A", "b": "B", "c": "C"}},
    ),
    (
        "Update",
        FIELD,
        ("PATCH", "/v1/messages/123456", b'{ "text": "Hi!" }'),
        {"message_id": "123456", "message": {"text": "Hi!"}},
    ),
    (
        "UpdateWhole",
        WHOLE,
        ("PATCH", "/v1/messages/123456", b'{ "text": "Hi!" }'),
        {"message_id": "123456", "text": "Hi!"},
    ),
    ("Get", USERS, ("GET", "/v1/messages/123456", b""), {"message_id": "123456"}),
    (
        "Get",
        USERS,
        ("GET", "/v1/users/me/messages/123456", b""),
        {"user_id": "me", "message_id": "123456"},
    ),
    # {var} is {var=*}; a single segment is decoded whole, many segments keep %2F.
    ("Get", SUB, ("GET", "/v1/messages/a%2Fb%20c", b""), {"message_id": "a/b c"}),
    (
        "GetByName",
        HttpRule(get="/v1/{name=messages/**}"),
        ("GET", "/v1/messages/a%2Fb/%63", b""),
        {"name": "messages/a%2Fb/c"},
    ),
    (
        "GetByName",
        HttpRule(get="/v1/{name=messages/**}:print"),
        ("GET", "/v1/messages:print", b""),
        {"name": "messages"},
    ),
    (
        "Get",
        CONFIG,
        ("GET", "/v1/messages/7/foo", b""),
        {"message_id": "7", "sub": {"subfield": "foo"}},
    ),
    # A JSON array as the body, mapped to a repeated field.
    (
        "Get",
        HttpRule(post="/v1/messages/{message_id}", body="param"),
        ("POST", "/v1/messages/7", b'["A", "B"]'),
        {"message_id": "7", "param": ["A", "B"]},
    ),
    (
        "Get",
        HttpRule(custom={"kind": "HEAD", "path": "/v1/messages/{message_id}"}),
        ("HEAD", "/v1/messages/7", b""),
        {"message_id": "7"},
    ),
    (
        "Get",
        HttpRule(custom={"kind": "*", "path": "/v1/messages/{message_id}"}),
        ("PURGE", "/v1/messages/7", b""),
        {"message_id": "7"},
    ),
]


@pytest.mark.parametrize(("name", "rule", "request_", "expected"), DOCUMENTED)
def test_documented(
    protos: DescriptorPool,
    name: str,
    rule: HttpRule,
    request_: tuple[str, str, bytes],
    expected: dict[str, Any],
) -> None:
    """The example's request becomes the example's message."""
    rpc: MethodDescriptor = protos.FindServiceByName("messaging.v1.Messaging").methods_by_name[name]
    router = Router(
        [Route(each.method, each.template, rpc.full_name, each) for each in bindings(rpc, rule)]
    )
    method, target, body = request_
    path, _, query = target.partition("?")

    match = router.match(method, path)

    assert isinstance(match, Match)
    decode = RequestDecoder(match.route.endpoint, GetMessageClass(rpc.input_type), GOOGLE)
    message = decode(match.values, query.encode(), body, "application/json")
    assert json_format.MessageToDict(message, preserving_proto_field_name=True) == expected
