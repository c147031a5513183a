from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from described import GET, POST, described, method, operation, transcoder_of
from transcoder import ENVOY, GOOGLE, GRPC_GATEWAY, EventStream, Timeout, Timeouts
from transcoder.multipart import FormLimits
from transcoder.openapi import Serving, document

ASK = """
message Part { string text = 1; int64 size = 2; }
message Ask { string id = 1; Part part = 2; repeated string tags = 3;
  map<string, string> labels = 4; repeated Part parts = 5; }
message Patch { Part part = 1; google.protobuf.FieldMask update_mask = 2; bool dry = 3; }
"""
PLAIN = replace(GOOGLE, system_parameters=False)


def names(made: dict[str, Any], where: str = "query") -> list[str]:
    """Return the names of an operation's parameters."""
    return [each["name"] for each in made.get("parameters", ()) if each.get("in") == where]


def test_every_binding_is_an_operation() -> None:
    """Additional bindings have operations of their own, numbered behind the first."""
    rule = """{get: "/v1/asks" additional_bindings {get: "/v1/more"}
      additional_bindings {post: "/v1/asks" body: "*"}}"""
    paths = described(ASK + method(rule))["paths"]

    assert paths["/v1/asks"]["get"]["operationId"] == "Asks_Do"
    assert paths["/v1/more"]["get"]["operationId"] == "Asks_Do_1"
    assert paths["/v1/asks"]["post"]["operationId"] == "Asks_Do_2"


def test_services_of_one_name_are_told_apart() -> None:
    """Where two packages have a service of the same name, ids and tags have the package."""
    text = ASK + method(GET)
    other = transcoder_of(text.replace("/v1/asks", "/v2/asks"), package="api.v2")
    transcoder = transcoder_of(text)
    for route in other.routes:
        transcoder.add_route(route)
    made = document(transcoder)

    assert [tag["name"] for tag in made["tags"]] == ["api.v1.Asks", "api.v2.Asks"]
    assert made["paths"]["/v1/asks"]["get"]["operationId"] == "api_v1_Asks_Do"


@pytest.mark.parametrize(
    ("template", "path", "parameters"),
    [
        ("/v1/{id}", "/v1/{id}", ["id"]),
        ("/v1/{part.text}:go", "/v1/{part.text}:go", ["part.text"]),
        ("/v1/{id=shelves/*/books/*}", "/v1/shelves/{id}/books/{id_1}", ["id", "id_1"]),
        ("/v1/{id=shelves/**}", "/v1/shelves/{id}", ["id"]),
        # Only literals: nothing is left to say.
        ("/v1/{id=shelves}", "/v1/shelves", []),
        ("/v1/*/{id}", "/v1/{segment}/{id}", ["segment", "id"]),
    ],
)
def test_templates_are_expanded(template: str, path: str, parameters: list[str]) -> None:
    """Each wildcard is a parameter of its own, in the path as OpenAPI has it."""
    made = described(ASK + method(f'{{get: "{template}"}}'))
    found = next(iter(made["paths"].items()))

    assert found[0] == path
    assert names(found[1]["get"], "path") == parameters


def test_a_resource_names_its_parts() -> None:
    """Parts of a resource name are called as its form calls them."""
    text = """message Book { option (google.api.resource) = {
        type: "x.example.com/Book" pattern: "shelves/{shelf}/books/{book}" };
      string name = 1; }
    message Ask { string name = 1 [(google.api.resource_reference).type = "x.example.com/Book"]; }
    """
    made = described(text + method('{get: "/v1/{name=shelves/*/books/*}"}'))

    assert list(made["paths"]) == ["/v1/shelves/{shelf}/books/{book}"]


def test_paths_of_one_shape_are_one_path() -> None:
    """Templates that differ in names alone share a path, named by the first."""
    rule = '{get: "/v1/{id}" additional_bindings {delete: "/v1/{part.text}"}}'
    paths = described(ASK + method(rule))["paths"]

    assert list(paths) == ["/v1/{id}"]
    assert names(paths["/v1/{id}"]["delete"], "path") == ["id"]
    assert "part.text" not in names(paths["/v1/{id}"]["delete"])


