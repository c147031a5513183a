from __future__ import annotations

import json
from typing import Any

import pytest

from entrances import known
from transcoder import Code
from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.observers.log_record import LINE_LIMIT, check_headers, ended, line, started


def over(**options: Any) -> CallDetails:
    """Return a call that is over."""
    call = CallDetails("http", **options)
    call.ended = call.started + 0.0125
    return call


def test_whole() -> None:
    """A record says what was asked, by whom, what came of it and how long it took."""
    trace = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    headers = [(b"user-agent", b"curl"), (b"x-request-id", b"r1"), (b"traceparent", trace)]
    call = over(
        method="a.B.C",
        template="/v1/{id}",
        http_method="GET",
        path="/v1/7",
        headers=[*headers, (b"x-tenant", b"acme")],
        peer="192.0.2.1",
    )
    call.wall = 1_790_000_000.0
    call.http_status, call.code, call.principal = 200, Code.OK, known("ann")
    call.upstream_seconds, call.received, call.sent = 0.01, 3, 7
    assert ended(call, ["x-tenant"]) == {
        "time": "2026-09-21T14:13:20.012500Z",
        "event": "call",
        "door": "http",
        "method": "a.B.C",
        "http_method": "GET",
        "route": "/v1/{id}",
        "path": "/v1/7",
        "peer": "192.0.2.1",
        "user_agent": "curl",
        "request_id": "r1",
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "parent_span_id": "00f067aa0ba902b7",
        "http_status": 200,
        "code": "OK",
        "duration_ms": 12.5,
        "upstream_ms": 10.0,
        "received_bytes": 3,
        "sent_bytes": 7,
        "subject": "ann",
        "headers": {"x-tenant": "acme"},
    }


OURS = "00-4bf92f3577b34da6a3ce929d0e0e4736-b7ad6b7169203331-01"
THEIRS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("sent", "told", "ids"),
    [
        (THEIRS, OURS, {"span_id": "b7ad6b7169203331", "parent_span_id": "00f067aa0ba902b7"}),
        (None, OURS, {"span_id": "b7ad6b7169203331"}),
        (THEIRS, None, {"parent_span_id": "00f067aa0ba902b7"}),
        (THEIRS, THEIRS, {"parent_span_id": "00f067aa0ba902b7"}),  # The tracer is switched off.
        ("junk", OURS, {"span_id": "b7ad6b7169203331"}),
        (None, None, {}),
    ],
)
def test_spans(sent: str | None, told: str | None, ids: dict[str, str]) -> None:
    """A record names the span that was made for the call, and the client's."""
    call = over(headers=[(b"traceparent", sent.encode())] if sent else [])
    if told is not None:
        call.tell_servicer("traceparent", told)
    assert {key: value for key, value in ended(call).items() if "span" in key} == ids


def test_nothing_known() -> None:
    """A call of which nothing is known has a record too."""
    record = json.loads(line(ended(over(http_method=""))))
    assert (record["peer"], record["path"]) == ("unix", "")


def test_stream() -> None:
    """A stream has two: when it begins, and with its messages when it is over."""
    call = over(streams=True)
    call.received_messages, call.sent_messages = 1, 3
    assert started(call)["event"] == "stream-start"
    record = ended(call)
    assert (record["event"], record["received_messages"], record["sent_messages"]) == (
        "stream",
        1,
        3,
    )


def test_refused() -> None:
    """A refused one says by whom, and why."""
    call = over()
    call.denied_by, call.reason = "jwt", "expired"
    record = ended(call)
    assert (record["denied_by"], record["reason"]) == ("jwt", "expired")


@pytest.mark.parametrize(
    "trace",
    [
        b"",
        b"00-" + b"0" * 32 + b"-00f067aa0ba902b7-01",
        b"00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        b"ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-extra",
        b"a" * 4096,
    ],
)
def test_bad_trace(trace: bytes) -> None:
    """A trace that is none is not told."""
    assert "trace_id" not in ended(over(headers=[(b"traceparent", trace)]))


@pytest.mark.parametrize("place", ["path", "agent", "header", "method", "subject"])
def test_every_character(place: str) -> None:
    """Whatever character stands wherever, a record is one line of ASCII, and reads back."""
    everything = "".join(map(chr, range(256)))
    call = over(
        path=everything if place == "path" else "/",
        http_method=everything if place == "method" else "GET",
        headers=[
            (b"user-agent", everything.encode("latin-1") if place == "agent" else b""),
            (b"x-odd", everything.encode("latin-1") if place == "header" else b""),
        ],
    )
    wide = "".join(map(chr, [*range(0x2000, 0x2070), 0xD7FF, 0xE000, 0xFFFF, 0x10FFFF]))
    call.principal = known(wide if place == "subject" else "ann")
    record = ended(call, ["x-odd"])
    text = line(record)
    assert text.endswith(b"\n")
    assert text.count(b"\n") == 1
    assert all(0x20 <= each < 0x7F for each in text[:-1])
    assert json.loads(text) == record


def test_every_code_point() -> None:
    """So is one with any character there is, such as a name that an issuer tells."""
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    for start in range(0, len(points), 512):
        text = "".join(points[start : start + 512])
        written = line({"subject": text}).removesuffix(b"\n")

        assert written.isascii()
        assert not set(written) & {*range(32), 127}
        assert json.loads(written) == {"subject": text}


def test_forged() -> None:
    """What a client writes into a header forges no field."""
    agent = b'a\x1b[31m", "http_status":200, "x":"'
    record = json.loads(line(ended(over(headers=[(b"user-agent", agent)]))))
    assert record["user_agent"] == agent.decode()
    assert "http_status" not in record


def test_length() -> None:
    """A line is never over its limit, however much there is to tell."""
    names = [f"x-{index}" for index in range(60)]
    headers = [(name.encode(), b"\xff" * 5000) for name in names]
    call = over(path="\xff" * 8000, headers=[*headers, (b"user-agent", b"\xff" * 9000)])
    text = line(ended(call, names))
    assert len(text) <= LINE_LIMIT
    record = json.loads(text)
    assert len(record["path"]) == 1024
    assert record["path"].endswith("...")


@pytest.mark.parametrize("name", ["Authorization", "cookie", "X-Api-Key"])
def test_secrets(name: str) -> None:
    """No allow list may name a header that holds secrets."""
    with pytest.raises(ConfigError, match="holds secrets and is never logged"):
        check_headers("access log: headers", ["x-tenant", name])


def test_no_header() -> None:
    """Nor may one name what no header can be called."""
    with pytest.raises(ConfigError, match="access log: headers: 'x a' is no name of a header"):
        check_headers("access log: headers", ["x-tenant", "X a"])
