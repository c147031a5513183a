from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from described import (
    GET,
    POST,
    answer_schema,
    method,
    operation,
    request_schema,
    transcoder_of,
    validator,
)
from transcoder import StatusError
from transcoder.openapi import document
from transcoder.validation import Validation

RULES = "(buf.validate.field)"
ONEOF = "option (buf.validate.message).oneof"


def judge(text: str) -> Callable[[Any], tuple[bool, bool]]:
    """Return what says whether a body passes the schema of a POST, and whether the rules."""
    transcoder = transcoder_of(f"{text} {method(POST)}")
    (service,) = {route.endpoint.binding.rpc.containing_service for route in transcoder.routes}
    validation = Validation()
    validation.add(service, transcoder.routes)
    made = document(transcoder)
    body = made["paths"]["/v1/asks"]["post"]["requestBody"]["content"]["application/json"]
    schema = validator(made, body["schema"])

    def passes(data: Any) -> tuple[bool, bool]:
        match = transcoder.match("POST", "/v1/asks")
        message = transcoder.request(match, b"", json.dumps(data).encode())
        try:
            validation(message)
        except StatusError:
            return schema.is_valid(data), False
        return schema.is_valid(data), True

    return passes


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (f"string f = 1 [{RULES}.string = {{max_len: 7}}]", {"maxLength": 7}),
        (f"string f = 1 [{RULES}.string = {{len: 2}}]", {"minLength": 2, "maxLength": 2}),
        (f"string f = 1 [{RULES}.string.email = true]", {"format": "email"}),
        (f"string f = 1 [{RULES}.string.pattern = '^[a-z]+$']", {"pattern": "^[a-z]+$"}),
        # RE2 and ECMAScript do not agree on what this means.
        (f"string f = 1 [{RULES}.string.pattern = '\\\\Aa']", {}),
        (f"string f = 1 [{RULES}.string.pattern = '^[^[:space:]]+$']", {}),
        (f"string f = 1 [{RULES}.string.pattern = '^[a-z_[:digit:]]+$']", {}),
        (f"string f = 1 [{RULES}.string.prefix = 'a.']", {"pattern": r"^a\."}),
        (f"string f = 1 [{RULES}.string = {{in: ['a', 'b']}}]", {"enum": ["a", "b"]}),
        (f"string f = 1 [{RULES}.string.const = 'a']", {"const": "a"}),
        (f"uint32 f = 1 [{RULES}.uint32 = {{gt: 1, lte: 9}}]",
         {"exclusiveMinimum": 1, "maximum": 9}),
        # What lies outside of both bounds.
        (f"uint32 f = 1 [{RULES}.uint32 = {{gt: 9, lt: 1}}]", {"maximum": 2**32 - 1}),
        (f"double f = 1 [{RULES}.double.gte = 0.5]", {"minimum": 0.5}),
        (f"repeated string f = 1 [{RULES}.repeated = {{max_items: 3, unique: true}}]",
         {"maxItems": 3, "uniqueItems": True}),
        (f"repeated string f = 1 [{RULES}.repeated.items.string.max_len = 3]",
         {"items": {"type": "string", "maxLength": 3}}),
        (f"map<string, string> f = 1 [{RULES}.map = {{max_pairs: 3}}]", {"maxProperties": 3}),
        (f"map<string, string> f = 1 [{RULES}.map.keys.string.max_len = 3]",
         {"propertyNames": {"maxLength": 3}}),
        (f"map<string, int32> f = 1 [{RULES}.map.values.int32.gt = 3]",
         {"additionalProperties": {"type": "integer", "format": "int32", "minimum": -(2**31),
                                   "maximum": 2**31 - 1, "exclusiveMinimum": 3}}),
        (f"bool f = 1 [{RULES}.bool.const = true]", {"const": True}),
        (f"Color f = 1 [{RULES}.enum = {{not_in: [0]}}]", {"not": {"enum": ["COLOR_UNSPECIFIED"]}}),
    ],
)  # fmt: skip
def test_rules_are_keywords(declared: str, expected: Any) -> None:
    """What JSON Schema can say of a field's rules, the schema of a request says."""
    text = f"enum Color {{ COLOR_UNSPECIFIED = 0; RED = 1; }} message Ask {{ {declared}; }}"
    found = request_schema(text)["properties"]["f"]

    assert expected.items() <= found.items()
    assert ("pattern" in found) == ("pattern" in expected)