def test_what_openapi_cannot_place_is_in_an_extension() -> None:
    """Other HTTP methods, and a second operation of one shape, stand beside the others."""
    rule = """{get: "/v1/{id}" additional_bindings {get: "/v1/{id=**}"}
      additional_bindings {custom: {kind: "LOCK" path: "/v1/{id}"}}
      additional_bindings {custom: {kind: "*" path: "/v1/{id}"}}}"""
    others = described(ASK + method(rule))["paths"]["/v1/{id}"]["x-additional-operations"]

    assert list(others) == ["GET /v1/{id=**}", "LOCK", "*"]
    assert "slashes" in others["GET /v1/{id=**}"]["parameters"][0]["description"]


def test_a_query_says_what_no_text_above_says() -> None:
    """Fields are flattened; lists repeat, maps have keys, lists of messages are not there."""
    made = operation(ASK + method('{get: "/v1/{id}"}'), profile=PLAIN)
    shapes = {each["name"]: each for each in made["parameters"]}

    assert names(made) == ["part.text", "part.size", "tags", "labels"]
    assert shapes["tags"]["explode"]
    assert shapes["labels"]["style"] == "deepObject"
    assert shapes["part.size"]["schema"]["type"] == "string"


def test_json_texts_and_nulls_in_a_query() -> None:
    """A Struct is JSON text; what no text says, Any and Empty, is left out; wrappers are bare."""
    made = operation(
        "message Ask { google.protobuf.Struct a = 1; google.protobuf.Any b = 2;"
        "google.protobuf.Empty c = 3; repeated google.protobuf.Value d = 4;"
        "google.protobuf.NullValue e = 5; google.protobuf.Int32Value f = 6;"
        "map<string, google.protobuf.NullValue> g = 7; map<string, google.protobuf.Value> h = 8; }"
        + method(GET),
        profile=PLAIN,
    )
    shapes = {each["name"]: each for each in made["parameters"]}

    assert list(shapes) == ["a", "e", "f", "g"]
    assert shapes["a"]["content"] == {
        "application/json": {"schema": {"type": "object", "additionalProperties": True}}
    }
    assert shapes["e"]["schema"]["enum"] == ["NULL_VALUE"]
    assert shapes["f"]["schema"]["type"] == "integer"


def test_members_of_a_oneof_of_the_path_are_not_asked() -> None:
    """Where the path says one member of a oneof, the others cannot be said."""
    text = "message Ask { oneof one { string id = 1; string email = 2; } string etag = 3; }"
    rule = '{get: "/v1/{id}" additional_bindings {get: "/v1/asks"}}'
    paths = described(text + method(rule), profile=PLAIN)["paths"]
    either = paths["/v1/asks"]["get"]["parameters"]

    assert names(paths["/v1/{id}"]["get"]) == ["etag"]
    assert either[0]["description"] == "At most one of `id`, `email`."


def test_required_and_written_fields_of_a_query() -> None:
    """REQUIRED fields are required, OUTPUT_ONLY ones are not asked for."""
    text = """message Ask { string a = 1 [(google.api.field_behavior) = REQUIRED];
      string b = 2 [(google.api.field_behavior) = OUTPUT_ONLY]; Ask child = 3; }"""
    made = operation(text + method(GET), profile=PLAIN)

    assert made["parameters"] == [
        {
            "name": "a",
            "in": "query",
            "required": True,
            "schema": {"type": "string", "minLength": 1},
        }
    ]


def test_a_body_of_all_has_no_fields_of_the_path() -> None:
    """`body: "*"` is an object of the fields that the path leaves, at any depth."""
    rule = '{post: "/v1/{id}/{part.text}" body: "*"}'
    made = operation(ASK + method(rule), profile=PLAIN)
    schema = made["requestBody"]["content"]["application/json"]["schema"]

    assert list(schema["properties"]) == ["part", "tags", "labels", "parts"]
    assert list(schema["properties"]["part"]["properties"]) == ["size"]
    assert schema["examples"][0]["tags"] == ["string"]
    assert names(made) == []


