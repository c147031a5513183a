"""What a real browser makes of the console of real processes, while calls come in."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import re
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from playwright.async_api import Locator, Page, expect

from browsers import picture, tab
from fleet import GATE
from over_tls import CA, HERE, write, write_ca
from scraping import LOCAL, asked

if TYPE_CHECKING:
    from tests.conftest import Served, Start

SERVICE = "services.user.v1.UserService"
EVIL = "/v1/<img src=x onerror=alert(1)>"
USER = b'{"name": "Ann", "email": "ann@example.com"}'


@contextlib.contextmanager
def calling(target: str) -> Iterator[None]:
    """Call the gateway all the time, from a thread."""
    over = threading.Event()

    def call() -> None:
        connection = http.client.HTTPConnection(target, timeout=20)
        head = {"content-type": "application/json"}

        def ask(method: str, path: str, body: bytes = b"") -> None:
            connection.putrequest(method, path, skip_host=False)
            for name, value in {**head, "content-length": str(len(body))}.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            connection.getresponse().read()

        ask("POST", "/v1/users?user_id=ann", USER)
        for number in itertools.count():
            if over.wait(0.005):
                break
            ask("GET", "/v1/users/ann")
            if number % 4 == 0:
                ask("GET", "/v1/users")
            if number % 20 == 0:
                ask("GET", "/v1/users/nobody")
                ask("GET", "/v1/operations/7")
                ask("DELETE", "/v1/users/ann")
                ask("GET", EVIL.replace(" ", "%20"))
        connection.close()

    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def section(page: Page, title: str) -> Locator:
    """Return a section of the page."""
    return page.locator("section").filter(has=page.get_by_role("heading", name=title, exact=True))


async def look(page: Page) -> dict[str, Any]:
    """Use the console, and return what was seen."""
    seen: dict[str, Any] = {}
    # The page is made anew, and a drawn line gets longer.
    drawn = page.locator(".spark polyline").first
    await expect(drawn).to_have_attribute("points", re.compile(r"(\S+ ){4}"))
    seen["title"] = await page.title()
    seen["state"] = await page.locator(".state").text_content()
    for title in ("Who calls whom", "Routes", "Failures", "Backends", "Limits"):
        seen[title] = await section(page, title).locator("tbody tr").all_inner_texts()
    named = "(all) => all.map((one) => [one.getAttribute('class'), one.firstChild.textContent])"
    seen["boxes"] = await page.locator(".diagram g").evaluate_all(named)
    seen["silent"] = await section(page, "Who calls whom").locator("p").inner_text()
    seen["beyond"] = [
        await picture(page, "console-wide", 1280, "light"),
        await picture(page, "console-dark", 1280, "dark"),
        await picture(page, "console-narrow", 400, "light"),
    ]
    await page.locator("#target").fill("/v1/user/ann?x=<b>")
    await page.get_by_role("button", name="Explain").click()
    await expect(page.locator("p.bad")).to_contain_text("404")
    seen["near"] = await page.locator("section").last.inner_text()
    seen["asked"] = await page.locator("#target").input_value()
    await picture(page, "console-explain", 1280, "light")
    return seen


@pytest.fixture(scope="module")
def fleet(
    start_shared: Start, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Served, Served]]:
    """A gateway and the user service behind it; a third process is no more."""
    folder = tmp_path_factory.mktemp("fleet")
    authority = write_ca(folder)
    write(folder, CA.issue_cert(GATE), "gate")
    shown = {**write(folder, HERE), "client_ca": authority, "client_certificates": "required"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("USER_DATABASE", f"sqlite:///{folder}/users.db")
        users = start_shared("services.user.app:create_app", grpc_tls=shown, admin=LOCAL, settle=0)
        patch.setenv("FLEET", str(folder))
        patch.setenv("USERS", users.grpc_target.removeprefix("https://"))
        peers = [users.admin_target, "127.0.0.1:1"]
        admin = {"address": LOCAL, "name": GATE, "peers": peers}
        yield start_shared("fleet:gate", admin=admin, settle=0), users


@pytest.fixture(scope="module")
def seen(fleet: tuple[Served, Served]) -> dict[str, Any]:
    """What the console showed."""
    gate, _ = fleet

    async def visited() -> dict[str, Any]:
        async with asyncio.timeout(90), tab() as shown:
            await shown.page.goto(f"http://{gate.admin_target}/console")
            return {**await look(shown.page), "tab": shown}

    with calling(gate.http_target):
        return asyncio.run(visited())


def test_head(seen: dict[str, Any]) -> None:
    """It tells whose it is, and how that is."""
    assert (seen["title"], seen["state"]) == (f"{GATE}: console", "DEGRADED")


def test_topology(seen: dict[str, Any]) -> None:
    """What both processes see is one drawing; who does not answer is in it, and why."""
    assert sorted(map(tuple, seen["boxes"])) == [
        ("clients", "clients"),
        ("down", "127.0.0.1:1"),
        ("other", "google.longrunning.Operations"),
        ("process", GATE),
        ("process", SERVICE),
    ]
    told = [tuple(row.split("\t")[:2]) for row in seen["Who calls whom"]]
    # The user service knows the gateway by its certificate, and takes its calls for no client's.
    assert told == [
        ("clients", GATE),
        (GATE, "google.longrunning.Operations"),
        (GATE, SERVICE),
    ]
    assert seen["silent"] == "127.0.0.1:1 does not answer: Connection refused"


def test_routes(seen: dict[str, Any]) -> None:
    """Each route has its rate, what fails of it, and how long it takes."""
    cells = {row.split("\n")[0]: row.split("\t") for row in seen["Routes"]}
    got = cells[f"{SERVICE}.GetUser"]
    assert float(got[1]) > 1
    assert "ms" in got[-2]
    # Nobody is there: each call fails, by nobody's fault but the server's.
    assert cells["google.longrunning.Operations.GetOperation"][3].strip() == "100 %"
    assert cells["no route"][5].strip() == "100 %"


def test_failures(seen: dict[str, Any]) -> None:
    """Failures are told with the request's id, what was asked and what came of it."""
    told = {tuple(row.split("\t")[3:5]) for row in seen["Failures"]}
    assert told == {
        ("404 NOT_FOUND", ""),
        ("403 PERMISSION_DENIED", "ip-filter: address"),
        ("503 UNAVAILABLE", ""),
    }
    assert all(len(row.split("\t")[1]) == 32 for row in seen["Failures"])
    assert any(EVIL.replace(" ", "%20") in row for row in seen["Failures"])


