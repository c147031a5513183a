from __future__ import annotations

from typing import Any

import pytest

from described import GET, described, method, request_schema
from transcoder.openapi import Serving
from transcoder.openapi.fitted import NOTHING

OPTION = "(grpc.gateway.protoc_gen_openapiv2.options.openapiv2_%s)"
ASK = "message Ask { string id = 1; }"


def operation(said: str, **options: Any) -> dict[str, Any]:
    """Return an operation of which an annotation says something."""
    reply = options.pop("reply", "Ask")
    said = f"option {OPTION % 'operation'} = {{{said}}};"
    text = ASK + method(GET, options=said, reply=reply)
    found: dict[str, Any] = described(text, **options)["paths"]["/v1/asks"]["get"]
    return found


def test_a_file_describes_the_api() -> None:
    """Info, servers, documents, extensions and security stand at the top."""
    said = """info: {title: "Asks" version: "7" description: "All." contact: {name: "Ann"}}
      host: "api.example.com" base_path: "/api" schemes: HTTPS
      external_docs: {url: "https://example.com/"}
      extensions: {key: "x-team" value {string_value: "one"}}
      security_definitions: {security: {key: "key" value: {type: TYPE_API_KEY in: IN_HEADER
        name: "X-Key" description: "A key."}}
        security: {key: "basic" value: {type: TYPE_BASIC}}
        security: {key: "oauth" value: {type: TYPE_OAUTH2 flow: FLOW_APPLICATION
          token_url: "https://example.com/token" scopes: {scope: {key: "a" value: "All"}}}}}
      security: {security_requirement: {key: "key" value: {}}}"""
    made = described(f"option {OPTION % 'swagger'} = {{{said}}};{ASK}{method(GET)}")

    assert made["info"] == {
        "title": "Asks",
        "version": "7",
        "description": "All.",
        "contact": {"name": "Ann"},
    }
    assert made["servers"] == [{"url": "https://api.example.com/api"}]
    assert made["externalDocs"] == {"url": "https://example.com/"}
    assert made["x-team"] == "one"
    assert made["security"] == [{"key": []}]
    assert made["components"]["securitySchemes"] == {
        "basic": {"type": "http", "scheme": "basic"},
        "key": {"type": "apiKey", "in": "header", "name": "X-Key", "description": "A key."},
        "oauth": {
            "type": "oauth2",
            "flows": {
                "clientCredentials": {
                    "scopes": {"a": "All"},
                    "tokenUrl": "https://example.com/token",
                }
            },
        },
    }


def test_a_base_path_alone_is_a_server() -> None:
    """Without a host, the base path is where the document comes from."""
    said = f'option {OPTION % "swagger"} = {{base_path: "/api"}};'

    assert described(said + ASK + method(GET))["servers"] == [{"url": "/api"}]


def test_an_operation_is_described() -> None:
    """What a method says of its operation goes before what its comment does."""
    found = operation(
        'tags: "one" summary: "Asks." description: "Much." operation_id: "ask" deprecated: true '
        'security: {security_requirement: {key: "a" value: {scope: "b"}}} '
        'responses: {key: "200" value: {description: "Fine."}} '
        'responses: {key: "404" value: {description: "Not there."}} '
        'extensions: {key: "x-a" value {bool_value: true}}'
    )

    assert found["tags"] == ["one"]
    assert (found["summary"], found["description"]) == ("Asks.", "Much.")
    assert found["operationId"] == "ask"
    assert found["deprecated"]
    assert found["security"] == [{"a": ["b"]}]
    assert found["responses"]["200"]["description"] == "Fine."
    assert found["responses"]["404"]["description"] == "Not there."
    assert found["x-a"]


