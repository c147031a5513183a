from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from entrances import ENTRANCES, Running, call_each, over_http, run
from transcoder import Code
from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.observers import AccessLog
from transcoder.policies.ip_filter import IpFilter

ASKED = {"x-request-id": "r1", "user-agent": "test", "authorization": "Bearer s3cret"}


def logged(path: Path, **options: Any) -> list[dict[str, Any]]:
    """Return the records of one call through each entrance."""
    call_each(ASKED, observers=[AccessLog(path)], **options)
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_entrance(tmp_path: Path) -> None:
    """Each call has one record when it is over, and a stream one when it begins."""
    records = logged(tmp_path / "log")
    told = [(each["door"], each["event"]) for each in records]
    assert told == [
        ("http", "call"),
        ("http", "stream-start"),
        ("http", "stream"),
        ("websocket", "stream-start"),
        ("websocket", "stream"),
        ("grpc", "call"),
        ("grpc", "stream-start"),
        ("grpc", "stream"),
    ]


def test_same_fields(tmp_path: Path) -> None:
    """Whichever door a call came through, its record says method, route, id and code."""
    records = [each for each in logged(tmp_path / "log") if each["event"] != "stream-start"]
    assert {each["method"].rpartition(".")[2] for each in records} == {"Single", "Tell"}
    assert {each["code"] for each in records} == {"OK"}
    assert {each["request_id"] for each in records} == {"r1"}
    assert [each.get("sent_messages") for each in records] == [None, 1, 1, None, 1]
    assert [each.get("http_status") for each in records] == [200, 200, 101, None, None]
    assert all(each["duration_ms"] >= each["upstream_ms"] > 0 for each in records[:3])
    assert all(each["sent_bytes"] > 0 for each in records)


def test_refused(tmp_path: Path) -> None:
    """A refused call has its record, with who refused it and why."""
    records = logged(tmp_path / "log", policies=[IpFilter(deny=["127.0.0.1"])])
    over = [each for each in records if each["event"] != "stream-start"]
    assert {(each["denied_by"], each["reason"]) for each in over} == {("ip-filter", "address")}
    assert {each["code"] for each in over} == {"PERMISSION_DENIED"}


def test_no_route(tmp_path: Path) -> None:
    """So has one of a path that there is not."""
    path = tmp_path / "log"

    async def fact(running: Running) -> Code:
        return (await over_http(running, {}, "/nothing%20here")).code

    assert run(fact, observers=[AccessLog(path)]) is Code.NOT_FOUND
    (record,) = [json.loads(line) for line in path.read_text().splitlines()]
    assert (record["path"], record["http_status"]) == ("/nothing%20here", 404)
    assert not {"route", "method"} & record.keys()


def test_no_secrets(tmp_path: Path) -> None:
    """No token stands in it."""
    logged(tmp_path / "log")
    assert "s3cret" not in (tmp_path / "log").read_text()


def test_headers(tmp_path: Path) -> None:
    """Headers are told by an allow list."""
    path = tmp_path / "log"
    call_each({"x-tenant": "acme"}, observers=[AccessLog(path, headers=["X-Tenant"])])
    records = [json.loads(line) for line in path.read_text().splitlines()]
    over = [each for each in records if each["event"] != "stream-start"]
    assert [each["headers"] for each in over] == [{"x-tenant": "acme"}] * len(ENTRANCES)


@pytest.mark.parametrize("name", ["authorization", "Cookie"])
def test_wrong_headers(name: str) -> None:
    """A header that holds secrets is told at start."""
    with pytest.raises(ConfigError, match=r"access log: headers: .* holds secrets"):
        AccessLog(headers=[name])


def test_human(tmp_path: Path) -> None:
    """For a person a record is a line with the most important first, and no escapes of others."""
    log = AccessLog(tmp_path / "log", human=True)
    call = CallDetails("http", http_method="GET", path="/v1/\x1b[2J", template="/v1/{id}")
    call.http_status, call.ended = 200, call.started
    log.ended(call)
    log._sink.close(20)
    text = (tmp_path / "log").read_text()
    assert text.count("\n") == 1
    assert "http call" in text
    assert "\\x1b[2J" in text
    assert "\x1b[2J" not in text


def test_full_disk() -> None:
    """Calls are answered whether or not the log can be written."""
    log = AccessLog("/dev/full")
    outcomes = call_each({}, {}, observers=[log])
    assert {each.code for calls in outcomes.values() for each in calls} == {Code.OK}
    # Two calls through each entrance, and the beginnings of three streams twice.
    assert log.dropped == 2 * len(ENTRANCES) + 6


def test_missing_folder(tmp_path: Path) -> None:
    """A file whose folder is missing is told at start, for nothing could be written there."""
    with pytest.raises(ConfigError, match="there is no folder"):
        AccessLog(tmp_path / "nowhere" / "access.log")
