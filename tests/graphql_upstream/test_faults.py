from __future__ import annotations

from typing import Any

import pytest
from google.rpc import error_details_pb2

from transcoder.graphql_upstream.faults import fault
from transcoder.status import Code


def error(code: Any, **more: Any) -> dict[str, Any]:
    """Return an error of GraphQL."""
    return {"message": "the text", "extensions": {"code": code}, **more}


@pytest.mark.parametrize(
    ("given", "code", "http"),
    [
        ("UNAUTHENTICATED", Code.UNAUTHENTICATED, 401),
        ("FORBIDDEN", Code.PERMISSION_DENIED, 403),
        ("PERMISSION_DENIED", Code.PERMISSION_DENIED, 403),
        ("BAD_USER_INPUT", Code.INVALID_ARGUMENT, 400),
        ("GRAPHQL_VALIDATION_FAILED", Code.INVALID_ARGUMENT, 400),
        ("GRAPHQL_PARSE_FAILED", Code.INVALID_ARGUMENT, 400),
        ("NOT_FOUND", Code.NOT_FOUND, 404),
        ("ALREADY_EXISTS", Code.ALREADY_EXISTS, 409),
        ("RESOURCE_EXHAUSTED", Code.RESOURCE_EXHAUSTED, 429),
    ],
)
def test_faults_of_clients(given: str, code: Code, http: int) -> None:
    """What a client did wrong is told it, in the words of the backend."""
    told = fault(error(given), "a:1")

    assert (told.status.code, told.http, told.status.message) == (code, http, "the text")
    assert told.log == ""


@pytest.mark.parametrize(
    ("given", "code", "http", "message"),
    [
        (error("INTERNAL_SERVER_ERROR"), Code.INTERNAL, 500, "internal error"),
        (error("UNAVAILABLE"), Code.UNAVAILABLE, 503, "the backend is unavailable"),
        (error("DEADLINE_EXCEEDED"), Code.DEADLINE_EXCEEDED, 504, "the deadline has passed"),
        (error("UNIMPLEMENTED"), Code.UNIMPLEMENTED, 501, "internal error"),
        (error("UNKNOWN"), Code.UNKNOWN, 500, "internal error"),
        (error("OK"), Code.INTERNAL, 500, "internal error"),
        (error("forbidden"), Code.INTERNAL, 500, "internal error"),
        (error(7), Code.INTERNAL, 500, "internal error"),
        (error(["FORBIDDEN"]), Code.INTERNAL, 500, "internal error"),
        ({"message": "the text"}, Code.INTERNAL, 500, "internal error"),
        ({"extensions": 1}, Code.INTERNAL, 500, "internal error"),
    ],
)
def test_faults_of_backends(given: Any, code: Code, http: int, message: str) -> None:
    """What the backend did wrong is told without its words, which go to the log."""
    told = fault(given, "a:1")

    assert (told.status.code, told.http, told.status.message) == (code, http, message)
    assert not told.status.details
    assert told.log.startswith("GraphQL at a:1: ")
    assert ("the text" in told.log) == ("message" in given)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (["user", "name"], "user.name"),
        (["users", 0, "name"], "users[0].name"),
        ([0], "[0]"),
        (["a" * 500], "a" * 125 + "…"),
    ],
)
def test_bad_request(path: list[Any], field: str) -> None:
    """Of an invalid argument the details name the place."""
    (packed,) = fault(error("BAD_USER_INPUT", path=path), "").status.details
    found = error_details_pb2.BadRequest()

    assert packed.Unpack(found)
    assert [(each.field, each.description) for each in found.field_violations] == [
        (field, "the text")
    ]


@pytest.mark.parametrize(
    ("given", "reason", "metadata"),
    [
        (error("FORBIDDEN", path=["user"]), "FORBIDDEN", {"path": "user"}),
        (error("NOT_FOUND", path="user"), "NOT_FOUND", {}),
        (error("BAD_USER_INPUT"), "BAD_USER_INPUT", {}),
        (error("ABORTED", path=[None, 1.5]), "ABORTED", {}),
    ],
)
def test_error_info(given: Any, reason: str, metadata: dict[str, str]) -> None:
    """Of all else they name the code that the backend gave, and the place."""
    (packed,) = fault(given, "").status.details
    found = error_details_pb2.ErrorInfo()

    assert packed.Unpack(found)
    assert (found.reason, found.domain, dict(found.metadata)) == (reason, "graphql", metadata)