@pytest.mark.parametrize(
    ("declared", "required"),
    [
        (f"string f = 1 [{RULES}.required = true]", True),
        (f"string f = 1 [{RULES}.string.min_len = 1]", True),
        (f"string f = 1 [{RULES}.string.uuid = true]", True),
        (f"int32 f = 1 [{RULES}.int32.gt = 0]", True),
        (f"int32 f = 1 [{RULES}.int32.lt = 9]", False),
        # What is not there is not checked.
        (f"optional string f = 1 [{RULES}.string.min_len = 1]", False),
        (f"string f = 1 [{RULES} = {{ignore: IGNORE_IF_ZERO_VALUE, string: {{len: 1}}}}]", False),
        (f"string f = 1 [{RULES} = {{ignore: IGNORE_ALWAYS, string: {{min_len: 1}}}}]", False),
    ],
)  # fmt: skip
def test_rules_that_nothing_breaks_make_a_field_required(declared: str, *, required: bool) -> None:
    """A field that must not be empty must be there."""
    found = request_schema(f"message Ask {{ {declared}; }}")

    assert found.get("required", []) == (["f"] if required else [])


def test_a_oneof_may_need_a_member() -> None:
    """Where a oneof is required, none of its members is no choice."""
    found = request_schema(
        "message Ask { oneof one { option (buf.validate.oneof).required = true;"
        "string a = 1; string b = 2; } }"
    )

    assert found["oneOf"] == [{"required": ["a"]}, {"required": ["b"]}]


def test_a_oneof_of_one_member_may_need_it() -> None:
    """A required oneof makes its only member required."""
    found = request_schema(
        "message Ask { oneof one { option (buf.validate.oneof).required = true; string a = 1; } }"
    )

    assert found["required"] == ["a"]


NEEDED = f'{ONEOF} = {{fields: ["a", "b"] required: true}};'
OTHER = f'{ONEOF} = {{fields: ["b", "c"] required: true}};'
ALWAYS = "ignore: IGNORE_UNSPECIFIED"
EITHER = f'{ONEOF} = {{fields: ["a", "b"]}};'


