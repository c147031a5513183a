from __future__ import annotations

from typing import Any

import pytest

from entrances import ENTRANCES, call_each
from transcoder.call_details import CallDetails, DoorName
from transcoder.observers.failures import KEPT, Failures
from transcoder.policies import IpFilter
from transcoder.status import Code


def over(
    failures: Failures, code: Code | None, status: int = 0, door: DoorName = "http", **more: Any
) -> None:
    """Tell of a call that is over."""
    call = CallDetails(door, **more)
    failures.began(call)
    call.code, call.http_status, call.ended = code, status, call.started + 0.25
    failures.ended(call)


@pytest.mark.parametrize(
    ("code", "status", "kept"),
    [
        (Code.OK, 200, None),
        (None, 200, None),  # A page of the gateway's own.
        (None, 304, None),
        (Code.OK, 101, None),
        (Code.NOT_FOUND, 404, False),
        (None, 404, False),  # Of Starlette's routes.
        (Code.CANCELLED, 0, False),
        (Code.INTERNAL, 500, True),
        (None, 500, True),
        (Code.UNAVAILABLE, 0, True),
    ],
)
def test_what_is_kept(code: Code | None, status: int, *, kept: bool | None) -> None:
    """Failures are kept, and it is known whose fault they are."""
    failures = Failures()
    over(failures, code, status)
    assert [each.is_fault for each in failures.recent.since()] == ([] if kept is None else [kept])


def test_bounded() -> None:
    """Many of one kind push out their own kind alone, and no path is kept whole."""
    failures = Failures()
    over(failures, Code.INTERNAL, 500)
    for number in range(10_000):
        over(failures, Code.NOT_FOUND, 404, path=f"/{number}" + "x" * 10_000)

    found = failures.recent.since()
    assert len(found) == KEPT + 1
    assert (found[0].is_fault, found[-1].number) == (True, 10_001)
    assert max(len(each.path) for each in found) == 256
    assert [each.number for each in failures.recent.since(9_999)] == [10_000, 10_001]


def test_reasons() -> None:
    """Of a refused call the policy, its reason and the request's id are told, on each entrance."""
    failures = Failures()
    headers = {"x-request-id": "r1"}
    call_each(headers, observers=[failures], policies=[IpFilter(deny=["127.0.0.1"])])

    found = failures.recent.since()
    assert len(found) == len(ENTRANCES)
    told = {(each.denied_by, each.reason, each.request_id, each.code) for each in found}
    assert told == {("ip-filter", "address", "r1", "PERMISSION_DENIED")}
