from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transcoder.errors import TemplateError
from transcoder.path_template import Kind, PathTemplate


def shape(text: str) -> tuple[list[str], dict[str, tuple[int, int]], str]:
    template = PathTemplate.parse(text)
    segments = [segment.text for segment in template.segments]
    variables = {variable.name: (variable.start, variable.end) for variable in template.variables}
    return segments, variables, template.verb


@pytest.mark.parametrize(
    ("text", "segments", "variables", "verb"),
    [
        ("/", [], {}, ""),
        ("/v1", ["v1"], {}, ""),
        ("/v1/messages/{message_id}", ["v1", "messages", "*"], {"message_id": (2, 3)}, ""),
        ("/v1/{name=messages/*}", ["v1", "messages", "*"], {"name": (1, 3)}, ""),
        ("/v1/{n=**}", ["v1", "**"], {"n": (1, 2)}, ""),
        ("/v1/*/x/**", ["v1", "*", "x", "**"], {}, ""),
        ("/{a.b_1.C}", ["*"], {"a.b_1.C": (0, 1)}, ""),
        # Published APIs go on behind `**`, inside and outside of the variable that has it.
        (
            "/v1/{parent=projects/*/documents/**}/{collection}",
            ["v1", "projects", "*", "documents", "**", "*"],
            {"parent": (1, 5), "collection": (5, 6)},
            "",
        ),
        ("/v1/{n=**/x/*}/y", ["v1", "**", "x", "*", "y"], {"n": (1, 4)}, ""),
        ("/v1/a:b", ["v1", "a"], {}, "b"),
        ("/v1/x:y:z", ["v1", "x:y"], {}, "z"),  # The last colon behind a literal,
        ("/v1/{name}:a:b", ["v1", "*"], {"name": (1, 2)}, "a:b"),  # the first behind a variable
        ("/v1/*:a:b", ["v1", "*"], {}, "a:b"),  # and behind a wildcard, which is no literal.
        ("/v1/**:a", ["v1", "**"], {}, "a"),
        ("/a:b/c", ["a:b", "c"], {}, ""),  # Only the last segment can end in a verb,
        ("/v1/{n=a:b}", ["v1", "a:b"], {"n": (1, 2)}, ""),  # and only outside of braces.
        ("/v1/{n=a:b}:c", ["v1", "a:b"], {"n": (1, 2)}, "c"),
        ("/v1/a%3Ab", ["v1", "a:b"], {}, ""),
        ("/v1/caf%C3%A9:%76", ["v1", "café"], {}, "v"),
        ("/v1/a.b-c_d~!$&'()+,;=@", ["v1", "a.b-c_d~!$&'()+,;=@"], {}, ""),
        ("/v1/a*/*b", ["v1", "a*", "*b"], {}, ""),  # `*` is a pchar.
        ("/v1/...", ["v1", "..."], {}, ""),
        ("/{n=x=y}", ["x=y"], {"n": (0, 1)}, ""),
    ],
)
def test_grammar(
    text: str, segments: list[str], variables: dict[str, tuple[int, int]], verb: str
) -> None:
    """A template is its segments, where its variables lie in them, and its verb."""
    assert shape(text) == (segments, variables, verb)


@pytest.mark.parametrize(
    ("text", "column", "problem"),
    [
        ("", 1, "expected '/' at the start"),
        ("v1/x", 1, "expected '/' at the start"),
        ("/v1/", 5, "expected a segment"),
        ("/v1//x", 5, "expected a segment"),
        ("/:v", 2, "expected a segment"),
        ("/v1/:v", 5, "expected a segment"),
        ("/v1/{", 6, "expected an identifier"),
        ("/v1/{}", 6, "expected an identifier"),
        ("/v1/{1a}", 6, "expected an identifier"),
        ("/v1/{é}", 6, "expected an identifier"),
        ("/v1/{a.}", 8, "expected an identifier"),
        ("/v1/{a", 7, "expected '.', '=' or '}'"),
        ("/v1/{a b}", 7, "expected '.', '=' or '}'"),
        ("/v1/{a=}", 8, "expected a segment"),
        ("/v1/{a=/b}", 8, "expected a segment"),
        ("/v1/{a=b/}", 10, "expected a segment"),
        ("/v1/{a=b", 9, "expected '/' or '}'"),
        ("/v1/{a={b}}", 8, "a variable cannot stand inside another one"),
        ("/v1/{a=x/{b}}", 10, "a variable cannot stand inside another one"),
        ("/v1/{a=x{b}}", 9, "expected '/' before '{'"),
        ("/v1/{a=*:v}", 9, "a verb stands behind the '}'"),
        ("/v1/{a}/{a}", 9, "a is bound twice"),
        ("/v1/{a.b}/{a.b=x/*}", 11, "a.b is bound twice"),
        ("/v1/**/{b=**}", 11, "'**' may stand only once"),
        ("/v1/***", 5, "expected '*' or '**'"),
        ("/v1/{a}b", 8, "expected '/', ':' or the end"),
        ("/v1/{a}{b}", 8, "expected '/', ':' or the end"),
        ("/v1/a{b}", 6, "expected '/' before '{'"),
        ("/v1/a}", 6, "expected '/', ':' or the end"),
        ("/v1/a:", 7, "expected a verb"),
        ("/v1/{a}:", 9, "expected a verb"),
        ("/v1/{a}:b/c", 10, "expected the end behind the verb"),
        ("/v1/%zz", 5, "expected two hexadecimal digits behind '%'"),
        ("/v1/a%4", 6, "expected two hexadecimal digits behind '%'"),
        ("/v1/é", 5, "'é' cannot stand in a path; percent-encode it"),
        ("/v1/a b", 6, "' ' cannot stand in a path; percent-encode it"),
        ("/v1/a?b", 6, "'?' cannot stand in a path; percent-encode it"),
        ("/v1/a\n", 6, "'\\n' cannot stand in a path; percent-encode it"),
        # These could be written, but no path would ever equal them.
        ("/v1/a%2Fb", 5, "an encoded '/' or NUL matches no path"),
        ("/v1/a%00", 5, "an encoded '/' or NUL matches no path"),
        ("/v1/a:%2f", 7, "an encoded '/' or NUL matches no path"),
        ("/v1/%ff", 5, "the percent-encoded bytes are not UTF-8"),
        ("/v1/../x", 5, "a dot segment matches no path"),
        ("/v1/{a=%2E}", 8, "a dot segment matches no path"),
    ],
)
def test_error(text: str, column: int, problem: str) -> None:
    """What is no template is refused with the column and what was expected there."""
    with pytest.raises(TemplateError) as caught:
        PathTemplate.parse(text)

    assert (caught.value.column, caught.value.problem) == (column, problem)


