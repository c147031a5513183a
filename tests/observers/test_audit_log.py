from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from entrances import call_each, known
from transcoder import Code, StatusError
from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.observers import AuditLog
from transcoder.policies import Denied
from transcoder.policies.ip_filter import IpFilter
from transcoder.policies.rate_limit import RateLimit
from transcoder.policies.request_id import RequestId

NO = Denied(Code.PERMISSION_DENIED, "no", reason="not-allowed")


def records(path: Path) -> list[dict[str, Any]]:
    """Return what stands in a log."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_each_decision(tmp_path: Path) -> None:
    """Each decision is a line: who, what, where from, by which policy and how it came out."""
    path = tmp_path / "audit"
    log, call = AuditLog(path), CallDetails("grpc", method="a.B.C", path="/a.B/C", peer="192.0.2.1")
    call.headers = [(b"x-request-id", b"r1")]
    log.decided(call, "ip-filter", None)
    call.principal = known("ann", issuer="https://issuer.example")
    log.decided(call, "authorization", NO)
    first, second = records(path)
    assert {key: first[key] for key in ("policy", "outcome", "resource", "request_id")} == {
        "policy": "ip-filter",
        "outcome": "allowed",
        "resource": "/a.B/C",
        "request_id": "r1",
    }
    assert "subject" not in first
    assert (second["outcome"], second["reason"]) == ("refused", "not-allowed")
    assert (second["subject"], second["issuer"]) == ("ann", "https://issuer.example")


def test_each_entrance(tmp_path: Path) -> None:
    """Calls through every entrance leave a line for each policy that they met."""
    path = tmp_path / "audit"
    policies = [RequestId(), IpFilter(deny=["127.0.0.1"]), RateLimit("1000/second")]
    call_each({}, policies=policies, observers=[AuditLog(path)])
    told = [(each["policy"], each["outcome"]) for each in records(path)]
    assert told == [("request-id", "allowed"), ("ip-filter", "refused")] * 5


def test_full_closed() -> None:
    """Where a decision cannot be written, the call is refused, through every entrance."""
    log = AuditLog("/dev/full")
    outcomes = call_each({}, policies=[RequestId()], observers=[log])
    assert {calls[0].code for calls in outcomes.values()} == {Code.UNAVAILABLE}
    assert all(calls[0].seen == {} for calls in outcomes.values())
    assert log.failures == 5


def test_full_spooled(tmp_path: Path) -> None:
    """Or it is spooled, and the calls go on."""
    spool = tmp_path / "spool"
    log = AuditLog("/dev/full", when_full="spool", spool=spool)
    outcomes = call_each({}, policies=[RequestId()], observers=[log])
    assert {calls[0].code for calls in outcomes.values()} == {Code.OK}
    assert (len(records(spool)), log.spooled) == (5, 5)


def test_moved_over(tmp_path: Path) -> None:
    """What was spooled comes into the log before what is decided next, and in its order."""
    path, spool = tmp_path / "audit", tmp_path / "spool"
    path.symlink_to("/dev/full")
    log, call = AuditLog(path, when_full="spool", spool=spool), CallDetails("http")
    for name in ("a", "b"):
        log.decided(call, name, None)
    assert log.spooled == 2
    path.unlink()
    log.decided(call, "c", None)
    assert [each["policy"] for each in records(path)] == ["a", "b", "c"]
    assert not spool.exists()


def test_spool_of_before(tmp_path: Path) -> None:
    """So does what a process before this one has spooled."""
    path, spool = tmp_path / "audit", tmp_path / "spool"
    spool.write_text('{"policy":"old"}\n')
    log = AuditLog(path, when_full="spool", spool=spool)
    log.decided(CallDetails("http"), "new", None)
    assert [each["policy"] for each in records(path)] == ["old", "new"]


def test_both_full() -> None:
    """When the spool is full too, the call is refused."""
    log = AuditLog("/dev/full", when_full="spool", spool="/dev/full")
    with pytest.raises(StatusError, match="cannot note its decisions") as caught:
        log.decided(CallDetails("http"), "a", None)
    assert caught.value.log == "the audit log cannot be written: No space left on device"


def test_one_line() -> None:
    """Whatever a client sends, a decision is one line of ASCII."""
    reader, writer = os.pipe()
    everything = "".join(map(chr, range(256)))
    call = CallDetails("http", path=everything, peer=everything)
    call.principal = known(everything * 100)
    AuditLog(f"/dev/fd/{writer}").decided(call, "a", NO)
    os.close(writer)
    text = os.read(reader, 1 << 16)
    os.close(reader)
    assert text.count(b"\n") == 1
    assert all(0x20 <= each < 0x7F for each in text[:-1])
    assert len(text) < 8192


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"path": "/nowhere/audit"}, "audit log: /nowhere/audit: No such file or directory"),
        ({"path": "/dev/null", "when_full": "open"}, "audit log: when_full 'open'"),
    ],
)
def test_wrong_options(options: dict[str, Any], problem: str) -> None:
    """A log that cannot be opened is told at start."""
    with pytest.raises(ConfigError) as caught:
        AuditLog(**options)
    assert str(caught.value).startswith(problem)
