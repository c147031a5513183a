from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool

from described import GET, answer_schema, described, method, operation, request_schema, validator
from transcoder import GOOGLE, GRPC_GATEWAY, Transcoder
from transcoder.openapi import document

COLORS = "enum Color { COLOR_UNSPECIFIED = 0; RED = 1; } "
INT32 = {"type": "integer", "format": "int32", "minimum": -(2**31), "maximum": 2**31 - 1}


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("bool f", {"type": "boolean"}),
        ("string f", {"type": "string"}),
        ("sint32 f", INT32),
        ("double f", {"type": "number", "format": "double"}),
        ("repeated bool f", {"type": "array", "items": {"type": "boolean"}}),
        ("map<string, bool> f", {"type": "object", "additionalProperties": {"type": "boolean"}}),
        ("google.protobuf.Timestamp f", {"type": "string", "format": "date-time"}),
        ("google.protobuf.Empty f", {"type": "object", "additionalProperties": False}),
        ("google.protobuf.Struct f", {"type": "object", "additionalProperties": True}),
        ("google.protobuf.ListValue f", {"type": "array", "items": {}}),
        ("google.protobuf.Value f", {"description": "Any JSON value."}),
        ("google.protobuf.NullValue f", {"type": "null"}),
        # A wrapper that is null is not set; in a list there is no such thing.
        ("google.protobuf.BoolValue f", {"type": ["boolean", "null"]}),
        (
            "repeated google.protobuf.BoolValue f",
            {"type": "array", "items": {"type": "boolean"}},
        ),
    ],
)
def test_fields_of_requests(declared: str, expected: Any) -> None:
    """A field has the schema of what its JSON may be."""
    found = request_schema(f"message Ask {{ {declared} = 1; }}")

    assert found["properties"]["f"] == expected


@pytest.mark.parametrize(
    ("declared", "fit", "unfit"),
    [
        ("int64 f", "-7", "7.5"),
        ("uint64 f", "7", "-7"),
        ("bytes f", "YQ==", "YQ="),
        ("google.protobuf.Duration f", "1.5s", "1.5"),
        ("google.protobuf.FieldMask f", "a,b.cD", "a,,b"),
        ("Color f", "RED", "BLUE"),
        ("google.protobuf.Any f", {"@type": "x"}, {}),
        ("map<int32, bool> f", {"7": True}, {"a": True}),
        ("map<int64, bool> f", {"7": True}, {"07": True}),
        ("map<bool, bool> f", {"true": True}, {"yes": True}),
    ],
)
def test_texts_of_requests(declared: str, fit: Any, unfit: Any) -> None:
    """What JSON has as a string, or as names, is of the form that the gateway reads."""
    service = method('{post: "/v1/asks" body: "*"}')
    made = described(f"{COLORS} message Ask {{ {declared} = 1; }} {service}")
    schema = {"$ref": "#/components/schemas/api.v1.Ask-Request"}
    if "api.v1.Ask-Request" not in made["components"]["schemas"]:
        schema = {"$ref": "#/components/schemas/api.v1.Ask"}
    checked = validator(made, schema)

    assert checked.is_valid({"f": fit})
    assert not checked.is_valid({"f": unfit})


def test_names_are_those_of_json() -> None:
    """Fields are called as JSON calls them, whatever the proto does, and paths and queries too."""
    text = 'message Ask { string an_id = 1; string other = 2 [json_name = "An-Other"]; }'
    made = described(text + method('{get: "/v1/{an_id}"}'))
    parameters = made["paths"]["/v1/{anId}"]["get"]["parameters"]

    assert list(request_schema(text)["properties"]) == ["anId", "An-Other"]
    assert list(answer_schema(text)["properties"]) == ["anId", "An-Other"]
    assert [each["name"] for each in parameters if "name" in each] == ["anId", "An-Other"]


def test_an_answer_may_hold_numbers_that_json_has_not() -> None:
    """NaN and the infinities are strings in answers."""
    found = answer_schema("message Ask { double f = 1; }")

    assert found["properties"]["f"]["anyOf"][1]["enum"] == ["NaN", "Infinity", "-Infinity"]


