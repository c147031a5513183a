from __future__ import annotations

from typing import Any

from described import GET, described, method, request_schema

OPTION = "(grpc.gateway.protoc_gen_openapiv2.options.openapiv2_%s)"
ASK = "message Ask { string id = 1; }"


def operation(said: str, **options: Any) -> dict[str, Any]:
    """Return an operation of which an annotation says something."""
    text = ASK + method(GET, options=f"option {OPTION % 'operation'} = {{{said}}};", **options)
    found: dict[str, Any] = described(text)["paths"]["/v1/asks"]["get"]
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


def test_a_field_may_have_another_name_in_paths() -> None:
    """The name of a path parameter may be given."""
    text = (
        f"message Ask {{ string id = 1 [{OPTION % 'field'} = "
        '{field_configuration: {path_param_name: "ask"}}]; }'
    )

    assert list(described(text + method('{get: "/v1/{id}"}'))["paths"]) == ["/v1/{ask}"]
