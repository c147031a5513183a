"""What it costs to check a request by the rules of protovalidate.

    python benchmarks/validation.py

The messages and their rules are those of the example service. CPU time of one message, the best of
many rounds: what else the machine does only adds. Exit code 1: a gate was missed.

Left out: decoding before, everything around.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from protovalidate import Validator

from services.user.v1 import user_service_pb2
from transcoder.errors import StatusError
from transcoder.http_rule import bindings
from transcoder.validation import Validation

ROUNDS = 25
SECONDS = 0.02
"""Of a processor, for one round."""

EXAMPLE: dict[str, Any] = {
    "id": "ada",
    "name": "Ada Lovelace",
    "email": "ada@example.com",
    "role": 2,
    "quota_bytes": 1 << 30,
    "tags": ["mathematics", "poetry", "engines"],
    "labels": {"team": "analysis", "floor": "2"},
    "phone": "+41446681800",
    "address": {"street": "12 St James Square", "city": "London", "region_code": "GB"},
    "newsletter": True,
}


class Case(NamedTuple):
    """What is checked and the microseconds that it may cost; no limit means only shown."""

    what: str
    call: Callable[[], object]
    limit: float | None


def cost(case: Case) -> float:
    """Return the CPU time of one call in microseconds, the best of some rounds.

    A processor that has slowed down for a while is waited out: more rounds are taken, up to a
    limit, while the gate is missed.
    """
    calls, best = 10, float("inf")
    for turn in range(8 * ROUNDS):
        start = time.process_time()
        for _ in range(calls):
            case.call()
        best = min(best, (time.process_time() - start) / calls * 1e6)
        calls = max(1, int(SECONDS * 1e6 / best))
        if turn > ROUNDS and (case.limit is None or best <= case.limit):
            break
    return best


def cases() -> list[Case]:
    """Return what is checked, with the gates."""
    service = user_service_pb2.DESCRIPTOR.services_by_name["UserService"]
    (binding,) = bindings(service.methods_by_name["CreateUser"])
    request = user_service_pb2.CreateUserRequest(user=EXAMPLE)
    other: Any = {**EXAMPLE, "email": "ada", "quota_bytes": -1}
    wrong = user_service_pb2.CreateUserRequest(user=other)
    plain = user_service_pb2.WatchUsersRequest(id="ada")
    validation, library = Validation(), Validator()

    def refused() -> None:
        try:
            validation.over_http(wrong, binding, b"", b"{}")
        except StatusError:
            return
        raise AssertionError("it is not valid")

    refused()
    return [
        Case("the example user", lambda: validation.over_http(request, binding, b"", b"{}"), 10),
        Case("the same on the gRPC port", lambda: validation(request), 10),
        Case("by the library alone", lambda: library.collect_violations(request), None),
        Case("two violations, and their answer", refused, None),
        Case("a message without rules", lambda: validation(plain), 0.5),
    ]


def main() -> int:
    """Print the table; return 1 if a gate was missed."""
    missed = False
    for case in cases():
        figure = cost(case)
        over = case.limit is not None and figure > case.limit
        limit = "" if case.limit is None else f"<= {case.limit:g}"
        print(f"{case.what:34} {figure:8.2f} us {limit:7} {'MISSED' if over else ''}".rstrip())
        missed = missed or over
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