@given(st.text(alphabet="/{}*:=.%aZ9_é\0 2Ff", max_size=20))
def test_any_text_parses_or_is_refused_inside_of_it(text: str) -> None:
    """Any text is a template or a TemplateError whose column lies in it or just behind it."""
    try:
        column = len(str(PathTemplate.parse(text)))
    except TemplateError as error:
        column = error.column

    assert 1 <= column <= len(text) + 1


@pytest.mark.parametrize(
    ("text", "multi"),
    [
        ("/{a}", False),
        ("/{a=*}", False),
        ("/{a=x}", False),
        ("/{a=**}", True),
        ("/{a=x/*}", True),
    ],
)
def test_multi(text: str, multi: bool) -> None:  # noqa: FBT001
    """A variable may hold several segments if its own template has several, or `**`."""
    assert PathTemplate.parse(text).variables[0].multi is multi


def test_encoded_star_is_a_literal() -> None:
    """`%2A` is the character, not the wildcard."""
    assert PathTemplate.parse("/%2A").segments[0].kind is Kind.LITERAL


def test_frozen() -> None:
    """A template cannot be changed."""
    with pytest.raises(dataclasses.FrozenInstanceError):
        PathTemplate.parse("/v1").verb = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "values", "path"),
    [
        ("/", [], "/"),
        ("/v1/{a}", ["x"], "/v1/x"),
        ("/v1/{a}", ["a/b c%?é:"], "/v1/a%2Fb%20c%25%3F%C3%A9%3A"),
        ("/v1/{a=x/*}", ["x/a:b"], "/v1/x/a%3Ab"),
        ("/v1/{a=**}", ["x/y z"], "/v1/x/y%20z"),
        ("/v1/{a=**}", [""], "/v1"),
        ("/v1/{a=**}/{b}:v:w", ["x/y", "z"], "/v1/x/y/z:v:w"),
        ("/v1/{a=x/**/y}", ["x/y"], "/v1/x/y"),
        ("/v1/*/{a}/**", ["x"], "/v1/-/x"),
        ("/v1/a%3Ab/caf%C3%A9", [], "/v1/a%3Ab/caf%C3%A9"),
    ],
)
def test_expand(text: str, values: list[str], path: str) -> None:
    """Values go into the path encoded, slashes stay where several segments may stand."""
    assert PathTemplate.parse(text).expand(values) == path


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("/{a}", []),
        ("/{a}", ["x", "y"]),
        ("/{a}", [""]),
        ("/{a}", [".."]),
        ("/{a=x}", ["y"]),
        ("/{a=x/*}", ["x"]),
        ("/{a=x/*}", ["y/z"]),
        ("/{a=x/*}", ["x/y/z"]),
        ("/{a=x/*}", ["x/"]),
        ("/{a=**}", ["x//y"]),
        ("/{a=**}", ["x/../y"]),
        ("/{a=**/x}", [""]),
        ("/{a=**/x}", ["x/y"]),
    ],
)
def test_expand_refuses(text: str, values: list[str]) -> None:
    """A value that its variable could not bind is refused."""
    with pytest.raises(ValueError, match=r"expected text of the form|zip\(\)"):
        PathTemplate.parse(text).expand(values)
