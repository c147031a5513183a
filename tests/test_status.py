import json

import pytest
from google.protobuf import any_pb2
from google.rpc import code_pb2, error_details_pb2

from transcoder.status import Code, Status, code_of, http_status, shortened


def test_codes_are_those_of_google_rpc() -> None:
    """Every code has the name and number of google/rpc/code.proto."""
    assert dict(code_pb2.Code.items()) == {code.name: code.value for code in Code}


@pytest.mark.parametrize(
    ("code", "status"),
    [
        (Code.OK, 200),
        (Code.CANCELLED, 499),
        (Code.UNKNOWN, 500),
        (Code.INVALID_ARGUMENT, 400),
        (Code.DEADLINE_EXCEEDED, 504),
        (Code.NOT_FOUND, 404),
        (Code.ALREADY_EXISTS, 409),
        (Code.PERMISSION_DENIED, 403),
        (Code.RESOURCE_EXHAUSTED, 429),
        (Code.FAILED_PRECONDITION, 400),  # not 412, which is about If-Match
        (Code.ABORTED, 409),
        (Code.OUT_OF_RANGE, 400),
        (Code.UNIMPLEMENTED, 501),
        (Code.INTERNAL, 500),
        (Code.UNAVAILABLE, 503),
        (Code.DATA_LOSS, 500),
        (Code.UNAUTHENTICATED, 401),
    ],
)
def test_http_status(code: Code, status: int) -> None:
    """A code has the HTTP status that google/rpc/code.proto names."""
    assert status == http_status(code)


def test_unknown_numbers() -> None:
    """A number outside the table is UNKNOWN."""
    assert (code_of(99), code_of(10)) == (Code.UNKNOWN, Code.ABORTED)


def test_details_are_printed_by_their_type() -> None:
    """A detail whose type is known is printed as that message, with its @type."""
    detail = any_pb2.Any()
    detail.Pack(error_details_pb2.ErrorInfo(reason="GONE"))

    printed = json.loads(Status(Code.NOT_FOUND, "no", [detail]).to_json())

    expected = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "GONE"}
    assert expected == printed["details"][0]


def test_details_of_an_unknown_type() -> None:
    """A detail whose type is not known is printed as base64, not refused."""
    detail = any_pb2.Any(type_url="type.googleapis.com/no.Such", value=b"\x00\x01")

    printed = json.loads(Status(Code.NOT_FOUND, "no", [detail]).to_json())

    assert printed["details"][0] == {"@type": "type.googleapis.com/no.Such", "value": "AAE="}


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("short", 512, "short"),
        ("exactly", 7, "exactly"),
        ("a" * 20, 10, "a" * 7 + "…"),
        ("é" * 10, 10, "éé" + "é…"),  # a character is never cut in two
    ],
)
def test_shortened(text: str, limit: int, expected: str) -> None:
    """A text over the limit is cut at a character and ends in an ellipsis."""
    assert expected == shortened(text, limit)
    assert len(shortened(text, limit).encode()) <= limit


def test_details_over_the_limit() -> None:
    """Details over the limit are left out from the first that does not fit."""
    details = []
    for size in (1000, 4000, 4000, 10):
        details.append(any_pb2.Any())
        details[-1].Pack(error_details_pb2.DebugInfo(detail="x" * size))

    assert details[:2] == list(Status(Code.ABORTED, "", details).sent_details())


def test_control_characters_do_not_swell() -> None:
    """A message of control characters is no longer as JSON than any other."""
    assert len(Status(Code.ABORTED, "\x01" * 600).to_json()) < 1000


def test_lone_surrogates_are_replaced() -> None:
    """A message that is not UTF-8 does not stop the error from being told."""
    assert b"a?b" in Status(Code.UNKNOWN, "a\ud800b").to_json()