NEEDED = """message Thing { string id = 1 [(google.api.field_behavior) = REQUIRED]; }
message Ask { string id = 1 [(google.api.field_behavior) = REQUIRED]; string etag = 2;
  Thing thing = 3 [(google.api.field_behavior) = REQUIRED]; }
"""


@pytest.mark.parametrize(
    ("rule", "required", "fields"),
    [
        ('{post: "/v1/asks" body: "*"}', True, ["id", "thing"]),
        ('{post: "/v1/asks/{id}" body: "*"}', True, ["thing"]),
        # Nothing is missing where the path sets all that is required, or begins it.
        ('{post: "/v1/{id}/{thing.id}" body: "*"}', None, None),
        ('{post: "/v1/asks" body: "thing"}', True, ["id"]),
        ('{post: "/v1/{thing.id}" body: "thing"}', None, None),
    ],
)
def test_a_body_is_required_for_what_the_path_leaves(
    rule: str, required: Any, fields: list[str] | None
) -> None:
    """A body is required, and what must be in it, if the path does not set it."""
    made = described(NEEDED + method(rule))
    (item,) = made["paths"].values()
    body = item["post"]["requestBody"]
    schema = body["content"]["application/json"]["schema"]
    if "$ref" in schema:
        schema = made["components"]["schemas"][schema["$ref"].rpartition("/")[2]]

    assert body.get("required") == required
    assert schema.get("required") == fields


def test_envoy_takes_a_query_beside_the_body() -> None:
    """Where the profile binds the query beside a whole body, it is described."""
    made = operation(ASK + method('{post: "/v1/{id}" body: "*"}'), profile=ENVOY)

    assert names(made) == ["part.text", "part.size", "tags", "labels"]


def test_a_body_field_is_not_in_the_query() -> None:
    """`body: "field"` takes the field's schema; other fields are the query's."""
    made = operation(ASK + method('{post: "/v1/asks" body: "parts"}'), profile=PLAIN)
    content = made["requestBody"]["content"]

    assert list(content) == ["application/json"]
    assert content["application/json"]["schema"]["type"] == "array"
    assert names(made) == ["id", "part.text", "part.size", "tags", "labels"]


def test_a_mask_that_the_body_fills_is_not_asked() -> None:
    """A PATCH whose mask the gateway fills does not show it; any other method does."""
    patch = operation(ASK + method('{patch: "/v1/a" body: "part"}', "Patch"), profile=PLAIN)
    post = operation(ASK + method('{post: "/v1/a" body: "part"}', "Patch"), profile=PLAIN)

    assert names(patch) == ["dry"]
    assert names(post) == ["updateMask", "dry"]


@pytest.mark.parametrize(
    ("rule", "reply", "forms"),
    [
        (GET, "Ask", ["json", "proto"]),
        (GET, "stream Ask", ["json", "proto", "sse"]),
        # What is no message has no serialized form of its own.
        ('{get: "/v1/asks" response_body: "tags"}', "Ask", ["json"]),
        ('{get: "/v1/asks" response_body: "part"}', "Ask", ["json", "proto"]),
        # Raw bytes are as they are.
        (GET, "google.api.HttpBody", None),
        (GET, "stream google.api.HttpBody", None),
    ],
)
def test_alt_has_the_forms_that_are_answered(
    rule: str, reply: str, forms: list[str] | None
) -> None:
    """`$alt` names the forms of this answer, and no others."""
    made = described(ASK + method(rule, reply=reply))
    shared = made["components"].get("parameters", {})
    found = {each["name"]: each["schema"] for each in shared.values()}

    assert found.get("$alt", {}).get("enum") == forms
    assert ("$fields" in found) == ("$prettyPrint" in found) == (forms is not None)