def test_requests_are_closed_where_unknown_keys_are_refused() -> None:
    """A request's schema allows known keys only, unless the profile ignores others."""
    text = "message Ask { string id = 1; }"

    assert request_schema(text)["additionalProperties"] is False
    assert "additionalProperties" not in request_schema(text, profile=GRPC_GATEWAY)
    assert "additionalProperties" not in answer_schema(text)


def test_printed_defaults_are_required_of_answers() -> None:
    """Where fields are printed whatever they hold, an answer has all of them without presence."""
    text = "message Ask { string a = 1; optional string b = 2; repeated string c = 3; Ask d = 4; }"

    assert answer_schema(text, profile=GRPC_GATEWAY)["required"] == ["a", "c"]
    assert "required" not in answer_schema(text)


def test_answers_have_the_names_of_the_proto() -> None:
    """Where answers are printed with proto names and numbers of enums, their schema has these."""
    text = (
        "enum Kind { KIND_UNSPECIFIED = 0; KIND_A = 1; }"
        "message Ask { string my_text = 1; Kind my_kind = 2;"
        "oneof one { string my_a = 3; string b = 4; } }"
    )
    profile = replace(GRPC_GATEWAY, proto_names=True, enum_numbers=True)
    schema = answer_schema(text, profile=profile)

    assert list(schema["properties"]) == ["my_text", "my_kind", "my_a", "b"]
    assert schema["required"] == ["my_text", "my_kind"]
    assert [each["required"] for each in schema["oneOf"][:2]] == [["my_a"], ["b"]]
    assert next(iter(request_schema(text, profile=profile)["properties"])) == "myText"


def test_with_system_parameters_nothing_is_promised() -> None:
    """A client that selects fields gets no others, so that none is required."""
    profile = replace(GOOGLE, print_defaults=True)

    assert "required" not in answer_schema("message Ask { string a = 1; }", profile=profile)


def test_at_most_one_member_of_a_oneof_fits() -> None:
    """None and one of the members fit, two do not."""
    schema = request_schema("message Ask { oneof one { string a = 1; string b = 2; } }")
    checked = validator({}, schema)

    assert checked.is_valid({})
    assert checked.is_valid({"a": ""})
    assert not checked.is_valid({"a": "", "b": ""})


def test_two_oneofs_hold_together() -> None:
    """Of two oneofs each holds for itself; a proto3 `optional` is none."""
    schema = request_schema(
        "message Ask { oneof one { string a = 1; string b = 2; }"
        "oneof two { string c = 3; string d = 4; } optional string e = 5; }"
    )

    assert len(schema["allOf"]) == 2


def test_a_message_that_holds_itself_refers_to_itself() -> None:
    """Recursion is a reference."""
    found = request_schema("message Ask { Ask child = 1; repeated Ask more = 2; }")

    assert found["properties"]["child"] == {"$ref": "#/components/schemas/api.v1.Ask"}


def test_behaviors_are_keywords() -> None:
    """field_behavior says what is required, read only and write only."""
    found = request_schema("""message Ask {
      string a = 1 [(google.api.field_behavior) = REQUIRED];
      string b = 2 [(google.api.field_behavior) = OUTPUT_ONLY];
      string c = 3 [(google.api.field_behavior) = INPUT_ONLY]; }""")

    assert found["required"] == ["a"]
    assert found["properties"]["b"]["readOnly"]
    assert found["properties"]["c"]["writeOnly"]
    assert found["examples"] == [{"a": "string", "c": "string"}]


@pytest.mark.parametrize(
    ("behavior", "told"),
    [
        ("IDENTIFIER", "Identifies the resource."),
        ("IMMUTABLE", "Cannot be changed once it is set."),
        ("NON_EMPTY_DEFAULT", "The server chooses a value where there is none."),
        ("UNORDERED_LIST", "In no particular order."),
    ],
)
def test_behaviors_are_told(behavior: str, told: str) -> None:
    """What no keyword says of a field's behavior, its description does, in answers too."""
    text = f"message Ask {{ repeated string a = 1 [(google.api.field_behavior) = {behavior}]; }}"

    assert request_schema(text)["properties"]["a"]["description"] == told
    assert answer_schema(text)["properties"]["a"]["description"] == told


