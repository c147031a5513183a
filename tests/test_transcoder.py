from __future__ import annotations

import pytest
from google.api.http_pb2 import HttpRule
from google.longrunning import operations_pb2, operations_pb2_grpc

from services.user.v1 import user_service_pb2
from transcoder import ConfigError, Gateway, Transcoder
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


def test_rules_of_a_gateway() -> None:
    """A gateway takes rules as the transcoder does."""
    gateway = Gateway(rules={GET: HttpRule(get="/ops/{name}")})
    servicer = operations_pb2_grpc.OperationsServicer()
    operations_pb2_grpc.add_OperationsServicer_to_server(servicer, gateway)  # type: ignore[no-untyped-call]

    assert gateway.transcoder.match("GET", "/ops/7").route.name == GET


def test_precompile() -> None:
    """After it, neither a request nor an answer compiles anything."""
    users = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
    transcoder = Transcoder([users])
    transcoder.precompile()
    compiled = len(encode._encoders), len(decode._decoders)
    match = transcoder.match("POST", "/v1/users")
    user = user_service_pb2.User(tags=["a"], labels={"a": "b"})
    user.create_time.GetCurrentTime()
    transcoder.response(match, user)
    transcoder.request(match, b"", b'{"address": {"city": "Zug"}}', "application/json")

    assert compiled == (len(encode._encoders), len(decode._decoders))
