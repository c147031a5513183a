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

LINE_LIMIT: Final = 8192
"""Bytes of a line."""

SECRET: Final = frozenset(
    {"authorization", "cookie", "proxy-authorization", "set-cookie", "x-api-key"}
)
"""Headers that no allow list may name."""

_PATH_LIMIT: Final = 1024
_TEXT_LIMIT: Final = 256
_TRACE = re.compile(rb"00-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def check_headers(option: str, names: Collection[str]) -> tuple[str, ...]:
    """Return the names of an allow list, in lower case.

    Raises:
        ConfigError: one of them holds secrets.
    """
    listed = tuple(name.lower() for name in names)
    for name in listed:
        if name in SECRET:
            raise ConfigError(f"{option}: {name} holds secrets and is never logged")
    return listed


def started(call: CallDetails) -> dict[str, Any]:
    """Return the record of a stream that has begun."""
    return {"time": _time(call.wall), "event": "stream-start", **_asked(call)}


def ended(call: CallDetails, headers: Collection[str] = ()) -> dict[str, Any]:
    """Return the record of a call that is over.

    Args:
        call: which.
        headers: those of the request that are told, in lower case.
    """
    seconds = max(0.0, call.ended - call.started)
    record = {
        "time": _time(call.wall + seconds),
        "event": "stream" if call.streams else "call",
        **_asked(call),
        "http_status": call.http_status or None,
        "code": None if call.code is None else call.code.name,
        "duration_ms": _milliseconds(seconds),
        "upstream_ms": _milliseconds(call.upstream_seconds),
        "received_bytes": call.received,
        "sent_bytes": call.sent,
        "received_messages": call.received_messages if call.streams else None,
        "sent_messages": call.sent_messages if call.streams else None,
        "subject": None if call.principal is None else _text(call.principal.subject),
        "denied_by": call.denied_by or None,
        "reason": call.reason or None,
        "headers": _told(call, headers) or None,
    }
    return {key: value for key, value in record.items() if value is not None}


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


def _asked(call: CallDetails) -> dict[str, Any]:
    agent = call.all(b"user-agent")
    # What an observer says of it comes before what the client does.
    told = [value for key, value in call.metadata if key == "traceparent"]
    trace = str(told[0]).encode() if told else call.one(b"traceparent") or b""
    found = _TRACE.fullmatch(trace)
    record = {
        "door": call.door,
        "method": call.method or None,
        "http_method": None if call.door == "grpc" else _text(call.http_method, 32),
        "route": call.template or None,
        "path": _text(call.path, _PATH_LIMIT),
        "peer": call.peer or "unix",
        "user_agent": _text(agent[0].decode("latin-1")) if agent else None,
        "request_id": call.request_id,
        "trace_id": None if found is None else found[1].decode(),
    }
    return {key: value for key, value in record.items() if value is not None}


def _told(call: CallDetails, names: Collection[str]) -> dict[str, str]:
    told = {}
    for name in names:
        values = call.all(name.encode("latin-1"))
        if values:
            told[name] = _text(b", ".join(values).decode("latin-1"))
    return told


def _text(text: str, limit: int = _TEXT_LIMIT) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def _time(seconds: float) -> str:
    whole = int(seconds)
    return f"{_second(whole)}.{int((seconds - whole) * 1000):03}Z"


@functools.lru_cache(16)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 3)
