from __future__ import annotations

import re

import pytest

from graphs import SDL
from transcoder.errors import ConfigError
from transcoder.graphql_upstream.document import read_document, read_schema

SCHEMA = read_schema(SDL)
TWO = "query A { echo(text: 1) } mutation B { renameUser(id: 1, name: 2) { id } }"


@pytest.mark.parametrize(
    ("text", "operation", "told"),
    [
        ("query One($id: ID!) {\n  user(id: $id) {", "", "u.graphql:2:18: Expected Name, found"),
        ("", "", "u.graphql:1:1: Unexpected <EOF>"),
        ("fragment F on User { id }", "", "u.graphql: there is no operation in it"),
        (TWO, "", "u.graphql: operation is to name one of A, B"),
        (TWO, "a", "u.graphql: no operation is named 'a'; did you mean A?"),
        ("subscription { counted }", "", "u.graphql: a subscription has no answer"),
    ],
)
def test_mistakes(text: str, operation: str, told: str) -> None:
    """A document that is wrong is refused, with line and column where there are some."""
    with pytest.raises(ConfigError, match=f"^{re.escape(told)}"):
        read_document(text, "u.graphql", operation=operation)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{\n  user(id: 1) { nme }\n}", "document:2:17: Cannot query field 'nme' on type 'User'."),
        ("query ($id: Foo) { user(id: $id) { id } }", "document:1:13: Unknown type 'Foo'."),
        ("query ($a: User) { echo(text: $a) }", "document:1:12: Variable '$a' cannot be non-input"),
        (
            "{ user(id: 1) { ...F } } fragment F on User { manager { ...F } }",
            "document:1:57: Cannot spread",
        ),
    ],
)
def test_schema(text: str, told: str) -> None:
    """So is one that does not go with the schema."""
    with pytest.raises(ConfigError, match=f"^{re.escape(told)}"):
        read_document(text, schema=SCHEMA)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("type Query {\n  a: [Int\n}", "s.graphql:3:1: Expected ']', found '}'."),
        ("type Query { a: Foo }", "s.graphql: Unknown type 'Foo'."),
        ("type A { a: Int }", "s.graphql: Query root type must be provided."),
    ],
)
def test_wrong_schema(text: str, told: str) -> None:
    """A schema that is wrong is refused too."""
    with pytest.raises(ConfigError, match=f"^{re.escape(told)}"):
        read_schema(text, "s.graphql")


def test_operation() -> None:
    """The operation that is named is the one; its kind is told."""
    found = read_document(TWO, operation="B")

    assert (found.operation, found.kind, found.text) == ("B", "mutation", TWO)
    assert read_document("{ a }").operation == ""


@pytest.mark.parametrize("schema", [None, SCHEMA])
def test_variables(schema: object) -> None:
    """Variables have the types that their definitions state, and some need a value."""
    text = "query ($a: [Role!] = [], $b: Float, $c: ID!, $d: String! = 1) { a }"
    if schema is not None:
        text = (
            "query ($a: [Role!] = [], $b: Float, $c: ID!, $d: String! = 1)"
            " { users(role: $a, over: $b) { id } user(id: $c) { id } echo(text: $d) }"
        ).replace("= 1", '= "1"')
    found = read_document(text, schema=schema).variables  # type: ignore[arg-type]

    types = {name: (str(each.type), each.required) for name, each in found.items()}
    assert types == {
        "a": ("[Role!]", False),
        "b": ("Float", False),
        "c": ("ID!", True),
        "d": ("String!", False),
    }


NESTED = """
{
  one: user(id: 1) { ...F ... on User { manager { name } } manager { id } }
  users { id }
}
fragment F on User { role boss: manager { ...F } }
"""


@pytest.mark.parametrize(
    "path", ["", "one", "users.id", "one.role", "one.manager.name", "one.manager.id", "one.boss"]
)
def test_answer(path: str) -> None:
    """A part that is asked for, under the name that the reply has, may be the answer."""
    read_document(NESTED).check_answer(path)
    read_document(NESTED).check_answer("one.boss.boss.boss.role")


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("user", "answer 'user': the document asks for no 'user'; did you mean users?"),
        ("one.name", "answer 'one.name': the document asks for no 'name'"),
        ("users.id.a", "answer 'users.id.a': the document asks for no 'a'"),
    ],
)
def test_no_answer(path: str, told: str) -> None:
    """One that is not asked for may not."""
    with pytest.raises(ConfigError, match=f"^{re.escape(told)}"):
        read_document(NESTED).check_answer(path)
