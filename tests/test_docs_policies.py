"""The pages of docs/policies say what the code does."""

from __future__ import annotations

import asyncio
import contextlib
import doctest
import inspect
import io
import re
import threading
import time
import tomllib
from collections.abc import Callable, Hashable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

import transcoder
from introspected import GOOD, Issuer
from listening import serving
from pages import Page, fits, page
from stores import Store
from transcoder import ConfigError, Gateway, Thresholds, policies
from transcoder.cli import main
from transcoder.policies import Stage
from transcoder.policies.gcra import CAPACITY
from transcoder.policies.key_file import create_key
from transcoder.policies.policy import GROUP
from transcoder.policies.security_headers import DEFAULTS
from transcoder.policies.verified import KEPT_FOR

INDEX = page("policies/index.md")
NAMES = (
    "policies/api-keys.md",
    "policies/authorization.md",
    "policies/circuit-breaker.md",
    "policies/compression.md",
    "policies/concurrency.md",
    "policies/cors.md",
    "policies/introspection.md",
    "policies/ip-filter.md",
    "policies/mutual-tls.md",
    "policies/own.md",
    "policies/rate-limit.md",
    "policies/request-id.md",
    "policies/security-headers.md",
)
PAGES = {Path(name).stem: page(name) for name in NAMES}
DEFINED = INDEX.blocks("python")[-1]
ISSUER = '"https://login.example/introspect"'
STORE = "redis://localhost:6379/0"


def test_stages() -> None:
    """The table has every stage, in the order of the code."""
    told = [row[0].strip("`") for row in INDEX.rows("# What decides which calls come in?")]

    stages = [stage.name for stage in sorted(Stage)]
    assert told[: len(stages)] == stages


def test_first() -> None:
    """The first gateway of the overview has the policy."""
    answer = TestClient(INDEX.run(INDEX.blocks("python")[0])["app"]).get("/healthz")

    assert answer.headers["x-frame-options"] == "DENY"


