from typing import Any

import pytest
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2

from transcoder.errors import (
    ConfigError,
    InvalidRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
    PayloadTooLarge,
    StatusError,
    TemplateError,
    TranscoderError,
    UnsupportedMedia,
)
from transcoder.status import Code


@pytest.mark.parametrize(
    ("error", "code", "http"),
    [
        (StatusError(Code.ABORTED, "stale"), Code.ABORTED, 409),
        (StatusError(Code.INVALID_ARGUMENT, "long", http=414), Code.INVALID_ARGUMENT, 414),
        (InvalidRequest("expected a number"), Code.INVALID_ARGUMENT, 400),
        (NotFound(), Code.NOT_FOUND, 404),
        (MethodNotAllowed(["GET"]), Code.UNIMPLEMENTED, 405),
        (MethodNotAllowed(["GET"], 501), Code.UNIMPLEMENTED, 501),
        (NotAcceptable(["application/json"]), Code.INVALID_ARGUMENT, 406),
        (PayloadTooLarge(10), Code.RESOURCE_EXHAUSTED, 413),
        (UnsupportedMedia("send JSON"), Code.INVALID_ARGUMENT, 415),
    ],
)
def test_status(error: StatusError, code: Code, http: int) -> None:
    """Each error of a request has its code and its HTTP status."""
    assert (code, http) == (error.status.code, error.http)


def test_one_root() -> None:
    """Whoever catches TranscoderError catches all of them."""
    assert issubclass(ConfigError, TranscoderError)
    assert issubclass(TemplateError, ConfigError)
    assert issubclass(StatusError, TranscoderError)


def test_field_violation() -> None:
    """An error that names a field carries a BadRequest detail with that name."""
    error = InvalidRequest("expected a number", "user.age")

    details = error_details_pb2.BadRequest()
    assert error.status.details[0].Unpack(details)
    assert (
        details.field_violations[0].field,
        details.field_violations[0].description,
    ) == ("user.age", "expected a number")
    assert error.status.message == "user.age: expected a number"


def test_allow() -> None:
    """The methods that fit are named in the header and in the message."""
    error = MethodNotAllowed(["GET", "PUT"])

    assert error.headers == (("allow", "GET, PUT"),)
    assert error.status.message == "this path answers GET, PUT"


def test_template_error_points() -> None:
    """A template's error is one line with the template and the column."""
    assert str(TemplateError("/v1/{", 6, "expected a name")) == (
        "'/v1/{', column 6: expected a name"
    )


@pytest.mark.parametrize(
    ("code", "options"),
    [
        (Code.OK, {}),
        (Code.ABORTED, {"http": 204}),
        (Code.ABORTED, {"http": 304}),
        (Code.ABORTED, {"http": 600}),
        (Code.ABORTED, {"headers": [("x-a", "a\r\nb")]}),
        (Code.ABORTED, {"headers": [("x-a", "€")]}),
        (Code.ABORTED, {"headers": [("x a", "b")]}),
    ],
)
def test_no_error(code: Code, options: Any) -> None:
    """What could not be answered as an error is refused where it is made."""
    with pytest.raises(ValueError, match=r"OK|status|header"):
        StatusError(code, "", **options)


def test_long_problems_are_cut() -> None:
    """However long a problem is, the client is told at most 512 bytes of it."""
    assert len(InvalidRequest("x" * 10_000).status.message) <= 512


def retry(seconds: int, nanos: int = 0) -> any_pb2.Any:
    """Return the detail that tells a client how long to wait."""
    packed = any_pb2.Any()
    delay = duration_pb2.Duration(seconds=seconds, nanos=nanos)
    packed.Pack(error_details_pb2.RetryInfo(retry_delay=delay))
    return packed


@pytest.mark.parametrize(
    ("detail", "expected"),
    [
        (retry(3), [b"3"]),
        (retry(3, 1), [b"4"]),
        (retry(0, 1), [b"1"]),
        (retry(0), [b"0"]),
        (retry(10**11), [b"86400"]),
        (retry(-1), []),
        (any_pb2.Any(type_url="x/google.rpc.RetryInfo", value=b"\xff"), []),
        (any_pb2.Any(type_url="x/google.rpc.ErrorInfo"), []),
    ],
)
def test_retry_after(detail: any_pb2.Any, expected: list[bytes]) -> None:
    """RetryInfo is told as Retry-After too, in whole seconds."""
    error = StatusError(Code.UNAVAILABLE, details=[detail, detail])

    assert expected == [value for _, value in error.answer_headers()]


def test_own_retry_after() -> None:
    """A Retry-After of the error's own goes before its details."""
    error = StatusError(Code.UNAVAILABLE, details=[retry(3)], headers=[("Retry-After", "9")])

    assert error.answer_headers() == [(b"retry-after", b"9")]


def test_challenge() -> None:
    """A 401 tells how to authenticate."""
    own = StatusError(Code.UNAUTHENTICATED, headers=[("WWW-Authenticate", "Basic")])

    assert StatusError(Code.UNAUTHENTICATED).answer_headers() == [(b"www-authenticate", b"Bearer")]
    assert own.answer_headers() == [(b"www-authenticate", b"Basic")]
    assert StatusError(Code.PERMISSION_DENIED).answer_headers() == []
