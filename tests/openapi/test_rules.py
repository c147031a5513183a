from __future__ import annotations

import json
from typing import Any

import pytest

from described import POST, answer_schema, method, request_schema, transcoder_of, validator
from transcoder import StatusError
from transcoder.openapi import document
from transcoder.validation import Validation

RULES = "(buf.validate.field)"


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
        f"message Ask {{ {declared}; }} {method(POST)}"
    )
    transcoder = transcoder_of(text)
    (service,) = {route.endpoint.binding.rpc.containing_service for route in transcoder.routes}
    validation = Validation()
    validation.add(service, transcoder.routes)
    made = document(transcoder)
    body = made["paths"]["/v1/asks"]["post"]["requestBody"]["content"]["application/json"]
    schema = validator(made, body["schema"])

    def passes(value: Any) -> tuple[bool, bool]:
        data = {"f": value}
        match = transcoder.match("POST", "/v1/asks")
        message = transcoder.request(match, b"", json.dumps(data).encode())
        try:
            validation(message)
        except StatusError:
            return schema.is_valid(data), False
        return schema.is_valid(data), True

    assert passes(taken) == (True, True)
    assert refused is None or passes(refused) == (False, False)


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