@pytest.mark.parametrize(
    ("declared", "taken", "refused"),
    [
        (f"{EITHER} string a = 1; string b = 2;", {}, {"a": "x", "b": "y"}),
        # What is said with its zero is not set.
        (f"{EITHER} string a = 1; string b = 2;", {"a": "", "b": "y"}, None),
        (f"{EITHER} int64 a = 1; bool b = 2;", {"a": "0", "b": True}, {"a": "1", "b": True}),
        (f"{EITHER} uint64 a = 1; double b = 2;", {"a": "1", "b": 0}, {"a": "1", "b": 1}),
        (f"{EITHER} bytes a = 1; Color b = 2;", {"a": "", "b": "RED"}, {"a": "YQ==", "b": "RED"}),
        (f"{EITHER} bytes a = 1; Color b = 2;", {"a": "YQ==", "b": "COLOR_UNSPECIFIED"}, None),
        (f"{EITHER} repeated string a = 1; map<string, bool> b = 2;",
         {"a": [], "b": {"x": True}}, {"a": ["x"], "b": {"x": True}}),
        (f"{EITHER} google.protobuf.StringValue a = 1; Inner b = 2;",
         {"a": None, "b": {}}, {"a": "", "b": {}}),
        # With presence, the zero is set as well.
        (f"{EITHER} optional string a = 1; string b = 2;", {"a": ""}, {"a": "", "b": "x"}),
        (f"{NEEDED} string a = 1; string b = 2;", {"b": "x"}, {}),
        (f"{NEEDED} string a = 1; string b = 2;", {"b": "x", "a": ""}, {"a": ""}),
        (f"{NEEDED} string a = 1; string b = 2;", {"a": "x"}, {"a": "x", "b": "y"}),
        (f'{ONEOF} = {{fields: ["a"] required: true}}; string a = 1;', {"a": "x"}, {"a": ""}),
        # Two choices that share a field, and one with a member of a oneof.
        (f'{EITHER} {ONEOF} = {{fields: ["b", "c"]}}; string a = 1; string b = 2; string c = 3;',
         {"a": "x", "c": "y"}, {"b": "x", "c": "y"}),
        (f"{EITHER} oneof one {{ string a = 1; string c = 3; }} string b = 2;",
         {"c": "x", "b": "y"}, {"a": "x", "b": "y"}),
        # Of a member, the rules count where it is set; unless an option says otherwise.
        (f"{EITHER} string a = 1 [{RULES}.string.pattern = '^[A-Z]+$']; string b = 2;",
         {"a": "", "b": "x"}, {"a": "x"}),
        (f"{EITHER} string b = 2; string a = 1 [{RULES} = {{{ALWAYS} string: {{min_len: 2}}}}];",
         {"a": "xx"}, {"b": "x"}),
        (f"{EITHER} string a = 1 [{RULES}.required = true]; string b = 2;", {"a": "x"}, {"b": "x"}),
    ],
)  # fmt: skip
def test_a_message_may_have_choices(declared: str, taken: Any, refused: Any) -> None:
    """A oneof that is a rule on the message is one in the schema, and no stricter there."""
    passes = judge(
        "enum Color { COLOR_UNSPECIFIED = 0; RED = 1; } message Inner { string text = 1; }"
        f"message Ask {{ {declared} }}"
    )

    assert passes(taken) == (True, True)
    assert refused is None or passes(refused) == (False, False)


@pytest.mark.parametrize(
    ("declared", "example"),
    [
        (f"{NEEDED} string a = 1; string b = 2;", {"a": "string"}),
        # The first value of the enum is its zero, which sets nothing.
        (f"{NEEDED} Kind a = 1; string b = 2;", {"b": "string"}),
        (f"{NEEDED} {OTHER} string a = 1; string b = 2; string c = 3;",
         {"a": "string", "c": "string"}),
        (f"{NEEDED} Ask a = 1; string b = 2;", {"a": {"b": "string"}}),
    ],
)  # fmt: skip
def test_examples_keep_to_choices(declared: str, example: Any) -> None:
    """An example has one member of a choice that needs one."""
    found = request_schema(f"enum Kind {{ PLAIN = 0; FANCY = 1; }} message Ask {{ {declared} }}")

    assert found["examples"] == [example]


def test_an_example_far_inside_keeps_to_choices() -> None:
    """A member that is needed is shown however deep it is."""
    chosen = "option (buf.validate.oneof).required = true;"
    text = "message D { oneof one { " + chosen + " E e = 1; } } message E { string text = 1; }"
    text += "message Ask { A a = 1; } message A { B b = 1; } message B { C c = 1; }"
    text += "message C { oneof one { " + chosen + " D d = 1; D f = 2; } }"
    found = request_schema(text)

    assert found["examples"] == [{"a": {"b": {"c": {"d": {"e": {"text": "string"}}}}}}]


def body_of(text: str, rule: str) -> Any:
    """Return the Request Body Object of a method, which is valid."""
    return operation(f"{text} {method(rule, reply='google.protobuf.Empty')}")["requestBody"]


