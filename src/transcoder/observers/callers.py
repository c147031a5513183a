"""Who calls: by the name in the client's certificate, or all others together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, TypeAlias

from transcoder.call_details import CallDetails
from transcoder.durations import BUCKETS, Durations
from transcoder.peer_certificate import NAMES
from transcoder.status import FAULTS, Code
from transcoder.topology import CLIENTS

CALLERS: Final = 64
"""Names that are told apart; those that come later are clients like all others."""

OUTCOMES: Final = ("answered", "failed")
"""How a call ended: a failed one is the server's fault."""

_NAME_LIMIT = 256

Taken: TypeAlias = "dict[tuple[str, ...], tuple[list[int], float]]"


class Callers:
    """Counts the calls of those that have a certificate, by its first name and by outcome."""

    def __init__(self) -> None:
        # By the name as it came: it is read when somebody asks.
        self._durations: dict[tuple[bytes, bool], Durations] = {}

    def count(self, call: CallDetails, seconds: float, place: int) -> None:
        """Count a call that is over, whose caller may have shown a certificate.

        Args:
            call: which.
            seconds: that it took.
            place: of the bucket that these belong to.
        """
        names = call.identity.get(NAMES)
        if not names:
            return
        code = call.code
        key = names[0], code is not Code.OK and is_failed(code, call.http_status)
        durations = self._durations.get(key)
        if durations is None:
            if len(self._durations) >= CALLERS * len(OUTCOMES):
                return
            durations = self._durations[key] = Durations()
        durations.counts[place] += 1
        durations.total += seconds

    def taken(self) -> Taken:
        """Return the durations, by name and outcome."""
        found: Taken = {}
        for (name, failed), each in list(self._durations.items()):
            key = name.decode("utf-8", "replace")[:_NAME_LIMIT], OUTCOMES[failed]
            if key[0] != CLIENTS:
                found[key] = list(each.counts), each.total
        return found


def with_clients(
    named: Taken, calls: Iterable[tuple[Code | None, int, Sequence[int], float]]
) -> Taken:
    """Return durations by caller and outcome, of those without a name too.

    Args:
        named: of those that have one.
        calls: code, HTTP status, durations in buckets and their sum, of all.
    """
    nothing = [0] * (len(BUCKETS) + 1)
    rest: dict[str, tuple[list[int], float]] = dict.fromkeys(OUTCOMES, (nothing, 0.0))
    for code, status, counts, seconds in calls:
        outcome = OUTCOMES[is_failed(code, status)]
        before, total = rest[outcome]
        rest[outcome] = [a + b for a, b in zip(before, counts, strict=True)], total + seconds
    for (_, outcome), (counts, seconds) in named.items():
        whole, total = rest[outcome]
        left = [a - b for a, b in zip(whole, counts, strict=True)]
        rest[outcome] = left, max(0.0, total - seconds)
    return {**{(CLIENTS, outcome): found for outcome, found in rest.items()}, **named}


def is_failed(code: Code | None, status: int) -> bool:
    """Say whether it was the server that failed a call, by its code and HTTP status."""
    return status >= 500 if code is None else code in FAULTS
