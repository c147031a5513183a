from __future__ import annotations

import json

import pytest
from google.protobuf import any_pb2
from google.rpc import error_details_pb2

from transcoder.problem import is_wanted, to_problem
from transcoder.status import Code, Status


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("application/problem+json", True),
        ("Application/Problem+JSON", True),
        ("application/json, application/problem+json", True),
        ("text/html, application/problem+json;q=0.1", True),
        ("application/problem+json;q=0", False),
        ("application/problem+json;q=0, */*", False),
        ("*/*", False),
        ("application/*", False),
        ("application/json", False),
        ("", False),
    ],
)
def test_is_wanted(accept: str, *, expected: bool) -> None:
    """Problems are for who names them."""
    assert is_wanted(accept) is expected


def test_to_problem() -> None:
    """A problem has the members of RFC 9457, and code and details beside them."""
    info = any_pb2.Any()
    info.Pack(error_details_pb2.ErrorInfo(reason="GONE"))
    status = Status(Code.NOT_FOUND, "no such user", [info])

    assert json.loads(to_problem(status, 404, "urn:request:1")) == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "no such user",
        "instance": "urn:request:1",
        "code": 5,
        "details": json.loads(status.to_json())["details"],
    }


@pytest.mark.parametrize(
    ("http_status", "title"), [(499, "Client Closed Request"), (503, "Service Unavailable")]
)
def test_title(http_status: int, title: str) -> None:
    """The title is the HTTP status's own, also of those that no RFC names."""
    problem = json.loads(to_problem(Status(Code.CANCELLED, ""), http_status))

    assert problem["title"] == title
    assert "instance" not in problem