def test_a_body_of_a_needed_choice_is_needed() -> None:
    """A body that must hold a member of a choice must be there, unless the path has a member."""
    text = f"message Ask {{ {NEEDED} string a = 1; string b = 2; string c = 3; }}"

    assert body_of(text, POST)["required"] is True
    assert "required" not in body_of(text, '{post: "/v1/asks/{a}" body: "*"}')
    assert body_of(text, '{post: "/v1/asks/{c}" body: "*"}')["required"] is True


@pytest.mark.parametrize("variable", ["a", "a.text"])
def test_a_path_makes_a_choice(variable: str) -> None:
    """Where the path sets a member of a choice, or a part of one, no body needs to hold one."""
    kind = "string" if variable == "a" else "Inner"
    text = f"message Inner {{ string text = 1; string more = 2; }} message Ask {{ {NEEDED}"
    rule = f'{{post: "/v1/asks/{{{variable}}}" body: "*"}}'
    body = body_of(f"{text} {kind} a = 1; string b = 2; }}", rule)

    assert validator({}, body["content"]["application/json"]["schema"]).is_valid({})


def test_a_change_need_not_choose() -> None:
    """Of a message in part, a rule on the whole of it need not hold."""
    text = f"""
    message User {{ {NEEDED} string id = 1; string a = 2; string b = 3; }}
    message Ask {{ User user = 1; google.protobuf.FieldMask update_mask = 2; }}
    """
    body = body_of(text, '{patch: "/v1/users/{user.id}" body: "user"}')

    assert "oneOf" not in body["content"]["application/json"]["schema"]


def test_a_choice_in_a_query() -> None:
    """Parameters tell of the choice that they are in, and whether one is needed."""
    text = f"""
    message Ask {{
      {ONEOF} = {{fields: ["a", "b"]}};
      {ONEOF} = {{fields: ["b", "c"] required: true}};
      {ONEOF} = {{fields: ["d"] required: true}};
      string a = 1; string b = 2; string c = 3; string d = 4;
      oneof one {{ option (buf.validate.oneof).required = true; string e = 5; string f = 6; }}
    }}
    """
    found = operation(f"{text} {method(GET, reply='google.protobuf.Empty')}")["parameters"]
    told = {
        each["name"]: (each.get("description"), each.get("required"))
        for each in found
        if "name" in each
    }

    assert told == {
        "a": ("At most one of `a`, `b`.", None),
        "b": ("At most one of `a`, `b`.\n\nOne of `b`, `c`.", None),
        "c": ("One of `b`, `c`.", None),
        "d": (None, True),
        "e": ("One of `e`, `f`.", None),
        "f": ("One of `e`, `f`.", None),
    }


INSIDE = "keys: {int32: {gt: 1}} values: {int64: {gt: 2}}"


