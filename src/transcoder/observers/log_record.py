"""A call as a record of the access log.

What comes from outside is cut to a length, and never holds a byte that a terminal would obey: the
record is ASCII, with escapes. Headers are told by an allow list; tokens and cookies are in none.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.metadata import is_header
from transcoder.status import Code

LINE_LIMIT: Final = 8192
"""Bytes of a line."""

SECRET: Final = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"}
)
"""Headers that no allow list may name."""

_CODES: Final = tuple(code.name for code in sorted(Code))
_PATH_LIMIT: Final = 1024
_VERB_LIMIT: Final = 32
_TEXT_LIMIT: Final = 256
_TRACE = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-((?!0{16})[0-9a-f]{16})-[0-9a-f]{2}")


def check_headers(option: str, names: Collection[str]) -> tuple[str, ...]:
    """Return the names of an allow list, in lower case.

    Raises:
        ConfigError: one of them holds secrets, or is the name of no header.
    """
    listed = tuple(name.lower() for name in names)
    for name in listed:
        if not is_header(name.encode(), b""):
            raise ConfigError(f"{option}: {name!r} is no name of a header")
        if name in SECRET:
            raise ConfigError(f"{option}: {name} holds secrets and is never logged")
    return listed


def started(call: CallDetails) -> dict[str, Any]:
    """Return the record of a stream that has begun."""
    record: dict[str, Any] = {"time": _time(call.wall), "event": "stream-start"}
    _ask(call, record)
    return record


def ended(call: CallDetails, headers: Collection[str] = ()) -> dict[str, Any]:
    """Return the record of a call that is over.

    Args:
        call: which.
        headers: those of the request that are told, in lower case.
    """
    seconds = max(0.0, call.ended - call.started)
    record: dict[str, Any] = {
        "time": _time(call.wall + seconds),
        "event": "stream" if call.streams else "call",
    }
    _ask(call, record)
    if call.http_status:
        record["http_status"] = call.http_status
    if call.code is not None:
        record["code"] = _CODES[call.code]
    # To whole microseconds, by what takes a third of the time that `round` does.
    record["duration_ms"] = int(seconds * 1e6 + 0.5) / 1000
    record["upstream_ms"] = int(call.upstream_seconds * 1e6 + 0.5) / 1000
    record["received_bytes"] = call.received
    record["sent_bytes"] = call.sent
    if call.streams:
        record["received_messages"] = call.received_messages
        record["sent_messages"] = call.sent_messages
    if call.principal is not None:
        record["subject"] = _text(call.principal.subject)
    if call.denied_by:
        record["denied_by"] = call.denied_by
    if call.reason:
        record["reason"] = call.reason
    told = _told(call, headers) if headers else None
    if told:
        record["headers"] = told
    return record


def line(record: Mapping[str, Any]) -> bytes:
    r"""Return a record as one line of JSON, of LINE_LIMIT bytes at most.

    >>> line({"path": "/a\x1b[31m\x7f"})
    b'{"path":"/a\\u001b[31m\\u007f"}\n'
    """
    text = _json(record)
    if len(text) >= LINE_LIMIT:
        text = _json({key: value for key, value in record.items() if key != "headers"})
    return text + b"\n"


def _json(record: Mapping[str, Any]) -> bytes:
    quick = orjson.dumps(record)
    if quick.isascii() and b"\x7f" not in quick:
        return quick
    # DEL is the one control character that JSON lets pass.
    return json.dumps(record, separators=(",", ":")).replace("\x7f", "\\u007f").encode()


def _ask(call: CallDetails, record: dict[str, Any]) -> None:
    """Add what a call asks."""
    record["door"] = call.door
    if call.method:
        record["method"] = call.method
    if call.door != "grpc":
        verb = call.http_method
        record["http_method"] = verb if len(verb) <= _VERB_LIMIT else _cut(verb, _VERB_LIMIT)
    if call.template:
        record["route"] = call.template
    path = call.path
    record["path"] = path if len(path) <= _PATH_LIMIT else _cut(path, _PATH_LIMIT)
    record["peer"] = call.peer or "unix"
    # One look at all headers: whatever is told of them is rarely among the first.
    agent = trace = None
    traces = 0
    for key, value in call.headers:
        if key == b"user-agent":
            agent = value if agent is None else agent
        elif key == b"traceparent":
            trace, traces = value, traces + 1
    if agent:
        record["user_agent"] = _text(agent.decode("latin-1"))
    record["request_id"] = call.request_id
    if traces or call.metadata:
        _trace(call, trace if traces == 1 else None, record)


def _trace(call: CallDetails, sent: bytes | None, record: dict[str, Any]) -> None:
    """Add of which trace a call is part; `sent` is what the client says of it."""
    told = None
    for key, value in call.metadata:
        if key == "traceparent":
            told = str(value).encode()
            break
    if sent is None and told is None:
        return
    parent = None if sent is None else _TRACE.fullmatch(sent)
    span = None if told is None else _TRACE.fullmatch(told)
    # What an observer says of it comes before what the client does.
    if found := span or parent:
        record["trace_id"] = found[1].decode()
    # A tracer that is switched off tells the client's span again.
    if span is not None and (parent is None or span[2] != parent[2]):
        record["span_id"] = span[2].decode()
    if parent is not None:
        record["parent_span_id"] = parent[2].decode()


def _told(call: CallDetails, names: Collection[str]) -> dict[str, str]:
    told = {}
    for name in names:
        values = call.all(name.encode("latin-1"))
        if values:
            told[name] = _text(b", ".join(values).decode("latin-1"))
    return told


def _text(text: str) -> str:
    return text if len(text) <= _TEXT_LIMIT else _cut(text, _TEXT_LIMIT)


def _cut(text: str, limit: int) -> str:
    return text[: limit - 3] + "..."


def _time(seconds: float) -> str:
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1_000_000):06}Z"


@functools.lru_cache(16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
