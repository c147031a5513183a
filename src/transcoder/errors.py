"""What can go wrong, as one tree.

    TranscoderError
    ├── ConfigError              at start: a proto, a rule or an option is wrong
    │   └── TemplateError        a path template, with the column
    ├── Unprintable              a message has no JSON form; also a ValueError
    └── StatusError              a request ended with this status
        ├── InvalidRequest       400, names the field
        ├── NotFound             404, no route fits the path
        ├── MethodNotAllowed     405, a route fits the path under other methods
        ├── NotAcceptable        406, none of the answer's media types is accepted
        ├── PayloadTooLarge      413
        └── UnsupportedMedia     415

Everything a client is told comes out of a StatusError. Any other exception is a defect: it is
logged, and the client is told INTERNAL and nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2

from transcoder.status import Code, Status, http_status, shortened

Headers = Sequence[tuple[str, str]]

BEARER = "Bearer"
"""How a client that is not known is told to make itself known, where nobody says it better."""

_DAY = 86_400
_RETRY_INFO = "google.rpc.RetryInfo"
_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(r"[\x20-\x7e]*")


SHUTTING_DOWN = "the server is shutting down"
"""What a client is told, on both ports, of a call that a drain cuts off or refuses."""


NAME_LIMIT = 64
"""Characters that an answer repeats of a name which a client made up."""


class TranscoderError(Exception):
    """Root of all errors of this package."""


class ConfigError(TranscoderError):
    """A proto, a rule or an option is wrong; raised at start, in one line."""


class TemplateError(ConfigError):
    """A path template is wrong.

    Args:
        template: the template as it was written.
        column: where, counted from 1.
        problem: what was expected or found there.
    """

    def __init__(self, template: str, column: int, problem: str) -> None:
        super().__init__(f"{template!r}, column {column}: {problem}")
        self.template = template
        self.column = column
        self.problem = problem


class Unprintable(TranscoderError, ValueError):
    """A message has no JSON form; the text holds nothing of the message, and may be logged.

    Args:
        name: the full name of its type.
        problem: what is wrong.
        path: where, as a JSON path; empty when it is the message itself.
    """

    def __init__(self, name: str, problem: str, path: str = "") -> None:
        where = f"{path}: " if path else ""
        super().__init__(f"{name} has no JSON form: {where}{problem}")


class StatusError(TranscoderError):
    """A request ended with a status other than OK.

    Args:
        code: the gRPC code.
        message: what the client is told.
        details: packed messages of `google/rpc/error_details.proto` or others.
        http: the HTTP status, from 400 to 599; the default is the code's own.
        headers: further HTTP headers of the answer.

    Raises:
        ValueError: OK is no error, the HTTP status is none of an error, or a header cannot be sent.
    """

    log = ""
    """Why, for the line in the log and nobody else."""

    def __init__(
        self,
        code: Code,
        message: str = "",
        details: Sequence[any_pb2.Any] = (),
        *,
        http: int | None = None,
        headers: Headers = (),
    ) -> None:
        super().__init__(message)
        if code == Code.OK:
            raise ValueError("OK is no error")
        self.status = Status(Code(code), message, tuple(details))
        self.http = http_status(self.status.code) if http is None else http
        if not 400 <= self.http <= 599:
            raise ValueError(f"{self.http} is no HTTP status of an error")
        self.headers = tuple(headers)
        for name, value in self.headers:
            if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
                raise ValueError(f"header {name!r} cannot be sent with this value")

    def answer_headers(self) -> list[tuple[bytes, bytes]]:
        """Return the headers of the answer: those given, and those that HTTP wants beside.

        A 401 has a `WWW-Authenticate` (RFC 9110, section 11.6.1), and what `google.rpc.RetryInfo`
        says among the details is said by `Retry-After` too, in whole seconds.
        """
        headers = [(name.lower(), value) for name, value in self.headers]
        given = {name for name, _ in headers}
        if self.http == 401 and "www-authenticate" not in given:
            headers.append(("www-authenticate", BEARER))
        if self.status.details and "retry-after" not in given:
            headers += [("retry-after", str(each)) for each in _delays(self.status.details)[:1]]
        return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


class InvalidRequest(StatusError):
    """The client sent something that does not fit the method's request.

    Args:
        problem: what was expected, and found; never the whole value.
        field: the path, query or JSON name the client used; it goes into `BadRequest` details.
    """

    def __init__(self, problem: str, field: str = "") -> None:
        problem = shortened(problem)
        details = []
        if field:
            field = shortened(field, 128)
            violation = error_details_pb2.BadRequest.FieldViolation(
                field=field, description=problem
            )
            packed = any_pb2.Any()
            packed.Pack(error_details_pb2.BadRequest(field_violations=[violation]))
            details.append(packed)
        message = f"{field}: {problem}" if field else problem
        super().__init__(Code.INVALID_ARGUMENT, message, details)
        self.problem = problem
        self.field = field


def _delays(details: Sequence[any_pb2.Any]) -> list[int]:
    """Return the seconds that the details tell to wait, each rounded up and at most a day."""
    delays = []
    for packed in details:
        if packed.type_url.rpartition("/")[2] == _RETRY_INFO:
            try:
                delay = error_details_pb2.RetryInfo.FromString(packed.value).retry_delay
            except DecodeError:
                continue
            delays.append(delay.seconds + (delay.nanos > 0))
    return [min(delay, _DAY) for delay in delays if delay >= 0]


class NotFound(StatusError):
    """No route fits the path."""

    def __init__(self, message: str = "no route matches this path") -> None:
        super().__init__(Code.NOT_FOUND, message)


class MethodNotAllowed(StatusError):
    """A route fits the path, but under other HTTP methods.

    Args:
        allow: those methods, for the `Allow` header (RFC 9110, section 10.2.1).
        http: 405, or what the profile answers instead.
    """

    def __init__(self, allow: Sequence[str], http: int = 405) -> None:
        listed = ", ".join(allow)
        super().__init__(
            Code.UNIMPLEMENTED,
            f"this path answers {listed}",
            http=http,
            headers=[("allow", listed)],
        )
        self.allow = tuple(allow)


class NotAcceptable(StatusError):
    """The client accepts none of the media types that the method answers with.

    Args:
        types: those that it does.
    """

    def __init__(self, types: Sequence[str]) -> None:
        message = f"this method answers {' or '.join(types)}"
        super().__init__(Code.INVALID_ARGUMENT, message, http=406)


class PayloadTooLarge(StatusError):
    """The request's body is over the limit, in bytes."""

    def __init__(self, limit: int) -> None:
        super().__init__(
            Code.RESOURCE_EXHAUSTED,
            f"the body is over the limit of {limit} bytes",
            http=413,
            # The rest of the body is not read.
            headers=[("connection", "close")],
        )


class UnsupportedMedia(StatusError):
    """The request's body is of a media type that no marshaler takes."""

    def __init__(self, message: str) -> None:
        super().__init__(Code.INVALID_ARGUMENT, message, http=415)
