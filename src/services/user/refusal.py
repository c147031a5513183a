"""How the service refuses: a status with the details that `google/rpc/error_details.proto` has."""

from __future__ import annotations

from dataclasses import dataclass

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, PreconditionFailure, ResourceInfo
from google.rpc.status_pb2 import Status

VIOLATION_LIMIT = 10
"""Violations that an answer lists; trailers of gRPC have little room (8 KiB)."""

_NAME_LIMIT = 64
"""Characters of an id or email that an answer repeats; any id has its place."""

_USER = "services.user.v1.User"


@dataclass(frozen=True, slots=True)
class Violation:
    """A field that is not as it must be.

    Args:
        field: its path in the request.
        problem: what it must be.
    """

    field: str
    problem: str


class Refused(Exception):
    """A call ends with this status."""

    def __init__(self, code: grpc.StatusCode, message: str, *details: Message) -> None:
        super().__init__(message)
        self.status = Status(code=code.value[0], message=message, details=map(_packed, details))


def invalid(*violations: Violation) -> Refused:
    """Return the refusal of a request whose fields are not as they must be.

    >>> print(invalid(Violation("page_size", "must not be negative")))
    page_size: must not be negative
    """
    shown = violations[:VIOLATION_LIMIT]
    more = len(violations) - 1
    message = f"{shown[0].field}: {shown[0].problem}" + (f" (and {more} more)" if more else "")
    fields = [
        BadRequest.FieldViolation(field=violation.field, description=violation.problem)
        for violation in shown
    ]
    return Refused(grpc.StatusCode.INVALID_ARGUMENT, message, BadRequest(field_violations=fields))


def missing(key: str, problem: str = "no such user") -> Refused:
    """Return the refusal of a call for something that is not there.

    Args:
        key: the id or email that was asked for.
        problem: what is not there.

    >>> status = missing("ann").status
    >>> info = ResourceInfo()
    >>> status.details[0].Unpack(info), info.resource_name
    (True, 'ann')
    """
    info = ResourceInfo(resource_type=_USER, resource_name=key[:_NAME_LIMIT], description=problem)
    return Refused(grpc.StatusCode.NOT_FOUND, problem, info)


def taken(field: str, value: str) -> Refused:
    """Return the refusal of a user whose `id` or `email` is that of another."""
    problem = f"another user has this {field}"
    info = ResourceInfo(resource_type=_USER, resource_name=value[:_NAME_LIMIT], description=problem)
    return Refused(grpc.StatusCode.ALREADY_EXISTS, problem, info)


def changed() -> Refused:
    """Return the refusal of a change to a user that someone else has changed since."""
    message = "someone else changed the user meanwhile: read it again, and repeat the change"
    return Refused(grpc.StatusCode.ABORTED, message)


def failed_precondition(kind: str, subject: str, problem: str) -> Refused:
    """Return the refusal of a call that the state of a user does not allow.

    Args:
        kind: which condition does not hold, in capitals.
        subject: the id of the user.
        problem: the condition in words.
    """
    violation = PreconditionFailure.Violation(type=kind, subject=subject, description=problem)
    return Refused(
        grpc.StatusCode.FAILED_PRECONDITION, problem, PreconditionFailure(violations=[violation])
    )


def unavailable() -> Refused:
    """Return the refusal of a call while the database cannot be reached."""
    return Refused(grpc.StatusCode.UNAVAILABLE, "the users cannot be reached: try again")


def _packed(detail: Message) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed
