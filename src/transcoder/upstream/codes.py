"""gRPC's own spelling of status codes, and what a servicer may do with them."""

from __future__ import annotations

from typing import Any

import grpc
import grpc.aio

_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


def number_of(code: grpc.StatusCode | int | None) -> int:
    """Return the number of a code that a servicer set; None, for nothing set, is OK."""
    if code is None:
        return 0
    return int(code.value[0]) if isinstance(code, grpc.StatusCode) else code


def status_code(code: grpc.StatusCode | int | None) -> grpc.StatusCode:
    """Return gRPC's member for a code; a number outside the table is UNKNOWN."""
    return _BY_NUMBER.get(number_of(code), grpc.StatusCode.UNKNOWN)


def to_abort(code: Any) -> Any:
    """Return the code that a servicer aborts with.

    Raises:
        UsageError: it is OK, which no call can be aborted with.
    """
    if number_of(code) == 0:
        raise grpc.aio.UsageError("abort() was called with OK")
    return code