def test_system_parameters_are_those_of_the_profile() -> None:
    """Google's system parameters are referred to where they are understood."""
    made = described(ASK + method(GET))
    refs = [
        each["$ref"] for each in made["paths"]["/v1/asks"]["get"]["parameters"] if "$ref" in each
    ]

    assert refs == [f"#/components/parameters/{name}" for name in ("alt", "fields", "prettyPrint")]
    assert "parameters" not in described(ASK + method(GET), profile=PLAIN)["components"]


def test_raw_bodies_are_binary() -> None:
    """An HttpBody is bytes of any type, both ways."""
    made = operation(
        "message Ask { string id = 1; google.api.HttpBody data = 2; }"
        + method('{put: "/v1/{id}" body: "data"}', reply="google.api.HttpBody"),
        serving=Serving(body_limit=7),
    )
    raw = {"*/*": {"schema": {"type": "string", "format": "binary"}}}

    assert made["requestBody"]["content"] == raw
    assert made["responses"]["200"]["content"] == raw
    assert sorted(made["responses"]) == ["200", "400", "413", "default"]


def test_answers_are_json_or_serialized() -> None:
    """An answer names the media types that Accept may choose."""
    answered = operation(ASK + method(GET))["responses"]["200"]["content"]
    part = method('{get: "/v1/a" response_body: "tags"}')
    listed = operation(ASK + part)["responses"]["200"]["content"]

    assert list(answered) == [
        "application/json",
        "application/x-protobuf",
        "application/protobuf",
    ]
    assert listed == {
        "application/json": {"schema": {"type": "array", "items": {"type": "string"}}}
    }


def test_streams_of_replies_are_described_by_media_type() -> None:
    """Array, lines, events and delimited messages each say what they hold."""
    made = described(ASK + method(GET, reply="stream Ask"), serving=Serving(websockets=True))
    found = made["paths"]["/v1/asks"]["get"]
    content = found["responses"]["200"]["content"]
    events = content["text/event-stream"]["schema"]["anyOf"]

    assert content["application/json"]["schema"]["type"] == "array"
    assert content["application/x-ndjson"]["x-item-schema"]["anyOf"][0] == {
        "$ref": "#/components/schemas/api.v1.Ask"
    }
    assert [each["properties"].get("event") for each in events] == [
        {"const": "message"},
        {"const": "error"},
        {"const": "end"},
    ]
    assert "application/x-protobuf; delimited=true" in content
    assert found["x-websocket"]


def test_result_lines_wrap_messages_and_errors() -> None:
    """Under grpc-gateway's profile a stream is of objects with result or error."""
    made = described(ASK + method(GET, reply="stream Ask"), profile=GRPC_GATEWAY)
    responses = made["paths"]["/v1/asks"]["get"]["responses"]
    line = responses["200"]["content"]["application/json"]["schema"]
    error = made["components"]["responses"]["ErrorLine"]["content"]["application/json"]

    assert list(line["properties"]) == ["result", "error"]
    assert responses["default"] == {"$ref": "#/components/responses/ErrorLine"}
    assert error["schema"]["required"] == ["error"]


def test_a_stream_that_goes_on_takes_the_last_id() -> None:
    """Where a method resumes, the header of the last event is a parameter."""
    transcoder = transcoder_of(
        ASK + method(GET, reply="stream Ask"),
        events={"api.v1.Asks.Do": EventStream(id="id", resume="id")},
    )
    made = document(transcoder)["paths"]["/v1/asks"]["get"]

    assert names(made, "header") == ["Last-Event-ID"]


def test_a_stream_of_requests_is_an_array() -> None:
    """The messages of a client are one JSON array, lines, or serialized behind their lengths."""
    content = operation(ASK + method(POST, "stream Ask"))["requestBody"]["content"]

    assert content["application/json"]["schema"]["type"] == "array"
    assert content["application/x-ndjson"]["x-item-schema"] == {
        "$ref": "#/components/schemas/api.v1.Ask-Request"
    }
    assert "application/jsonl" in content
    assert "application/protobuf; delimited=true" in content