@pytest.mark.parametrize(
    ("declared", "told"),
    [
        (f"int64 f = 1 [{RULES}.int64 = {{gte: 1 lt: 9}}]", "`int64.lt = 9` `int64.gte = 1`"),
        (f"uint32 f = 1 [{RULES}.uint32 = {{gt: 9 lt: 1}}]", "`uint32.lt = 1` `uint32.gt = 9`"),
        (f"string f = 1 [{RULES}.string = {{min_len: 1 contains: 'é'}}]",
         '`string.contains = "é"`'),
        (f"string f = 1 [{RULES}.string.ulid = true]", "`string.ulid = true`"),
        (f"string f = 1 [{RULES}.string = {{pattern: '^a' suffix: 'b'}}]", '`string.suffix = "b"`'),
        (f"string f = 1 [{RULES}.string.pattern = '\\\\Aa']", r'`string.pattern = "\\Aa"`'),
        (f"string f = 1 [{RULES}.string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME]",
         "`string.well_known_regex = KNOWN_REGEX_HTTP_HEADER_NAME`"),
        (f"bytes f = 1 [{RULES}.bytes = {{max_len: 3 prefix: 'ab'}}]",
         '`bytes.max_len = 3` `bytes.prefix = "ab"`'),
        (f"google.protobuf.Duration f = 1 [{RULES}.duration.in = {{seconds: 2}}]",
         '`duration.in = ["2s"]`'),
        (f"google.protobuf.Timestamp f = 1 [{RULES}.timestamp.lt_now = true]",
         "`timestamp.lt_now = true`"),
        (f"repeated string f = 1 [{RULES}.repeated.items.string.ip = true]",
         "`repeated.items.string.ip = true`"),
        (f"map<int32, int64> f = 1 [{RULES}.map = {{{INSIDE}}}]",
         "`map.keys.int32.gt = 1` `map.values.int64.gt = 2`"),
        (f"int64 f = 1 [{RULES} = {{ignore: IGNORE_IF_ZERO_VALUE int64: {{gte: 1}}}}]",
         "`int64.gte = 1` (where it is set)"),
        # What keywords say, and what names things that may be hidden.
        (f"int32 f = 1 [{RULES}.int32 = {{gte: 1 in: [2] example: 3}}]", ""),
        (f"google.protobuf.Any f = 1 [{RULES}.any.in = 'a/b.C']", ""),
    ],
)  # fmt: skip
def test_rules_without_keywords_are_told(declared: str, told: str) -> None:
    """What JSON Schema cannot say of a field's rules, its description does."""
    found = request_schema(f"message Ask {{ {declared}; }}")["properties"]["f"]
    lines = found.get("description", "").split("\n\n")

    assert " ".join(line.removeprefix("Rule: ") for line in lines) == told


def test_choices_do_not_tell_of_restricted_fields() -> None:
    """A choice names no field that is visible to other labels only."""
    text = f"""
    message Ask {{
      {NEEDED} string a = 1; string c = 3;
      string b = 2 [(google.api.field_visibility).restriction = "INTERNAL"];
    }}
    """

    assert request_schema(text)["required"] == ["a"]
    assert "oneOf" in request_schema(text, labels={"INTERNAL"})


def test_rules_in_cel_are_told() -> None:
    """What only CEL says is in the description: the words of the rule, or else the expression."""
    text = f"""
    message Ask {{
      option (buf.validate.message).cel = {{
        id: "order" message: "must end after it starts" expression: "this.end > this.start"
      }};
      option (buf.validate.message).cel_expression = "this.end != 7";
      option (buf.validate.message).cel = {{
        id: "secret" message: "no code" expression: "this.code != 3"
      }};
      int32 start = 1 [{RULES}.cel = {{
        id: "even" message: "must be even" expression: "this % 2 == 0"
      }}];
      int32 end = 2;
      int32 code = 3 [(google.api.field_visibility).restriction = "INTERNAL"];
    }}
    """
    found = request_schema(text)

    assert found["description"] == "Rule: must end after it starts\n\nRule: `this.end != 7`"
    assert found["properties"]["start"]["description"] == "Rule: must be even"
    assert "Rule" not in json.dumps(answer_schema(text))


ZERO = "ignore: IGNORE_IF_ZERO_VALUE"


