"""What becomes of the refusals of other services, and in which words the order tells them."""

from __future__ import annotations

import logging
from typing import cast

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from grpc_status import rpc_status

from services.order.placed import FOR_GOOD
from transcoder import Code, StatusError

_AGAIN = RetryInfo(retry_delay=Duration(seconds=1))

_log = logging.getLogger(__name__)


def failure(error: grpc.aio.AioRpcError, service: str) -> Status:
    """Return what the customer is told of a call that failed.

    Args:
        error: what the call ended with.
        service: which service was called.
    """
    code = Code(error.code().value[0])
    if code in FOR_GOOD:
        # Typed for calls that block, and asks for what these have, too.
        told = rpc_status.from_call(cast("grpc.Call", error))
        return told or Status(code=int(code), message=error.details() or "")
    _log.warning("the %s failed: %s: %s", service, code.name, error.details())
    match code:
        case Code.UNAVAILABLE:
            problem = f"the {service} cannot be reached: send the request again"
        case Code.DEADLINE_EXCEEDED:
            problem = f"the {service} has not answered in time: send the request again"
        case _:
            return Status(code=int(Code.INTERNAL), message="the order cannot be carried out")
    return Status(code=int(code), message=problem, details=[_packed(_AGAIN)])


def refused(failure: Status) -> StatusError:
    """Return the refusal that tells a customer why an order failed."""
    return StatusError(Code(failure.code), failure.message, failure.details)


def _packed(detail: RetryInfo) -> Any:
    packed = Any()
    packed.Pack(detail)
    return packed