def test_a_status_of_success_has_the_body_of_the_answer() -> None:
    """A servicer may choose the status; a status that is described has the same body as 200."""
    found = operation(
        'responses: {key: "201" value: {description: "Made." '
        'headers: {key: "Location" value: {description: "Where." type: "string" format: "uri"}} '
        'examples: {key: "application/json" value: "{\\"id\\": \\"1\\"}"} '
        'extensions: {key: "x-a" value {bool_value: true}}}}'
    )["responses"]
    made = found["201"]

    assert made["description"] == "Made."
    assert made["headers"] == {
        "Location": {"description": "Where.", "schema": {"type": "string", "format": "uri"}}
    }
    assert made["content"]["application/json"]["example"] == {"id": "1"}
    assert made["content"].keys() == found["200"]["content"].keys()
    assert made["x-a"]


def test_an_error_keeps_the_body_that_it_has() -> None:
    """What is said of an error joins what the gateway answers; its body is none of the proto's."""
    found = operation(
        'responses: {key: "429" value: {description: "Slowly." '
        'schema: {json_schema: {ref: ".api.v1.Ask"}} '
        'headers: {key: "X-Rate" value: {type: "integer" default: "7"}}}}'
    )["responses"]["429"]

    assert found["description"] == "Slowly."
    assert sorted(found["headers"]) == ["X-Rate", "X-Request-Id"]
    assert found["headers"]["X-Rate"]["schema"] == {"type": "integer", "default": 7}
    assert found["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Error-Status"
    }


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ('ref: ".api.v1.Ask"', {"$ref": "#/components/schemas/api.v1.Ask"}),
        ("type: STRING max_length: 7", {"maxLength": 7, "type": "string"}),
        ("type: [STRING, NULL]", {"type": ["string", "null"]}),
        ('ref: ".api.v1.Nothing"', None),
    ],
)
def test_an_application_says_what_its_errors_are(schema: str, expected: Any) -> None:
    """Where the application makes the bodies of errors, the proto may say of what."""
    found = operation(
        f'responses: {{key: "409" value: {{schema: {{json_schema: {{{schema}}}}}}}}}',
        serving=Serving(own_errors=True),
    )["responses"]["409"]

    assert found.get("content") == (
        None if expected is None else {"application/json": {"schema": expected}}
    )


def test_answers_of_a_whole_file() -> None:
    """What a file says of answers is said of each operation that does not say it itself."""
    whole = """responses: {key: "418" value: {description: "A pot."}}
      responses: {key: "200" value: {description: "All went well."}}
      tags: {name: "Asks" description: "Said of the file."} tags: {name: "more"}"""
    own = 'responses: {key: "200" value: {description: "Fine."}}'
    said = method(GET, options=f"option {OPTION % 'operation'} = {{{own}}};")
    made = described(f"option {OPTION % 'swagger'} = {{{whole}}};{ASK}{said}")
    found = made["paths"]["/v1/asks"]["get"]["responses"]

    assert (found["200"]["description"], found["418"]["description"]) == ("Fine.", "A pot.")
    assert made["tags"] == [{"name": "Asks", "description": "Said of the file."}, {"name": "more"}]


def test_headers_of_a_request() -> None:
    """Headers that a method says it reads are parameters."""
    found = operation(
        'parameters: {headers: {name: "X-Ask" type: INTEGER required: true description: "How."} '
        'headers: {name: "X-More"}}'
    )["parameters"]

    assert found[-2:] == [
        {
            "name": "X-Ask",
            "in": "header",
            "required": True,
            "description": "How.",
            "schema": {"type": "integer"},
        },
        {"name": "X-More", "in": "header", "schema": {"type": "string"}},
    ]


def test_raw_bytes_are_of_the_types_that_are_named() -> None:
    """What a method produces is the type of its HttpBody."""
    found = operation('produces: "image/png"', reply="google.api.HttpBody")

    assert list(found["responses"]["200"]["content"]) == ["image/png"]


