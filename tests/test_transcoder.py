from __future__ import annotations

import json
from typing import Any

import pytest
from google.api.http_pb2 import HttpRule
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import DescriptorPool

from services.user.v1 import user_service_pb2
from transcoder import GOOGLE, GRPC_GATEWAY, ConfigError, Gateway, Profile, Transcoder
from transcoder.errors import InvalidRequest, NotAcceptable
from transcoder.protojson import decode, encode

OPERATIONS = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
GET = "google.longrunning.Operations.GetOperation"


def test_a_rule_replaces_the_option() -> None:
    """What `rules` says of a method counts, and its `google.api.http` option does not."""
    transcoder = Transcoder([OPERATIONS], rules={GET: HttpRule(get="/ops/{name}")})

    assert [each.template.text for each in transcoder.routes if each.name == GET] == ["/ops/{name}"]
    assert transcoder.request(
        transcoder.match("GET", "/ops/7")
    ) == operations_pb2.GetOperationRequest(name="7")


def test_a_rule_for_no_method() -> None:
    """A rule whose method does not exist is an error, with the nearest name."""
    transcoder = Transcoder([OPERATIONS], rules={f"{GET}s": HttpRule(get="/ops/{name}")})
    with pytest.raises(ConfigError) as refused:
        transcoder.compile()

    assert str(refused.value) == (
        f"rules: no service here has a method {GET}s; did you mean {GET}?"
    )


def get_routes(*names: str) -> dict[str, HttpRule]:
    """Rules that give methods of Operations the same route, each with a variable of its own."""
    return {
        f"google.longrunning.Operations.{name}": HttpRule(get="/v1/{name=operations/*}")
        for name in names
    }


@pytest.mark.parametrize(
    ("profile", "answers", "never"),
    [
        (GOOGLE, "GetOperation", ["DeleteOperation", "CancelOperation"]),
        (GRPC_GATEWAY, "CancelOperation", []),  # The last wins there, and that is no conflict.
    ],
)
def test_conflicts_as_warnings(
    profile: Profile, answers: str, never: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    """With "warn" routes in conflict load, one answers, and the log tells once which do not."""
    names = ["GetOperation", "DeleteOperation", "CancelOperation"]
    rules = get_routes(*names)
    transcoder = Transcoder([OPERATIONS], profile=profile, rules=rules, conflicts="warn")
    names_found = {transcoder.match("GET", "/v1/operations/7").route.name for _ in range(2)}

    assert names_found == {f"google.longrunning.Operations.{answers}"}
    route = "(GET /v1/{name=operations/*})"
    assert caplog.messages == [
        f"google.longrunning.Operations.{name} {route} never answers: "
        f"google.longrunning.Operations.{answers} {route} does"
        for name in never
    ]


def test_rules_of_a_gateway() -> None:
    """A gateway takes rules as the transcoder does."""
    gateway = Gateway(rules={GET: HttpRule(get="/ops/{name}")})
    servicer = operations_pb2_grpc.OperationsServicer()
    operations_pb2_grpc.add_OperationsServicer_to_server(servicer, gateway)  # type: ignore[no-untyped-call]

    assert gateway.transcoder.match("GET", "/ops/7").route.name == GET


def test_precompile(monkeypatch: pytest.MonkeyPatch) -> None:
    """After it, neither a request nor an answer compiles anything."""
    users = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
    transcoder = Transcoder([users])
    transcoder.precompile()
    compiled: list[Descriptor] = []
    for module, name in ((encode, "compile_encoder"), (decode, "compile_decoder")):
        monkeypatch.setattr(module, name, lambda found, _: compiled.append(found))
    match = transcoder.match("POST", "/v1/users")
    user = user_service_pb2.User(tags=["a"], labels={"a": "b"})
    user.create_time.GetCurrentTime()
    answer = transcoder.response(match, user)
    request: Any = transcoder.request(
        match, b"", b'{"address": {"city": "Zug"}}', "application/json"
    )

    assert compiled == []
    assert json.loads(answer.body)["labels"] == {"a": "b"}
    assert request.user.address.city == "Zug"


def answered(
    protos: DescriptorPool, path: str, query: bytes, accept: str, profile: Profile = GOOGLE
) -> str:
    """The media type of an answer, of one message or of a stream."""
    transcoder = Transcoder([protos.FindServiceByName("streams.v1.Streams")], profile=profile)
    endpoint: Any = transcoder.match("GET", path).route.endpoint
    headers = [(b"accept", accept.encode())] if accept else []
    presentation = endpoint.presentation(query)
    if not endpoint.streams:
        return str(endpoint.media_type(headers, presentation))
    return str(endpoint.framing(headers, presentation).content_type)


@pytest.mark.parametrize(
    ("path", "query", "accept", "expected"),
    [
        ("/v1/a/single", b"", "", "application/json"),
        ("/v1/a/single", b"", "application/x-protobuf", "application/x-protobuf"),
        ("/v1/a/single", b"$alt=proto", "", "application/x-protobuf"),
        ("/v1/a/single", b"$alt=json", "application/protobuf", "application/json"),
        ("/v1/a/single", b"$alt=proto", "text/html", "application/x-protobuf"),
        ("/v1/a/told", b"", "*/*", "application/json"),
        ("/v1/a/told", b"", "text/event-stream", "text/event-stream"),
        ("/v1/a/told", b"$alt=sse", "*/*", "text/event-stream"),
        ("/v1/a/told", b"alt=proto", "*/*", "application/x-protobuf; delimited=true"),
        ("/v1/a/texts", b"", "application/jsonl", "application/jsonl"),
        ("/v1/a/file", b"", "image/png", ""),  # the first piece says it
    ],
)
def test_media_type(
    protos: DescriptorPool, path: str, query: bytes, accept: str, expected: str
) -> None:
    """Accept chooses the form of an answer, and `$alt` before it."""
    assert expected == answered(protos, path, query, accept)


@pytest.mark.parametrize(
    ("path", "query", "accept"),
    [
        ("/v1/a/single", b"", "text/html"),
        ("/v1/a/single", b"$alt=sse", "*/*"),
        ("/v1/a/told", b"", "text/html"),
        ("/v1/a/texts", b"", "application/x-protobuf"),
    ],
)
def test_not_acceptable(protos: DescriptorPool, path: str, query: bytes, accept: str) -> None:
    """Who accepts nothing that is there is told what there is, or gets the usual answer."""
    with pytest.raises(NotAcceptable, match="this method answers application/json"):
        answered(protos, path, query, accept)
    if not query:
        assert answered(protos, path, query, accept, GRPC_GATEWAY) == "application/json"


@pytest.mark.parametrize("path", ["/v1/a/single", "/v1/a/told"])
def test_selection_of_what_is_serialized(protos: DescriptorPool, path: str) -> None:
    """Fields cannot be selected of an answer that is not printed."""
    with pytest.raises(InvalidRequest, match="fields: fields are selected of JSON only"):
        answered(protos, path, b"$fields=number", "application/x-protobuf")
