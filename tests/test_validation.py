"""Requests with rules, on both ports of real servers, and in process."""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import grpc
import pytest
from google.protobuf.json_format import ParseDict
from google.protobuf.message_factory import GetMessageClass
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from starlette.testclient import TestClient

from cost import BOUND, cost
from services.user.v1.user_service_pb2 import User as Unruled
from transcoder import ConfigError, Gateway
from transcoder.errors import StatusError
from transcoder.status import Code
from transcoder.validation import MANY, Validation
from validated import POOL, SERVICE, message, pool_of

if TYPE_CHECKING:
    from tests.conftest import Served, Start

USER = {"name": "Ada", "email": "ada@example.com", "phone": "+41446681800"}
BAD = {**USER, "email": "ada", "quotaBytes": "-1"}
"""Has one field of one spelling, and one of two."""
RULES = 'syntax = "proto3"; package odd; import "buf/validate/validate.proto"; message Ask { %s }'


class Told(NamedTuple):
    """What a client is told of a refusal."""

    code: str
    fields: list[str]


@pytest.fixture(params=["local", "remote"])
def served(request: pytest.FixtureRequest, start: Start, monkeypatch: pytest.MonkeyPatch) -> Served:
    """A server of the servicer, or one that passes its calls on to one that checks nothing."""
    if request.param == "local":
        return start("validated:create")
    backend = start("validated:unvalidated")
    monkeypatch.setenv("VALIDATED_BACKEND", backend.grpc_target)
    return start("validated:remote")


