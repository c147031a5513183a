from __future__ import annotations

import asyncio
import functools
import itertools
import json
import os
import pty
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.sdk.trace import TracerProvider

from backend import SERVICE, Users
from entrances import open_doors
from scraping import asked
from services.user.v1.user_service_pb2_grpc import add_UserServiceServicer_to_server
from transcoder import Channel, Gateway
from transcoder.cli.causal_order import ordered, record_of
from transcoder.observers import AccessLog, Traces

SCRIPT = str(Path(sys.executable).with_name("transcoder"))


def script(*arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [SCRIPT, "logs", *arguments], input=given, capture_output=True, text=True, check=False
    )


def observers(log: Path, *, traced: bool) -> list[Any]:
    """Return the observers of a gateway."""
    return [*([Traces(TracerProvider(shutdown_on_exit=False))] if traced else []), AccessLog(log)]


@pytest.fixture(scope="module", params=[True, False], ids=["spans", "times"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The logs of a gateway and of the backend to which it passes calls on, `front` and `back`."""
    folder = tmp_path_factory.mktemp("logs")

    async def all_of_it() -> None:
        back = Gateway(observers=observers(folder / "back", traced=request.param))
        add_UserServiceServicer_to_server(Users(), back)  # type: ignore[arg-type]
        front = Gateway(observers=observers(folder / "front", traced=request.param))
        async with asyncio.timeout(50), open_doors(back) as behind:
            front.route(SERVICE, Channel(behind.grpc.target))
            async with open_doors(front) as before:
                for name in ("r1", "r2"):
                    headers = {"x-request-id": name}
                    for path in ("/v1/users/7", "/v1/users:watch?id=1", "/v1/none"):
                        ask = functools.partial(asked, before.http.target, path, **headers)
                        await asyncio.to_thread(ask)

    asyncio.run(all_of_it())
    return folder


def told(printed: str) -> list[tuple[str, int, str]]:
    """Return what the lines tell: log, depth, and what it was."""
    lines = [json.loads(line) for line in printed.splitlines()]
    return [(Path(each["log"]).name, each["depth"], each["event"]) for each in lines]


def test_two_processes(folder: Path) -> None:
    """A call of the backend stands behind that of the gateway, whichever log comes first."""
    wanted = [
        ("front", 0, "call"),
        ("back", 1, "call"),
        ("front", 0, "stream-start"),
        ("back", 1, "stream-start"),
        ("back", 1, "stream"),
        ("front", 0, "stream"),
        ("front", 0, "call"),
    ]
    for files in itertools.permutations([str(folder / "front"), str(folder / "back")]):
        done = script("--request-id", "r1", *files)
        assert (done.returncode, done.stderr) == (0, "")
        assert told(done.stdout) == wanted
        assert {json.loads(line)["request_id"] for line in done.stdout.splitlines()} == {"r1"}


def test_standard_input(folder: Path) -> None:
    """One of the logs may come by standard input."""
    given = (folder / "back").read_text()
    done = script("--request-id", "r2", str(folder / "front"), "-", given=given)

    assert {log for log, _, _ in told(done.stdout)} == {"front", "-"}
    assert len(told(done.stdout)) == 7


def test_terminal(folder: Path) -> None:
    """A terminal gets a table, in which a call that another caused is set in."""
    ours, theirs = pty.openpty()
    command = [SCRIPT, "logs", "--request-id", "r1", "front", "back"]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200", "NO_COLOR": "1"}
    subprocess.run(command, check=True, stdout=theirs, env=environment, cwd=folder)
    os.close(theirs)
    head, *rows = os.read(ours, 1 << 16).decode().splitlines()
    os.close(ours)

    assert head.split() == ["time", "log", "call", "code", "ms", "caller", "why"]
    assert " front  services.user.v1.UserService.GetUser " in rows[0]
    assert " back     services.user.v1.UserService.GetUser " in rows[1]
    assert " front  services.user.v1.UserService.WatchUsers begins " in rows[2]
    assert " front  GET /v1/none " in rows[-1]


def test_table(tmp_path: Path) -> None:
    """Who is no terminal gets the table by asking for it, with the caller of each call."""
    record = {"time": "2026-01-01T00:00:00Z", "request_id": "r1", "event": "call"}
    (tmp_path / "log").write_text(json.dumps({**record, "method": "a.B.C", "subject": "ann"}))
    done = script("--table", "--request-id", "r1", str(tmp_path / "log"))

    assert done.stdout.splitlines()[1].split()[2:] == ["a.B.C", "ann"]


def test_unknown(tmp_path: Path) -> None:
    """A request of which no log tells is one line, and exit code 1; a missing file is code 2."""
    (tmp_path / "log").write_text('{"time":"2026-01-01T00:00:00Z","request_id":"r10"}\n')
    done = script("--request-id", "r1", str(tmp_path / "log"))
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "Error: no record of 'r1'\n")
    assert script("--request-id", "r1", str(tmp_path / "none")).returncode == 2


@pytest.mark.parametrize(
    "line",
    [
        b'{"time":"2026-01-01T00:00:00Z","request_id":"r1"',  # The process was killed.
        b"INFO r1",
        b'["r1"]',
        b'{"request_id":"r1"}',
        b'{"time":"now","request_id":"r1"}',
        b'{"time":7,"request_id":"r1"}',
        b'{"time":"2026-01-01T00:00:00Z","request_id":"r1","duration_ms":{}}',
        b"\xff\xfe r1",
    ],
)
def test_no_record(line: bytes) -> None:
    """What is no record is none, whatever it is."""
    assert record_of(line) is None


def test_broken_lines(tmp_path: Path) -> None:
    """How many lines were none is told, and the others count."""
    good = '{"time":"2026-01-01T00:00:00Z","request_id":"r1","event":"call"}'
    (tmp_path / "log").write_text(f"r1\n{good}\nr1 again\n")
    done = script("--request-id", "r1", str(tmp_path / "log"))

    assert told(done.stdout) == [("log", 0, "call")]
    assert done.stderr == f"{tmp_path}/log: 2 lines are no records of an access log\n"


def test_escapes(tmp_path: Path) -> None:
    """What a terminal would obey is found by its name, and stays escaped."""
    record = {"time": "2026-01-01T00:00:00Z", "request_id": "a\x1b[31m\x7f", "event": "call"}
    (tmp_path / "log").write_text(json.dumps(record).replace("\x7f", "\\u007f") + "\n")
    done = script("--request-id", record["request_id"], str(tmp_path / "log"))

    assert done.stdout.isascii()
    assert "\x1b" not in done.stdout
    assert "\x7f" not in done.stdout
    assert json.loads(done.stdout)["request_id"] == record["request_id"]


def record(at: float, span: str | None = None, parent: str | None = None, **more: Any) -> Any:
    """Return a record that is over at a second, with the ids of spans."""
    ids = {"span_id": span, "parent_span_id": parent}
    given = {name: value for name, value in ids.items() if value is not None}
    return {"time": f"2026-01-01T00:00:{at:06.3f}Z", "event": "call", **given, **more}


def order(*records: tuple[str, Any]) -> list[tuple[str, int]]:
    """Return the logs of records in causal order, with their depths."""
    return [(line.log, line.depth) for line in ordered(records)]


def test_clocks() -> None:
    """Spans tell the cause even where clocks do not agree."""
    late, early = record(30, "a" * 16), record(5, "b" * 16, "a" * 16)
    assert order(("early", early), ("late", late)) == [("late", 0), ("early", 1)]


def test_siblings() -> None:
    """Calls that one caused stand in the order in which they began."""
    first = record(9, "a" * 16, duration_ms=9000)
    second, third = (record(at, span * 16, "a" * 16) for at, span in ((3, "b"), (2, "c")))
    deep = record(4, "d" * 16, "c" * 16)
    given = ("second", second), ("deep", deep), ("first", first), ("third", third)
    assert order(*given) == [("first", 0), ("third", 1), ("deep", 2), ("second", 1)]


def test_times() -> None:
    """Without spans a call is behind the shortest of another log in which all of it happened."""
    outer, inner = record(9, duration_ms=9000), record(8, duration_ms=7000)
    within, after = record(5, duration_ms=1000), record(9.5, duration_ms=1000)
    given = ("c", within), ("c", after), ("b", inner), ("a", outer)
    assert order(*given) == [("a", 0), ("b", 1), ("c", 2), ("c", 0)]


def test_ring() -> None:
    """Spans that are each other's parents, which clients can forge, are told once each."""
    first, second = record(1, "a" * 16, "b" * 16), record(2, "b" * 16, "a" * 16)
    assert sorted(log for log, _ in order(("first", first), ("second", second))) == [
        "first",
        "second",
    ]
    own = record(1, "a" * 16, "a" * 16)
    assert order(("own", own)) == [("own", 0)]


def test_unended() -> None:
    """A stream whose end no log tells runs on."""
    begun = record(1, event="stream-start")
    assert order(("back", record(5, duration_ms=100)), ("front", begun)) == [
        ("front", 0),
        ("back", 1),
    ]
