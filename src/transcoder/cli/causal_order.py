"""Records of access logs in the order in which one caused the other.

A record is about a call, or about a stream that begins; both records of a stream are one call here.
What caused a call is the one whose span is the parent of its span. Without spans it is the one of
another log that ran before, during and after it: clocks then have to agree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple


@dataclass(slots=True, eq=False)
class Call:
    """A call in one process.

    Args:
        log: that tells of it.
        began: when, in seconds.
        records: of it, in order.
        ended: when; endless for a stream whose end no log tells.
        depth: how many calls stand between it and the first one.
        caused: the calls that it made.
    """

    log: str
    began: float
    records: list[dict[str, Any]]
    ended: float = float("inf")
    depth: int = 0
    caused: list[Call] = field(default_factory=list)

    @property
    def span(self) -> str | None:
        """The id of its span, if it has one."""
        return self.records[0].get("span_id")

    @property
    def parent(self) -> str | None:
        """The id of the span that caused it, if it is known."""
        return self.records[0].get("parent_span_id")


class Line(NamedTuple):
    """A record, and where it stands."""

    log: str
    depth: int
    record: dict[str, Any]


def record_of(line: bytes) -> dict[str, Any] | None:
    """Return the record that a line is; None if it is none."""
    try:
        found = json.loads(line)
        datetime.fromisoformat(found["time"])
        float(found.get("duration_ms", 0))
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def ordered(records: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[Line]:
    """Yield records, given with their logs, each behind what caused it."""
    calls = sorted(_calls(records), key=lambda call: (call.began, -call.ended))
    first = _caused(calls)
    seen: set[Call] = set()
    # Calls that forged parents have in a ring are behind no other.
    for call in (*first, *calls):
        yield from _lines(call, seen)


def _calls(records: Iterable[tuple[str, dict[str, Any]]]) -> list[Call]:
    """Return the calls that records are about; a stream's two records are one's."""
    found: list[Call] = []
    open_streams: dict[tuple[Any, ...], list[Call]] = {}
    for log, record in records:
        at = datetime.fromisoformat(record["time"]).timestamp()
        key = log, *(record.get(name) for name in ("span_id", "door", "method", "path", "peer"))
        if record.get("event") == "stream-start":
            call = Call(log, at, [record])
            open_streams.setdefault(key, []).append(call)
        elif begun := open_streams.get(key):
            call = begun.pop(0)
            call.records.append(record)
            call.ended = at
            continue
        else:
            call = Call(log, at - float(record.get("duration_ms", 0)) / 1000, [record], at)
        found.append(call)
    return found


def _caused(calls: list[Call]) -> list[Call]:
    """Tell calls what they caused; return those that nothing caused."""
    by_span = {call.span: call for call in calls if call.span is not None}
    first: list[Call] = []
    running: list[Call] = []
    for call in calls:
        running = [each for each in running if each.ended >= call.began]
        cause = None if call.parent is None else by_span.get(call.parent)
        if cause is None and call.span is None:
            cause = _around(call, running)
        (first if cause is None or cause is call else cause.caused).append(call)
        running.append(call)
    return first


def _around(call: Call, running: Iterable[Call]) -> Call | None:
    """Return the shortest call of another log in which all of a call happened."""
    around = [each for each in running if each.log != call.log and each.ended >= call.ended]
    return min(around, key=lambda each: each.ended - each.began, default=None)


def _lines(call: Call, seen: set[Call]) -> Iterator[Line]:
    """Yield the records of a call, and of all that it caused between them."""
    waiting: list[Call | Line] = [call]
    while waiting:
        each = waiting.pop()
        if isinstance(each, Line):
            yield each
        elif each not in seen:
            seen.add(each)
            begun, *over = (Line(each.log, each.depth, record) for record in each.records)
            yield begun
            for caused in each.caused:
                caused.depth = each.depth + 1
            waiting += [*over, *reversed(each.caused)]
