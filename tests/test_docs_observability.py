"""docs/observability.md says what the code does."""

from __future__ import annotations

import asyncio
import json
import re
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from command import serve_options
from counted import SUFFIXES, counted, families
from pages import commands, fits, page
from promtool import promtool
from scraping import LOCAL
from transcoder import Gateway, Server
from transcoder.admin import METRICS
from transcoder.console.page import PATH as CONSOLE
from transcoder.console.peers import PATH as TOPOLOGY
from transcoder.observers import AccessLog, Metrics, Traces, sink
from transcoder.observers.log_record import LINE_LIMIT, SECRET
from transcoder.route import LIVENESS, READINESS
from transcoder.snapshots import STALE
from transcoder.watchdog import LIMIT, TICK, Watchdog

if TYPE_CHECKING:
    from tests.conftest import Start

PAGE = page("observability.md")


def test_python(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The blocks of Python make a gateway with observers, and a server with a token."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ADMIN_TOKEN", "s3cret")
    gateway, server = (PAGE.run(block) for block in PAGE.blocks("python"))

    assert isinstance(gateway["app"], Gateway)
    kinds = [type(each) for each in gateway["app"].chain.observers]
    assert kinds == [Traces, AccessLog, Metrics]
    assert (tmp_path / "audit.log").exists()
    assert isinstance(server["server"], Server)


@pytest.mark.parametrize(
    ("heading", "kind"), [("## Access log", "access"), ("## Audit log", "audit")]
)
def test_fields(heading: str, kind: str) -> None:
    """The tables of the logs have each field, and no other."""
    told = {field.strip("`") for field, _ in PAGE.rows(heading)}
    assert told == {key for record in getattr(counted(), kind) for key in record}


def named(family: Any) -> tuple[str, str, set[str]]:
    """Return what the table says of a metric."""
    suffix = SUFFIXES[family.type][0].replace("_bucket", "")
    labels = {name for sample in family.samples for name in sample.labels} - {"le"}
    kind = "gauge" if family.type == "info" else family.type
    return family.name + suffix, kind, labels


def test_metrics() -> None:
    """The table has each metric, with its kind and its labels."""
    rows = PAGE.rows("## Metrics")
    told = [(name.strip("`"), kind, set(re.findall("`(.*?)`", by))) for name, kind, by, _ in rows]

    by_name = {name: (kind, labels) for name, kind, labels in told}
    assert by_name == {
        name: (kind, labels) for name, kind, labels in map(named, families(counted().text))
    }
    assert len(by_name) == len(told)


def test_prometheus(tmp_path: Path) -> None:
    """Prometheus takes its configuration."""
    (block,) = PAGE.blocks("yaml")
    (tmp_path / "alerts.yaml").write_text("groups: []\n")
    (tmp_path / "prometheus.yml").write_text(block)

    assert "SUCCESS" in promtool("check", "config", str(tmp_path / "prometheus.yml"))
    (scraped,) = yaml.safe_load(block)["scrape_configs"]
    assert "metrics_path" not in scraped
    assert METRICS == "/metrics"


def test_admin_port(start: Start) -> None:
    """The port answers as the page shows it."""
    served = start(admin=LOCAL)
    shown = commands("".join(PAGE.blocks("console")))

    for command, expected in shown:
        words = shlex.split(command.replace("localhost:9901", served.admin_target))
        done = subprocess.run(
            [words[0], "-s", *words[1:]], capture_output=True, text=True, check=True
        )
        assert fits(expected, done.stdout), command
    assert len(shown) == 3
    paths = [path.strip("`") for path, _ in PAGE.rows("## Admin port")]
    assert paths == [METRICS, LIVENESS, READINESS, CONSOLE, TOPOLOGY]


def test_command() -> None:
    """The option of the command is there."""
    (block,) = [text for text in PAGE.blocks("sh") if "--admin" in text]
    assert serve_options(*shlex.split(block)[2:])["admin"] == "127.0.0.1:9901"


def test_numbers() -> None:
    """Limits and defaults are the code's."""
    text = " ".join(PAGE.text.split())
    assert f"Beyond {sink.QUEUE:,} lines" in text
    assert f"A line has {LINE_LIMIT:,} bytes at most" in text
    listed = text[text.index("`headers` refuses to list") :].partition(".")[0]
    assert set(re.findall("`([a-z-]+)`", listed)) == SECRET | {"headers"}
    assert f"nothing was heard for {STALE:g} seconds" in text
    assert (LIMIT, TICK) == (1, 0.1)


def test_blocked(caplog: pytest.LogCaptureFixture) -> None:
    """What blocks the event loop is told as the page shows it."""
    lines = ["class Greeter:", "    async def SayHello(self):", "        sleep(2)"]
    names: dict[str, Any] = {"sleep": time.sleep}
    exec(compile("\n".join([*9 * [""], *lines]), "/srv/hello.py", "exec"), names)  # noqa: S102  ours

    async def block() -> None:
        watchdog = Watchdog(asyncio.get_running_loop())
        await names["Greeter"]().SayHello()
        watchdog.stop()

    asyncio.run(block())
    (record,) = [each for each in caplog.records if each.name == Watchdog.__module__]
    (shown,) = PAGE.blocks("text")

    assert fits(shown, f"{record.levelname} {record.name}: {record.getMessage()}")


def test_observer_order() -> None:
    """Behind `Traces`, the access log knows of its spans."""
    traces = {record["trace_id"] for record in counted().access}
    assert traces == {"4bf92f3577b34da6a3ce929d0e0e4736"}


def test_logs(tmp_path: Path) -> None:
    """The command that joins logs takes what the page gives it."""
    (block,) = [text for text in PAGE.blocks("sh") if "transcoder logs" in text]
    record = '{"time":"2026-01-01T00:00:00Z","event":"call","request_id":"6f1c"}\n'
    for name in ("gateway.log", "users.log"):
        (tmp_path / name).write_text(record)
    command = [str(Path(sys.executable).with_name("transcoder")), *shlex.split(block)[1:]]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert [json.loads(line)["log"] for line in done.stdout.splitlines()] == [
        "gateway.log",
        "users.log",
    ]