def test_a_tag_is_described() -> None:
    """What a service says of its tag names its operations' too."""
    tagged = method(GET).replace(
        "service Asks {",
        f'service Asks {{ option {OPTION % "tag"} = {{name: "A" description: "B"}};',
    )
    made = described(ASK + tagged)

    assert made["tags"] == [{"name": "A", "description": "B"}]
    assert made["paths"]["/v1/asks"]["get"]["tags"] == ["A"]


def test_schemas_and_fields_are_described() -> None:
    """Keywords of messages and fields join those that the gateway finds."""
    found = request_schema(f"""message Ask {{
      option {OPTION % "schema"} = {{
        json_schema: {{title: "An ask" description: "Said." required: "a"}}
        example: "{{\\"a\\": \\"x\\", \\"b\\": 2}}"}};
      string a = 1 [{OPTION % "field"} = {{
        title: "A" max_length: 7 pattern: "^x" format: "odd" default: "x" example: "\\"xy\\""
        read_only: true}}];
      int32 b = 2 [{OPTION % "field"} = {{maximum: 9 exclusive_maximum: true minimum: 1
        required: "b"}}]; }}""")

    assert (found["title"], found["description"]) == ("An ask", "Said.")
    assert found["required"] == ["a", "b"]
    assert found["examples"] == [{"a": "x", "b": 2}]
    assert found["properties"]["a"] == {
        "type": "string",
        "title": "A",
        "maxLength": 7,
        "pattern": "^x",
        "format": "odd",
        "default": "x",
        "examples": ["xy"],
        "readOnly": True,
    }
    assert found["properties"]["b"]["exclusiveMaximum"] == 9
    assert found["properties"]["b"]["minimum"] == 1


@pytest.mark.parametrize(
    ("declared", "value", "expected"),
    [
        ("int64 f = 1", "42", "42"),  # JSON has it as a text
        ("string f = 1", "5", "5"),
        ("string f = 1", "true", "true"),
        ("bool f = 1", "true", True),
        ("bool f = 1", "1", NOTHING),
        ("int32 f = 1", "nothing", NOTHING),
        ("double f = 1", "0.5", 0.5),
        ("Color f = 1", "RED", "RED"),
        ("Color f = 1", "1", "RED"),
        ("Color f = 1", "BLUE", NOTHING),
        ("repeated int64 f = 1", "[1, 2]", ["1", "2"]),
        ("repeated int64 f = 1", "1", NOTHING),
        ("map<string, int64> f = 1", '{\\"a\\": 1}', {"a": "1"}),
        ("Ask f = 1", '{\\"user_id\\": 5}', {"userId": "5"}),
        ("Ask f = 1", '{\\"nothing\\": 5}', NOTHING),
        ("google.protobuf.Timestamp f = 1", "2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_values_fit(declared: str, value: str, expected: Any) -> None:
    """A default and an example are as JSON has their field, or left out: the document is valid."""
    text = f"""enum Color {{ COLOR_UNSPECIFIED = 0; RED = 1; }}
    message Ask {{ string user_id = 2;
      {declared} [{OPTION % "field"} = {{default: "{value}" example: "{value}"}}]; }}"""
    found = request_schema(text)["properties"]["f"]

    assert found.get("default", NOTHING) == expected
    assert found.get("examples", [NOTHING]) == [expected]


def test_a_message_is_told_in_its_json_names() -> None:
    """An example of a message may say its fields as the proto does."""
    text = f"""message Ask {{
      option {OPTION % "schema"} = {{example: "{{\\"user_id\\": 5, \\"at\\": [7]}}"}};
      string user_id = 1; repeated int64 at = 2; }}"""

    assert request_schema(text)["examples"] == [{"userId": "5", "at": ["7"]}]


def test_a_field_may_have_another_name_in_paths() -> None:
    """The name of a path parameter may be given."""
    text = (
        f"message Ask {{ string id = 1 [{OPTION % 'field'} = "
        '{field_configuration: {path_param_name: "ask"}}]; }'
    )

    assert list(described(text + method('{get: "/v1/{id}"}'))["paths"]) == ["/v1/{ask}"]