def test_forms_are_taken_where_they_are() -> None:
    """With forms on, a body may be one."""
    transcoder = transcoder_of(ASK + method(POST), forms=FormLimits())
    content = document(transcoder)["paths"]["/v1/asks"]["post"]["requestBody"]["content"]

    assert {"application/x-www-form-urlencoded", "multipart/form-data"} <= content.keys()


@pytest.mark.parametrize(
    ("rule", "profile", "statuses"),
    [
        (GET, GOOGLE, ["200", "400", "406", "default"]),
        (POST, GOOGLE, ["200", "400", "406", "413", "415", "default"]),
        # Whoever accepts no answer gets one nevertheless.
        (POST, GRPC_GATEWAY, ["200", "400", "413", "415", "default"]),
    ],
)
def test_errors_are_those_that_occur(rule: str, profile: Any, statuses: list[str]) -> None:
    """The gateway's own refusals are told by status, all else by default."""
    assert sorted(operation(ASK + method(rule), profile=profile)["responses"]) == statuses


def test_errors_of_the_application_have_no_schema() -> None:
    """Where the application makes the bodies of errors, nothing is promised of them."""
    made = described(ASK + method(POST), serving=Serving(own_errors=True, body_limit=7))
    responses = made["components"]["responses"]

    assert "content" not in responses["Error"]
    assert responses["PayloadTooLarge"]["description"] == "The body is over a limit of 7 bytes."


def test_a_stream_has_the_limit_of_its_messages() -> None:
    """A body has one limit, a message of a stream another."""
    serving = Serving(body_limit=7, message_limit=5)
    made = described(ASK + method(POST, "stream Ask"), serving=serving)

    assert made["paths"]["/v1/asks"]["post"]["responses"]["413"] == {
        "$ref": "#/components/responses/MessageTooLarge"
    }
    text = made["components"]["responses"]["MessageTooLarge"]["description"]
    assert text == "One message is over a limit of 5 bytes."


TIMEOUTS = Timeouts(default=20, maximum=60, methods={"api.v1.Asks.Do": Timeout(1.5, 2)})


@pytest.mark.parametrize(
    ("timeouts", "reply", "told"),
    [
        (Timeouts(default=20, maximum=60), "Ask", "over 20 seconds, .* asked for, 60 at most"),
        (Timeouts(default=None), "Ask", "over the seconds that .* asked for, 300 at most"),
        # Nobody knows how long a stream lasts.
        (Timeouts(), "stream Ask", "over the seconds that X-Request-Timeout asked for\\."),
        (TIMEOUTS, "Ask", "over 1.5 seconds, .* 2 at most"),
        (TIMEOUTS, "stream Ask", "over 1.5 seconds, .* 2 at most"),
    ],
)
def test_the_time_of_a_call_is_told(timeouts: Timeouts, reply: str, told: str) -> None:
    """How long a call may take is said where it took longer."""
    made = described(ASK + method(GET, reply=reply), serving=Serving(timeouts=timeouts))
    found = made["paths"]["/v1/asks"]["get"]["responses"]["504"]
    if "$ref" in found:
        found = made["components"]["responses"][found["$ref"].rpartition("/")[2]]

    assert re.search(told, found["description"])
    assert "X-Request-Id" in found["headers"]


def test_routes_that_never_answer_are_left_out() -> None:
    """Where conflicts are warnings, only the route that answers is described."""
    text = ASK + (
        "service Asks { rpc One(Ask) returns (Ask) {"
        'option (google.api.http) = {get: "/v1/a"}; } rpc Two(Ask) returns (Ask) {'
        'option (google.api.http) = {get: "/v1/a"}; } }'
    )
    made = document(transcoder_of(text, conflicts="warn"))

    assert made["paths"]["/v1/a"]["get"]["operationId"] == "Asks_One"
    assert list(made["paths"]["/v1/a"]) == ["get"]