@pytest.mark.parametrize(
    ("declared", "more"),
    [
        ("string f", {"minLength": 1}),
        ("repeated bool f", {"minItems": 1}),
        ("map<string, bool> f", {"minProperties": 1}),
        # An empty text that is there is not absent.
        ("optional string f", {}),
        ("int32 f", {}),
    ],
)
def test_what_is_required_is_not_empty(declared: str, more: dict[str, int]) -> None:
    """Where empty is absent, a REQUIRED field of a request must not be empty."""
    text = f"message Ask {{ {declared} = 1 [(google.api.field_behavior) = REQUIRED]; }}"
    keywords = {"minLength", "minItems", "minProperties"}
    asked = request_schema(text)["properties"]["f"]

    assert {key: asked[key] for key in keywords & asked.keys()} == more
    assert not keywords & answer_schema(text)["properties"]["f"].keys()


def test_a_patch_requires_nothing() -> None:
    """The body of a PATCH says what changes, down to the messages inside."""
    made = described(
        "message Part { string name = 1 [(google.api.field_behavior) = REQUIRED]; }"
        "message Item { string name = 1 [(google.api.field_behavior) = REQUIRED]; Part part = 2; }"
        "message Ask { string id = 1; Item item = 2; }"
        + method('{patch: "/v1/{id}" body: "item"}')
        + "service More { rpc Add(Item) returns (Item) {"
        'option (google.api.http) = {post: "/v1/items" body: "*"}; } }'
    )
    schemas = made["components"]["schemas"]

    assert schemas["api.v1.Item-Request"]["required"] == ["name"]
    assert "required" not in schemas["api.v1.Item-Change"]
    assert "required" not in schemas["api.v1.Part-Change"]


def test_views_that_say_the_same_are_one() -> None:
    """A message that is the same both ways has one schema, with its plain name."""
    made = described(
        "message Ask { string id = 1; Ask child = 2; }" + method('{post: "/v1/a" body: "*"}'),
        profile=replace(GRPC_GATEWAY, print_defaults=False),
    )

    assert [name for name in made["components"]["schemas"] if "Ask" in name] == ["api.v1.Ask"]


def test_comments_are_descriptions_and_examples() -> None:
    """A comment describes what it stands at; an example in it is the example if it fits."""
    found = answer_schema("""
    // An ask.
    message Ask {
      // Two capital letters, for example `CH`.
      string region = 1;

      // What it is (-- not for others --) made of.
      // buf:lint:ignore FIELD
      string kind = 2; // At the end.
    }""")

    assert found["description"] == "An ask."
    assert found["properties"]["region"]["examples"] == ["CH"]
    assert found["properties"]["kind"]["description"] == "What it is  made of."


def test_enums_describe_their_values() -> None:
    """The comments of an enum's values are in its description; requests take aliases too."""
    text = """
    enum Side { option allow_alias = true; SIDE_UNSPECIFIED = 0;
      // Where the heart is.
      LEFT = 1; LINKS = 1 [deprecated = true]; }
    message Ask { Side side = 1; } """
    schemas = described(text + method('{post: "/v1/a" body: "*"}'))["components"]["schemas"]

    assert schemas["api.v1.Side"]["enum"] == ["SIDE_UNSPECIFIED", "LEFT"]
    assert schemas["api.v1.Side-Request"]["enum"] == ["SIDE_UNSPECIFIED", "LEFT", "LINKS"]
    assert schemas["api.v1.Side"]["description"] == (
        "- `LEFT`: Where the heart is.\n- `LINKS`: Deprecated."
    )


def test_deprecation_is_told() -> None:
    """Deprecated fields, messages and methods are marked."""
    text = "message Ask { option deprecated = true; string a = 1 [deprecated = true]; }"
    found = answer_schema(text)
    made = described(text + method(GET, options="option deprecated = true;"))
    operation = made["paths"]["/v1/asks"]["get"]

    assert found["deprecated"]
    assert found["properties"]["a"]["deprecated"]
    assert operation["deprecated"]
    assert operation["parameters"][0]["deprecated"]


