"""How services refuse: a status with the details that `google/rpc/error_details.proto` has."""

from __future__ import annotations

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, ResourceInfo

from transcoder import Code, StatusError

_NAME_LIMIT = 64
"""Characters of an id that an answer repeats."""


def refused(code: Code, problem: str, *details: Message) -> StatusError:
    """Return the refusal of a call, with details."""
    packed = []
    for detail in details:
        packed.append(Any())
        packed[-1].Pack(detail)
    return StatusError(code, problem, packed)


def precondition(domain: str, reason: str, problem: str, **metadata: str) -> StatusError:
    """Return the refusal of a call that the state of things does not allow.

    Args:
        domain: whose word the reason is, as `payment.example.com`.
        reason: in capitals, for programs (AIP-193).
        problem: the same in words.
        metadata: what it is about, under names in camel case.

    >>> error = precondition("payment.example.com", "CARD_DECLINED", "the card is declined")
    >>> error.status.code.name, error.http
    ('FAILED_PRECONDITION', 400)
    """
    info = ErrorInfo(domain=domain, reason=reason, metadata=metadata)
    return refused(Code.FAILED_PRECONDITION, problem, info)


def missing(kind: str, name: str) -> StatusError:
    """Return the refusal of a call for a resource that is not there.

    Args:
        kind: full name of the resource's message.
        name: the id that was asked for.
    """
    problem = f"no such {kind.rpartition('.')[2].lower()}"
    info = ResourceInfo(resource_type=kind, resource_name=name[:_NAME_LIMIT], description=problem)
    return refused(Code.NOT_FOUND, problem, info)


def invalid(field: str, problem: str) -> StatusError:
    """Return the refusal of a request whose field is not as it must be.

    >>> print(invalid("page_token", "is none of this list"))
    page_token: is none of this list
    """
    violation = BadRequest.FieldViolation(field=field, description=problem)
    bad = BadRequest(field_violations=[violation])
    return refused(Code.INVALID_ARGUMENT, f"{field}: {problem}", bad)


def reused() -> StatusError:
    """Return the refusal of a request that has the id of another one."""
    return invalid("request_id", "was the id of another request: take a new one")