def test_overrides() -> None:
    """In the second, the document is public, and the methods have the smaller limit."""
    names = INDEX.run(INDEX.blocks("python")[1], INDEX.run(DEFINED))
    app = names["app"]
    names["add_OperationsServicer_to_server"](names["Operations"](), app)
    with TestClient(app) as web:
        assert web.get("/openapi.json").status_code == 200
        answers = [web.get("/v1/operations/1") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [403, 429]


def test_selectors() -> None:
    """Every selector of the table is one."""
    rows = INDEX.rows("## How do some calls go another way?")
    for text in (row[0].strip("`") for row in rows):
        Gateway(public=[text])
    with pytest.raises(ConfigError):
        Gateway(public=["not a selector"])


def test_every_page() -> None:
    """The overview leads to every page."""
    for name in PAGES:
        assert f"]({name}.md)" in INDEX.text


@contextlib.contextmanager
def issuing(issuer: Issuer) -> Iterator[Callable[[], None]]:
    """Have an issuer answer in a thread; yield what stops it."""
    ready, stop = threading.Event(), threading.Event()

    async def serve() -> None:
        async with serving(issuer.serve) as target:
            issuer.url = f"http://{target}/introspect"
            ready.set()
            await asyncio.to_thread(stop.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()

    try:
        assert ready.wait(20)
        yield end
    finally:
        end()


def run_blocks(told: Page, names: dict[str, Any], replaced: dict[str, str]) -> None:
    """Run the page's Python, with what stands for servers replaced by those of the test."""
    for block in told.blocks("python"):
        text = block
        for shown, real in replaced.items():
            text = text.replace(shown, real)
        exec(text, names)  # noqa: S102  our own page


def session(name: str, names: dict[str, Any]) -> None:
    """Run the session of a page, which prints what it shows."""
    text = "\n".join(PAGES[name].blocks("pycon"))
    parsed = doctest.DocTestParser().get_doctest(text, names, name, name, 0)
    runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)

    assert runner.run(parsed, clear_globs=False) == (0, text.count(">>> "))


@pytest.mark.parametrize(
    "name", [name for name in PAGES if name not in {"introspection", "api-keys", "rate-limit"}]
)
def test_page(name: str) -> None:
    """The blocks of a page run, and its session prints what it shows."""
    names = INDEX.run(DEFINED)
    run_blocks(PAGES[name], names, {})

    session(name, names)


def test_introspection() -> None:
    """The page about introspection runs, before an issuer that answers as it says."""
    issuer = Issuer({"good": GOOD})
    with issuing(issuer) as stop_issuer:
        names = {**INDEX.run(DEFINED), "stop_issuer": stop_issuer}
        run_blocks(PAGES["introspection"], names, {ISSUER: f'"{issuer.url}", loopback=True'})

        session("introspection", names)


def test_api_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page about keys runs, and its commands print what it shows."""
    monkeypatch.chdir(tmp_path)
    for command, printed in PAGES["api-keys"].commands:
        done = CliRunner().invoke(main, command.split()[1:])
        assert (done.exit_code, fits(printed, done.output)) == (0, True), done.output
    names = INDEX.run(DEFINED)
    names["key"] = create_key(Path("keys.json"), "billing", [], datetime.now(UTC))
    run_blocks(PAGES["api-keys"], names, {})

    session("api-keys", names)


def test_rate_limit(tmp_path: Path) -> None:
    """The page about rates runs; processes that share a store share the limit."""
    with Store(tmp_path) as store:
        # On a busy machine a store may take longer than the gateway would wait.
        changed = {STORE: store.url, 'window="moving"': 'window="moving", patience=30'}
        names = INDEX.run(DEFINED)
        run_blocks(PAGES["rate-limit"], names, changed)
        session("rate-limit", names)
        other = INDEX.run(DEFINED)
        run_blocks(PAGES["rate-limit"], other, changed)
        printed = [capture(names["ask"], each["shared"]) for each in (names, other)]

    assert printed == [
        "REST 200\ngRPC OK\n",
        "REST 429: too many requests\ngRPC RESOURCE_EXHAUSTED: too many requests\n",
    ]


def capture(ask: Callable[..., None], *given: Any) -> str:
    """Return what a function prints."""
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        ask(*given)
    return printed.getvalue()


_HEAD = re.compile(r"^\| `(\w+)` \| default \| \|\n\|[-|]+\n((?:\|.*\n)+)", re.MULTILINE)
TABLES = [
    (name, found[1], found[2])
    for name, told in PAGES.items()
    for found in _HEAD.finditer(told.text)
]
OPTIONLESS = {"request-id", "own"}


SPELLED: dict[Any, str] = {
    inspect.Parameter.empty: "required",
    True: "yes",
    False: "no",
    time.monotonic: "`time.monotonic`",
    Thresholds(): "`Thresholds()`",
}


def spelled(default: Any) -> str:
    """Return how a table spells a default."""
    if type(default) is int:
        return f"{default:,}"
    if type(default) is float:
        return str(default)
    if isinstance(default, str | tuple) and default:
        listed = [default] if isinstance(default, str) else default
        return ", ".join(f"`{each}`" for each in listed)
    if isinstance(default, Hashable) and default in SPELLED:
        return SPELLED[default]
    # A factory of a dataclass has no text of its own.
    return "none" if not default or "factory" in repr(default) else repr(default)


@pytest.mark.parametrize(
    ("name", "of", "table"), TABLES, ids=[f"{name}-{of}" for name, of, _ in TABLES]
)
def test_options(name: str, of: str, table: str) -> None:
    """A table has the options of the code, in their order, with their defaults."""
    made = getattr(policies, of, None) or getattr(transcoder, of)
    rows = [tuple(cell.strip() for cell in line.split("|")[1:3]) for line in table.splitlines()]

    options = inspect.signature(made).parameters.values()
    assert rows == [(f"`{each.name}`", spelled(each.default)) for each in options]
    assert name not in OPTIONLESS


def test_each_has_a_table() -> None:
    """No page about options goes without a table."""
    assert {name for name, _, _ in TABLES} | OPTIONLESS == PAGES.keys()


def test_security_headers() -> None:
    """The headers of the page are those of the code."""
    rows = PAGES["security-headers"].rows("# What are browsers told not to do?")
    told = {row[0].strip("`"): row[1].strip("`") for row in rows}

    assert DEFAULTS.items() <= told.items()


def test_numbers() -> None:
    """What pages say of sizes and times is the code's."""
    assert f"{CAPACITY:,} of them" in PAGES["rate-limit"].text
    assert KEPT_FOR == 60.0


def test_entry_point() -> None:
    """The entry point of the page stands in the group that is looked at."""
    (block,) = PAGES["own"].blocks("toml")

    assert list(tomllib.loads(block)["project"]["entry-points"]) == [GROUP]