def post(served: Served, path: str, *bodies: Any, method: str = "POST") -> tuple[int, Any]:
    """Return status and JSON of the answer to a request of some messages."""
    connection = http.client.HTTPConnection(served.http_target, timeout=20)
    try:
        data = "".join(map(json.dumps, bodies))
        connection.request(method, path, data, {"content-type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def refused(served: Served, path: str, *bodies: Any, method: str = "POST") -> Told:
    """Return what a refusal over HTTP tells."""
    status, told = post(served, path, *bodies, method=method)
    assert status == 400
    (detail,) = told["details"]
    return Told(Code(told["code"]).name, [each["field"] for each in detail["fieldViolations"]])


def called(served: Served, name: str, *requests: Any) -> Any:
    """Return the reply, or the list of replies, to a call of the gRPC port."""
    rpc = SERVICE.methods_by_name[name]
    kind = GetMessageClass(rpc.input_type)
    made = [ParseDict(each, kind(), descriptor_pool=POOL) for each in requests]
    takes, returns = rpc.client_streaming, rpc.server_streaming
    with served.channel() as channel:
        stub = getattr(
            channel,
            f"{'stream' if takes else 'unary'}_{'stream' if returns else 'unary'}",
        )(
            f"/{SERVICE.full_name}/{name}",
            request_serializer=kind.SerializeToString,
            response_deserializer=GetMessageClass(rpc.output_type).FromString,
        )
        reply = stub(iter(made) if takes else made[0], timeout=20)
        return list(reply) if returns else reply


def refused_call(served: Served, name: str, *requests: Any) -> Told:
    """Return what a refusal on the gRPC port tells."""
    with pytest.raises(grpc.RpcError) as raised:
        called(served, name, *requests)
    status = rpc_status.from_call(raised.value)  # type: ignore[arg-type]  # a Call too
    assert status is not None
    told = error_details_pb2.BadRequest()
    assert status.details[0].Unpack(told)
    return Told(Code(status.code).name, [each.field for each in told.field_violations])


def test_both_doors(served: Served) -> None:
    """Both ports refuse the same, whoever answers, each in its names; the servicer sees nothing."""
    over_http = refused(served, "/v1/users?userId=123456789", BAD)
    over_grpc = refused_call(served, "Create", {"userId": "123456789", "user": BAD})

    assert over_http == Told("INVALID_ARGUMENT", ["userId", "email", "quotaBytes"])
    assert over_grpc == Told("INVALID_ARGUMENT", ["user_id", "user.email", "user.quota_bytes"])
    assert served.noted() == []


def test_valid(served: Served) -> None:
    """What breaks no rule is answered on both ports, whoever answers."""
    user = {"user": USER}

    assert post(served, "/v1/users", USER) == (200, {"text": "seen"})
    assert called(served, "Create", user).text == "seen"
    assert called(served, "Import", user, user).number == 2
    assert post(served, "/v1/users:import", user, user) == (200, {"number": "2"})


def test_streams(served: Served) -> None:
    """A message that breaks a rule ends its stream, and the place says which message it is."""
    good, bad = {"user": USER}, {"user": {**USER, "email": "ada"}}
    told = Told("INVALID_ARGUMENT", ["[2].user.email"])

    assert refused(served, "/v1/users:import", good, good, bad, good) == told
    assert refused_call(served, "Import", good, good, bad, good) == told
    assert refused_call(served, "Talk", good, good, bad) == told
    assert refused(served, "/v1/users/123456789:watch", method="GET").fields == ["user_id"]
    assert refused_call(served, "Watch", {"userId": "123456789"}).fields == ["user_id"]


def test_late_message(start: Start) -> None:
    """A stream of replies that has begun tells of the message in its framing."""
    served = start("validated:create")
    connection = http.client.HTTPConnection(served.http_target, timeout=20)
    body = json.dumps({"user": USER}) + json.dumps({"user": BAD})
    headers = {"content-type": "application/json", "accept": "application/x-ndjson"}
    connection.request("POST", "/v1/users:talk", body, headers)
    lines = [json.loads(line) for line in connection.getresponse().read().splitlines()]
    connection.close()

    assert lines[0] == {"text": "seen"}
    assert lines[1]["error"]["message"] == "[1].user.email: must be a valid email address; 1 more"


def test_sockets(client: TestClient) -> None:
    """Messages over a WebSocket are checked as those of other streams."""
    with client.websocket_connect("/v1/users:talk") as socket:
        socket.send_text(json.dumps({"user": USER}))
        first = socket.receive_json()
        socket.send_text(json.dumps({"user": {**USER, "email": "ada"}}))
        last = socket.receive_json()

    assert first == {"text": "seen"}
    assert last["error"]["message"] == "[1].user.email: must be a valid email address"


def test_masks(start: Start) -> None:
    """A partial update is refused for what its mask names, on both ports alike."""
    served = start("validated:create")
    path, update = "/v1/users/ada", {"id": "ada", "name": ""}
    ask = {"user": update, "updateMask": "email"}

    assert refused(served, f"{path}?updateMask=email", {"name": ""}, method="PATCH").fields == [
        "email"
    ]
    assert refused_call(served, "Update", ask).fields == ["user.email"]
    # Without a mask a PATCH is about what its body says.
    assert refused(served, path, {"email": "x"}, method="PATCH").fields == ["email"]
    assert post(served, path, {"tags": ["a"]}, method="PATCH")[0] == 200
    assert called(served, "Update", {**ask, "updateMask": "tags"}).text == "seen"


def test_who_is_meant(start: Start) -> None:
    """What the path says is checked whatever the mask is, on both ports."""
    served = start("validated:create")
    ask = {"user": {"id": "ADA"}, "updateMask": "tags"}

    assert refused(served, "/v1/users/ADA", {"tags": ["a"]}, method="PATCH").fields == ["user.id"]
    assert refused_call(served, "Update", ask).fields == ["user.id"]


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> TestClient:
    """A client of a gateway in this process."""
    import validated  # noqa: PLC0415

    monkeypatch.setenv("LEDGER", str(tmp_path / "ledger"))
    return TestClient(validated.create(), raise_server_exceptions=False)


def fields(client: TestClient, *request: Any, **options: Any) -> list[str]:
    """Return the places that the answer to a request names."""
    answer = client.request(*request, **options).json()
    return [each["field"] for each in answer["details"][0]["fieldViolations"]]


def test_places(client: TestClient) -> None:
    """Places go into messages, lists, maps and their keys, and oneofs."""
    user = {
        "name": "Ada",
        "email": "ada@example.com",
        "address": {"region_code": "x"},
        "tags": ["a", "123456789"],
        "labels": {"a": "", "bb": "1234567890"},
        "homes": {"true": {"street": "x"}, "false": {"postalCode": "x" * 21}},
    }

    assert sorted(fields(client, "POST", "/v1/users", json=user)) == [
        "address.region_code",
        "contact",
        "homes.false.postalCode",
        "homes.true",
        "labels.a",
        "labels.bb",
        "tags[1]",
    ]


def test_keys(client: TestClient) -> None:
    """A violation of a map's key says that it is the key."""
    answer = client.post("/v1/users", json={**USER, "labels": {"a": ""}}).json()

    assert answer["message"] == "labels.a: key must be at least 2 characters"


def test_names(client: TestClient) -> None:
    """Names of the query, of path variables and of a body that is everything are the client's."""
    query = "/v1/users/123456789?page_size=101&afterNumber=-1&near.regionCode=x"
    found = fields(client, "GET", query)
    everything = fields(client, "POST", "/v1/users:all", json={"user_id": "123456789"})

    assert sorted(found) == ["afterNumber", "near.regionCode", "page_size", "user_id"]
    assert everything == ["user_id", "user"]


def test_serialized(client: TestClient) -> None:
    """A client that sends serialized messages is told JSON names, for it has sent none."""
    body = message("User")(**{**USER, "quota_bytes": -1}).SerializeToString()
    headers = {"content-type": "application/x-protobuf"}

    assert fields(client, "POST", "/v1/users", content=body, headers=headers) == ["quotaBytes"]


def test_resumption(client: TestClient) -> None:
    """What Last-Event-ID sets is checked too."""
    headers = {"accept": "text/event-stream", "last-event-id": "-1"}

    assert fields(client, "GET", "/v1/users/ada:watch", headers=headers) == ["afterNumber"]


def test_failing_rule(client: TestClient) -> None:
    """A rule that fails is a defect: the client learns nothing of it."""
    answer = client.get("/v1/failing")

    assert (answer.status_code, answer.json()["message"]) == (500, "internal error")
    assert client.get("/v1/failing?number=1").status_code == 200


def test_no_rules(client: TestClient) -> None:
    """A type without rules is passed by, also one that holds itself."""
    assert client.get("/v1/free").json() == {"text": "seen"}


def test_off() -> None:
    """A gateway checks nothing unless it is told to."""
    import validated  # noqa: PLC0415

    gateway = validated.unvalidated()
    gateway.compile()

    assert gateway._validation is None


def test_many_items() -> None:
    """Of a message with many items the first violation is told, so that none takes long."""
    kind = message("User")
    validation = Validation()
    few = kind(**{**USER, "tags": [f"{index:09}" for index in range(MANY)]})
    many = kind(**{**USER, "tags": [f"{index:09}" for index in range(MANY + 1)]})

    assert violated(validation, few).status.message.endswith(f"; {MANY - 1} more")
    assert violated(validation, many).status.message == "tags[0]: must be at most 8 characters"


def test_items_everywhere() -> None:
    """Items count wherever they are: in maps of messages, and in messages of lists."""
    user = message("User")(**USER)
    for number in range(MANY + 1):
        user.rooms[number] = ""
    user.homes[True].region_code = "x"
    user.tags.append("123456789")

    assert "more" not in violated(Validation(), user).status.message
    user.rooms.clear()
    assert violated(Validation(), user).status.message.endswith("; 1 more")


def test_large_partial_update() -> None:
    """A partial update of too many items to tell all is refused when others than its are wrong."""
    kind, validation = message("UpdateRequest"), Validation()
    request = kind(user={"tags": ["a"] * 1}, update_mask={"paths": ["tags"]})
    validation(request)
    request.user.tags.extend(f"{index}" for index in range(MANY))

    assert violated(validation, request).status.message == (
        f"the request has more than {MANY} items, too many to be checked in part"
    )


def test_bounded() -> None:
    """Half a megabyte of violations costs little more than finding the first."""
    user = message("User")(**{**USER, "tags": ["123456789"] * 50_000})
    validation = Validation()
    violated(validation, user)

    assert cost(lambda: violated(validation, user)) < BOUND


def violated(validation: Validation, request: Any) -> StatusError:
    """Return what is raised for a message."""
    with pytest.raises(StatusError) as raised:
        validation(request)
    return raised.value


def test_unknown_types() -> None:
    """A type that was not learnt is compiled at its first message; what is no message passes."""
    validation = Validation()
    validation(Unruled())
    validation(b"bytes of a handler without a deserializer")

    assert violated(validation, message("CreateRequest")()).status.message == (
        "user: value is required"
    )


def test_pools() -> None:
    """Types of one name in two pools have each their own rules."""
    strict = pool_of(RULES % "string a = 1 [(buf.validate.field).string.min_len = 1];")
    lax = pool_of(RULES % "string a = 1 [(buf.validate.field).string.min_len = 0];")
    validation = Validation()
    for pool in (lax, strict, lax):
        request = GetMessageClass(pool.FindMessageTypeByName("odd.Ask"))()
        if pool is strict:
            violated(validation, request)
        else:
            validation(request)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        (
            'int32 a = 1 [(buf.validate.field).cel = {id: "x", expression: "this <"}];',
            "odd.Ask.a: its validation rules are wrong: failed to compile expression x: ERROR",
        ),
        (
            "repeated In a = 1; message In { int32 b = 1 [(buf.validate.field).string = {}]; }",
            "odd.Ask.In: its validation rules are wrong: ",
        ),
        (
            'option (buf.validate.message).cel = {id: "y", expression: "this.c"};',
            "odd.Ask: its validation rules are wrong: error evaluating y: no_such_field : c",
        ),
        (
            'int32 a = 1 [(buf.validate.field).cel = {id: "z", expression: "this.b > 0"}];',
            "odd.Ask.a: its validation rules are wrong: error evaluating z: Applying SELECT",
        ),
        (
            'int32 a = 1 [(buf.validate.field).cel = {id: "z", expression: "this + 1"}];',
            "odd.Ask.a: its validation rules are wrong: expression z outputs an unexpected type",
        ),
    ],
)
def test_wrong_rules(fields: str, told: str) -> None:
    """Rules that do not compile end the start, and what is told names the field or the message."""
    pool = pool_of(
        RULES % fields + "service S { rpc Do(Ask) returns (Ask); }",
    )
    gateway = Gateway(pool=pool, validate=True)
    ask = GetMessageClass(pool.FindMessageTypeByName("odd.Ask"))
    handler: Any = grpc.unary_unary_rpc_method_handler(print, ask.FromString, None)
    gateway.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("odd.S", {"Do": handler})]
    )
    with pytest.raises(ConfigError) as raised:
        gateway.compile()

    assert str(raised.value).startswith(told)
    assert "\n" not in str(raised.value)


def test_generated_rules() -> None:
    """Rules count also where the generated code of protovalidate's own proto is loaded."""
    code = """
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2
from transcoder.validation import Validation
import google.api.annotations_pb2
import validated

pool = descriptor_pool.Default()
for name in ("buf/validate/validate.proto", "api.proto"):
    file = descriptor_pb2.FileDescriptorProto()
    validated.POOL.FindFileByName(name).CopyToProto(file)
    pool.AddSerializedFile(file.SerializeToString())
found = pool.FindMessageTypeByName("validated.v1.CreateRequest")
(option,) = (field for field, _ in found.fields_by_name["user"].GetOptions().ListFields())
print(option.full_name)
try:
    Validation()(message_factory.GetMessageClass(found)())
except Exception as error:
    print(error)
"""
    folder = Path(__file__).parent / "apps"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stdout == "buf.validate.field\nuser: value is required\n"


def test_missing_extra() -> None:
    """Without the package, the gateway says which extra it needs."""
    code = (
        "import sys; sys.modules['protovalidate'] = None\n"
        "from transcoder import Gateway; Gateway(); Gateway(validate=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stderr.endswith(
        "ImportError: protovalidate is missing: install transcoder[validate]\n"
    )
