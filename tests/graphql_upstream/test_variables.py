from __future__ import annotations

import re
from typing import Any

import pytest

from transcoder.errors import ConfigError, InvalidRequest, StatusError, UnsupportedMedia
from transcoder.graphql_upstream.document import read_document
from transcoder.graphql_upstream.variables import NOTHING, Parts, Variables, json_body
from transcoder.metadata import Metadatum

DEFINED = "$id: ID!, $n: Int = 10, $tags: [String!], $name: String!, $city: String, $who: String"
SOURCES = {
    "id": "path.user.id",
    "n": "query.page_size",
    "tags": "query.tag",
    "name": "body.name",
    "city": "body.address.city",
    "who": "metadata.x-user-id",
}


def variables(sources: dict[str, str], defined: str = DEFINED) -> Variables:
    """Return what fills the variables of an operation."""
    return Variables(read_document(f"query ({defined}) {{ a }}").variables, sources)


def parts(**changed: Any) -> Parts:
    """Return a good request, but for what is said."""
    good: dict[str, Any] = {"path": {"user.id": "7"}, "body": {"name": "Ann"}}
    return Parts(**{**good, **changed})


def nested(levels: int) -> list[Any]:
    """Return a list that is so deep."""
    return [] if levels == 1 else [nested(levels - 1)]


@pytest.mark.parametrize(
    ("request_", "values"),
    [
        (parts(), {"id": "7", "name": "Ann"}),
        (parts(query=b"page_size=5"), {"id": "7", "name": "Ann", "n": 5}),
        (parts(query=b"tag=a&tag=b+c&&"), {"id": "7", "name": "Ann", "tags": ["a", "b c"]}),
        (
            parts(body={"name": "Ann", "address": {"city": None}}),
            {"id": "7", "name": "Ann", "city": None},
        ),
        (parts(body={"name": "Ann", "address": None}), {"id": "7", "name": "Ann"}),
        (
            parts(metadata=[Metadatum("x-user-id", "u1"), Metadatum("a-bin", b"")]),
            {"id": "7", "name": "Ann", "who": "u1"},
        ),
    ],
)
def test_filled(request_: Parts, values: dict[str, Any]) -> None:
    """Each variable has the value of its source; what is not there is left to its default."""
    assert variables(SOURCES)(request_) == values


@pytest.mark.parametrize(
    ("request_", "told"),
    [
        (parts(query=b"page_size=x"), "page_size: expected a 32-bit integer"),
        (parts(query=b"page_size=1&page_size=2"), "page_size: too many values: one is expected"),
        (parts(query=b"pagesize=1"), "pagesize: no such parameter; did you mean page_size?"),
        (parts(query=b"%FF=1"), "the query is not UTF-8"),
        (parts(body=NOTHING), "name: is required"),
        (parts(body={}), "name: is required"),
        (parts(body=[]), "body: expected an object"),
        (parts(body={"name": None}), "name: expected String!, not null"),
        (parts(body={"name": 1}), "name: expected String"),
        (parts(body={"name": "a", "nme": 1}), "nme: no such field; did you mean name?"),
        (parts(body={"name": "a", "address": 1}), "address: expected an object"),
        (
            parts(body={"name": "a", "address": {"cty": 1}}),
            "address.cty: no such field; did you mean city?",
        ),
        (
            parts(metadata=[("x-user-id", "a"), ("x-user-id", "b")]),
            "x-user-id: too many values: one is expected",
        ),
    ],
)
def test_refused(request_: Parts, told: str) -> None:
    """What does not fit, is missing or fills nothing is refused by its name in the request."""
    with pytest.raises(InvalidRequest, match=f"^{re.escape(told)}$"):
        variables(SOURCES)(request_)


def test_a_whole_body() -> None:
    """A variable may have all of the body, or all of a member, with whatever is in it."""
    filled = variables({"a": "body", "b": "body.x"}, "$a: JSON, $b: JSON")

    assert filled(Parts(body={"x": {"y": 1}, "z": 2})) == {
        "a": {"x": {"y": 1}, "z": 2},
        "b": {"y": 1},
    }
    with pytest.raises(InvalidRequest, match=r"^body: is required$"):
        variables({"a": "body"}, "$a: JSON!")(Parts())


def test_a_member_and_its_own() -> None:
    """Whoever has all of a member, and a part of it besides, says nothing of what else is in it."""
    filled = variables({"a": "body.x", "b": "body.x.y"}, "$a: JSON, $b: JSON")

    assert filled(Parts(body={"x": {"y": 1, "z": 2}}))["b"] == 1


@pytest.mark.parametrize(
    ("sources", "told"),
    [
        ({**SOURCES, "nam": "body.nam"}, "variables: the operation has no $nam; did you mean name"),
        ({**SOURCES, "n": "page_size"}, "variables: n: 'page_size': path.NAME, "),
        ({"id": "path.id"}, "variables: nothing fills 'name', which is required"),
    ],
)
def test_mistakes(sources: dict[str, str], told: str) -> None:
    """Sources that do not go with the operation are refused at start."""
    with pytest.raises(ConfigError, match=f"^{re.escape(told)}"):
        variables(sources)


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["user.i"], "variables: the path has no 'user.id'; did you mean user.i?"),
        (["user.id", "b"], "variables: 'b' of the path fills none of them"),
    ],
)
def test_path(names: list[str], told: str) -> None:
    """A path has the variables that are taken from it, and no more."""
    variables(SOURCES).check_path(["user.id"])
    with pytest.raises(ConfigError, match=f"^{re.escape(told)}"):
        variables(SOURCES).check_path(names)


@pytest.mark.parametrize(
    ("data", "content_type", "value"),
    [
        (b'{"a": [1, null]}', "application/json", {"a": [1, None]}),
        (b'"\xc3\xa9"', "application/merge-patch+json; charset=utf-8", "é"),
        (b"", "", NOTHING),
        (b"null", "application/json", None),
        (b"[" * 100 + b"]" * 100 + b" ", "application/json", nested(100)),
        (b"[" + b"[]," * 200 + b"[]]", "application/json", [[]] * 201),
    ],
)
def test_body(data: bytes, content_type: str, value: Any) -> None:
    """A body is JSON, or not there."""
    assert json_body(data, content_type) == value


@pytest.mark.parametrize(
    ("data", "content_type", "error", "told"),
    [
        (b"{", "application/json", InvalidRequest, "the body is not JSON: line 1, column 2"),
        (b'"\xff"', "application/json", InvalidRequest, "the body is not JSON"),
        (b"[" * 2000, "application/json", InvalidRequest, "the body is not JSON"),
        (b"NaN", "application/json", InvalidRequest, "the body is not JSON"),
        (b"[" * 101 + b"]" * 101, "application/json", InvalidRequest, "nested over 100 levels"),
        (b'{"a":' * 900 + b"1" + b"}" * 900, "application/json", InvalidRequest, "nested over 100"),
        (b"{}", "text/plain", UnsupportedMedia, "a body of this type is not taken"),
        (b"{}", "", UnsupportedMedia, "it has no Content-Type"),
        (b"[" + b"0," * 100_001 + b"0]", "application/json", StatusError, "over 100000 JSON"),
    ],
)
def test_bad_body(data: bytes, content_type: str, error: type[StatusError], told: str) -> None:
    """What is none is refused."""
    with pytest.raises(error, match=told):
        json_body(data, content_type)