def test_deprecation_of_a_file_is_told() -> None:
    """Where a whole file is deprecated, its methods, messages and enums are marked."""
    made = described(f"""option deprecated = true;
    enum Color {{ COLOR_UNSPECIFIED = 0; }}
    message Ask {{ Color color = 1; message Inner {{ string text = 1; }} Inner inner = 2;
      google.protobuf.Empty empty = 3; }}
    {method(GET)}""")
    schemas = made["components"]["schemas"]
    marked = {name for name, schema in schemas.items() if schema.get("deprecated")}

    assert made["paths"]["/v1/asks"]["get"]["deprecated"]
    assert marked == {"api.v1.Ask", "api.v1.Ask.Inner", "api.v1.Color"}


BOOK = """message Book { option (google.api.resource) = {
  type: "library.example.com/Book" pattern: %s }; string name = 1; }"""


def test_lists_of_resource_names_have_forms() -> None:
    """Of a list of references, each is of the form, in a body and in a query."""
    text = f"""{BOOK % '"shelves/{shelf}/books/{book}"'}
    message Ask {{ Book other = 2;
      repeated string books = 1 [(google.api.resource_reference).type = "library.example.com/Book",
        (buf.validate.field).repeated = {{max_items: 3 items: {{string: {{max_len: 40}}}}}}]; }}"""
    found = request_schema(text)["properties"]["books"]
    asked = operation(f"{text} {method(GET, reply='google.protobuf.Empty')}")["parameters"]
    (parameter,) = (each for each in asked if each.get("name") == "books")
    items = {
        "type": "string",
        "maxLength": 40,
        "pattern": "^shelves/[^/]+/books/[^/]+$",
        "examples": ["shelves/1/books/1"],
    }
    told = "Each is the name of a `library.example.com/Book`, of the form"

    assert (found["items"], found["maxItems"]) == (items, 3)
    assert parameter["schema"] == {"type": "array", "items": items, "maxItems": 3}
    assert found["description"] == f"{told} `shelves/{{shelf}}/books/{{book}}`."


@pytest.mark.parametrize(
    ("patterns", "told"),
    [('"*"', ""), ('["shelves/{shelf}", "*"]', ", of the form `shelves/{shelf}` or another")],
)
def test_a_resource_of_any_form(patterns: str, told: str) -> None:
    """Where a resource's names may be of any form, nothing is refused."""
    found = request_schema(
        f"{BOOK % patterns}"
        "message Ask { Book other = 2;"
        'string book = 1 [(google.api.resource_reference).type = "library.example.com/Book"]; }'
    )

    assert found["properties"]["book"] == {
        "type": "string",
        "description": f"The name of a `library.example.com/Book`{told}.",
    }


def test_resource_names_have_forms() -> None:
    """A reference to a resource is of its form; the resource's own name is described by it."""
    found = request_schema("""
    message Book { option (google.api.resource) = {
        type: "library.example.com/Book" pattern: "shelves/{shelf}/books/{book}" };
      string name = 1; }
    message Ask {
      string book = 1 [(google.api.resource_reference).type = "library.example.com/Book"];
      string parent = 2 [(google.api.resource_reference).child_type = "library.example.com/Book"];
      Book other = 3; }""")
    book = found["properties"]["book"]

    assert book["pattern"] == "^shelves/[^/]+/books/[^/]+$"
    assert book["examples"] == ["shelves/1/books/1"]
    assert "`library.example.com/Book`" in book["description"]
    assert "parent of" in found["properties"]["parent"]["description"]


def test_proto2_defaults_and_extensions_are_described(protos: DescriptorPool) -> None:
    """A default is told; a message that can be extended takes keys in brackets; required is."""
    service = protos.FindServiceByName("legacy.v1.LegacyBindings")
    schemas = document(Transcoder([service], unbound=True))["components"]["schemas"]
    found = schemas["legacy.v1.Legacy-Request"]

    assert found["required"] == ["name"]
    assert found["properties"]["number"]["default"] == 7
    assert found["patternProperties"] == {r"^\[": {}}