@pytest.mark.parametrize(
    ("declared", "taken", "refused"),
    [
        (f"string f = 1 [{RULES}.string = {{prefix: 'ab' suffix: 'bc'}}]", "abc", "ab"),
        (f"string f = 1 [{RULES}.string = {{prefix: 'a-b.' suffix: 'c'}}]", "a-b.\nc", "a-bxc"),
        (f"string f = 1 [{RULES}.string.suffix = '(c']", "x(c", "xc"),
        (f"string f = 1 [{RULES}.string.min_len = 2]", "é🎉", "🎉"),
        (f"string f = 1 [{RULES} = {{{ZERO} string: {{min_len: 2}}}}]", "", None),
        (f"string f = 1 [{RULES} = {{{ZERO} string: {{pattern: '^[A-Z]{{2}}$'}}}}]", "", "A"),
        (f"string f = 1 [{RULES} = {{{ZERO} string: {{in: ['a']}}}}]", "", "b"),
        (f"string f = 1 [{RULES} = {{{ZERO} string: {{const: 'a'}}}}]", "", "b"),
        (f"string f = 1 [{RULES} = {{{ZERO} string: {{not_in: ['', 'a']}}}}]", "", "a"),
        (f"int32 f = 1 [{RULES} = {{{ZERO} int32: {{gte: 3 lte: 5}}}}]", 0, 6),
        (f"sint32 f = 1 [{RULES} = {{{ZERO} sint32: {{lt: 0}}}}]", 0, None),
        (f"double f = 1 [{RULES} = {{{ZERO} double: {{gt: 0 lt: 5}}}}]", 0, 6),
        (f"bool f = 1 [{RULES} = {{{ZERO} bool: {{const: true}}}}]", False, None),
        (f"int64 f = 1 [{RULES} = {{{ZERO} int64: {{in: [5]}}}}]", "-0", "6"),
        (f"int64 f = 1 [{RULES}.int64.const = 5]", "5", "6"),
        (f"uint64 f = 1 [{RULES}.uint64 = {{in: [5, 6]}}]", "6", "7"),
        (f"sint64 f = 1 [{RULES}.sint64 = {{not_in: [-5]}}]", "5", "-5"),
        (f"repeated string f = 1 [{RULES} = {{{ZERO} repeated: {{min_items: 2}}}}]", [], None),
        (f"map<string, bool> f = 1 [{RULES} = {{{ZERO} map: {{min_pairs: 2}}}}]", {}, None),
        (f"Color f = 1 [{RULES} = {{{ZERO} enum: {{in: [1]}}}}]", "COLOR_UNSPECIFIED", "BLUE"),
        (f"Color f = 1 [{RULES}.enum.in = 1]", "RED", "BLUE"),
        # Two names of one value.
        (f"Color f = 1 [{RULES}.enum.in = 1]", "CRIMSON", "BLUE"),
        (f"Color f = 1 [{RULES}.enum.not_in = 2]", "RED", "BLUE"),
    ],
)  # fmt: skip
def test_schemas_are_never_stricter_than_rules(declared: str, taken: Any, refused: Any) -> None:
    """What the rules let pass, the schema does, too; and what it refuses, so do they."""
    text = (
        "enum Color { option allow_alias = true;"
        "COLOR_UNSPECIFIED = 0; RED = 1; CRIMSON = 1; BLUE = 2; }"
        f"message Ask {{ {declared}; }}"
    )
    passes = judge(text)

    assert passes({"f": taken}) == (True, True)
    assert refused is None or passes({"f": refused}) == (False, False)


def test_answers_are_not_held_to_rules() -> None:
    """Nobody checks answers, so their schemas do not say rules."""
    found = answer_schema(f"message Ask {{ string f = 1 [{RULES}.string.max_len = 7]; }}")

    assert found["properties"]["f"] == {"type": "string"}


def test_rules_do_not_tell_of_restricted_values() -> None:
    """A rule names no value of an enum that is visible to other labels only."""
    text = f"""
    enum Color {{ COLOR_UNSPECIFIED = 0; RED = 1;
      SECRET = 2 [(google.api.value_visibility).restriction = "INTERNAL"]; }}
    message Ask {{ Color f = 1 [{RULES}.enum = {{in: [1, 2]}}];
      Color g = 2 [{RULES}.enum = {{not_in: [2]}}];
      repeated Color h = 3 [{RULES}.repeated.items.enum = {{not_in: [0, 2]}}]; }}
    """
    found = request_schema(text)

    assert "SECRET" not in json.dumps(found)
    assert "SECRET" in json.dumps(request_schema(text, labels={"INTERNAL"}))
    assert found["properties"]["f"]["enum"] == ["RED"]