def test_backends(seen: dict[str, Any]) -> None:
    """Backends are told with their breakers, and whether they are reached."""
    told = {row.split("\n")[0]: row.split("\t")[-2:] for row in seen["Backends"]}
    assert told == {
        "google.longrunning.Operations": ["GetOperation open", "no"],
        SERVICE: ["closed", "yes"],
    }


def test_limits(seen: dict[str, Any]) -> None:
    """So are limits, and how near calls are to them."""
    told = {row.split("\t")[0]: row.split("\t")[1:] for row in seen["Limits"]}
    assert {"HTTP connections", "body", "concurrency", "rate-limit"} <= told.keys()
    assert " run, " in told["concurrency"][1]


def test_explain(seen: dict[str, Any]) -> None:
    """The form explains a request, and keeps what was asked."""
    assert seen["asked"] == "/v1/user/ann?x=<b>"
    assert "segment 2 is 'user', not 'users'" in seen["near"]


def test_widths(seen: dict[str, Any]) -> None:
    """Nothing stands out of the window, be it wide or narrow."""
    assert seen["beyond"] == [0, 0, 0]


def test_no_other_hosts(fleet: tuple[Served, Served], seen: dict[str, Any]) -> None:
    """No request leaves the port."""
    own = (f"http://{fleet[0].admin_target}/console", "data:")
    requests = seen["tab"].requests

    assert len(requests) > 5
    assert [url for url in requests if not url.startswith(own)] == []


def test_no_errors(seen: dict[str, Any]) -> None:
    """The browser has nothing to complain of, and nothing that was asked is run."""
    assert (seen["tab"].noted, seen["tab"].errors) == ([], [])


def test_other_process(fleet: tuple[Served, Served], seen: dict[str, Any]) -> None:
    """Each process tells what itself sees, by the names of certificates."""
    told = json.loads(asked(fleet[1].admin_target, "/topology")[2])

    assert (told["name"], told["services"]) == (SERVICE, [SERVICE])
    assert [(each["source"], each["destination"]) for each in told["edges"]] == [(GATE, SERVICE)]
    assert told["edges"][0].keys() == {"source", "destination", "rate", "failed", "p50", "p99"}


def test_token(start_shared: Start) -> None:
    """A browser shows the token as a password, and goes on to do so."""
    served = start_shared(admin=LOCAL, admin_token="s3cret", settle=0)

    async def visited() -> list[tuple[str, str]]:
        async with asyncio.timeout(60), tab() as shown:
            await shown.page.goto(f"http://anybody:s3cret@{served.admin_target}/console")
            await expect(shown.page.locator(".state")).to_have_text("SERVING")
            await shown.page.evaluate("document.getElementById('live').dataset.first = true")
            await expect(shown.page.locator("#live:not([data-first])")).to_be_visible()
        return shown.noted

    assert asyncio.run(visited()) == []
