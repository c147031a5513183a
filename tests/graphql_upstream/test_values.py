from __future__ import annotations

import re
from typing import Any

import pytest
from graphql import parse_type, type_from_ast

from graphs import SDL
from transcoder.errors import ConfigError, InvalidRequest
from transcoder.graphql_upstream.document import read_document, read_schema
from transcoder.graphql_upstream.values import check, text_reader
from transcoder.values import BadValue

SCHEMA = read_schema(f"{SDL}\nscalar Date input Only @oneOf {{ a: Int b: Int }}")


def type_of(text: str, schema: Any = SCHEMA) -> Any:
    """Return the type of a variable."""
    parse_type(text)
    if schema is None:
        return read_document(f"query ($a: {text}) {{ a }}").variables["a"].type
    return type_from_ast(schema, parse_type(text))


@pytest.mark.parametrize(
    ("type_", "texts", "value"),
    [
        ("Int", ["-7"], -7),
        ("Int!", ["2147483647"], 2147483647),
        ("Float", ["1.5e3"], 1500.0),
        ("Boolean", ["true"], True),
        ("String", [""], ""),
        ("ID", ["007"], "007"),
        ("Role", ["ADMIN"], "ADMIN"),
        ("Date", ["2026-11-29"], "2026-11-29"),
        ("[Int!]!", ["1", "2"], [1, 2]),
        ("[Int]", ["1"], [1]),
        ("[Role]", ["GUEST", "ADMIN"], ["GUEST", "ADMIN"]),
    ],
)
def test_text(type_: str, texts: list[str], value: Any) -> None:
    """Text becomes what JSON has for the type."""
    assert text_reader(type_of(type_))(texts) == value


def test_strangers() -> None:
    """A type that nobody knows takes text as it is: it may be an enum, or a scalar of any kind."""
    assert text_reader(type_of("Colour", None))(["RED"]) == "RED"
    check({"a": [1]}, type_of("Colour", None), "colour")


@pytest.mark.parametrize(
    ("type_", "texts", "told"),
    [
        ("Int", ["x"], "expected a 32-bit integer"),
        ("Int", ["2147483648"], "expected a 32-bit integer, from -2147483648 to 2147483647"),
        ("Int", [""], "expected a 32-bit integer"),
        ("Float", ["NaN"], "expected a number"),
        ("Float", ["1e999"], "out of the range of a double"),
        ("Boolean", ["yes"], "expected true or false"),
        ("Role", ["ADMN"], "no such value of Role; did you mean ADMIN?"),
        ("String", ["a", "b"], "too many values: one is expected"),
        ("[Int]", ["1", "x"], "expected a 32-bit integer"),
    ],
)
def test_bad_text(type_: str, texts: list[str], told: str) -> None:
    """Text that does not fit is refused, and what it was is not repeated."""
    with pytest.raises(BadValue, match=f"^{re.escape(told)}$"):
        text_reader(type_of(type_))(texts)


@pytest.mark.parametrize("type_", ["NewUser!", "[NewUser]", "[[Int]]"])
def test_no_text(type_: str) -> None:
    """Objects, and lists of lists, come from the body alone."""
    with pytest.raises(ConfigError, match="take it from the body"):
        text_reader(type_of(type_))


@pytest.mark.parametrize(
    ("type_", "value"),
    [
        ("Int", None),
        ("Int", 1.0),
        ("ID!", 7),
        ("[Int!]", 7),
        ("[Int]", [1, None]),
        ("Date", {"any": "thing"}),
        ("NewUser!", {"name": "Ann"}),
        ("NewUser", {"name": "Ann", "role": "ADMIN", "address": {"city": "Bern", "lines": "1"}}),
        ("Only", {"a": 1}),
    ],
)
def test_json(type_: str, value: Any) -> None:
    """JSON is taken as GraphQL takes it."""
    check(value, type_of(type_), "a")


@pytest.mark.parametrize(
    ("type_", "value", "field", "told"),
    [
        ("Int!", None, "a", "expected Int!, not null"),
        ("Int", "secret", "a", "expected Int"),
        ("Int", True, "a", "expected Int"),
        ("String", 7, "a", "expected String"),
        ("[Int!]", [1, None], "a[1]", "expected Int!, not null"),
        ("Role", 1, "a", "expected a value of Role"),
        ("Role", "GEST", "a", "no such value of Role; did you mean GUEST?"),
        ("NewUser", [1], "a", "expected NewUser, an object"),
        ("NewUser", {"nme": 1}, "a.nme", "no such field of NewUser; did you mean name?"),
        ("NewUser", {}, "a.name", "is required"),
        ("NewUser", {"name": "A", "address": {}}, "a.address.city", "is required"),
        ("NewUser", {"name": "A", "role": None}, "a.role", "expected Role!, not null"),
        ("Only", {"a": 1, "b": 1}, "a", "expected one field of Only"),
    ],
)
def test_bad_json(type_: str, value: Any, field: str, told: str) -> None:
    """What does not fit is refused by its name, and what it was is not repeated."""
    with pytest.raises(InvalidRequest) as raised:
        check(value, type_of(type_), "a")

    assert (raised.value.field, raised.value.problem) == (field, told)


def test_whole_body() -> None:
    """The body as a whole has that name, and its members their own."""
    with pytest.raises(InvalidRequest, match=r"^body: expected NewUser, an object$"):
        check(1, type_of("NewUser"), "")
    with pytest.raises(InvalidRequest, match=r"^name: expected String$"):
        check({"name": 1}, type_of("NewUser"), "")
