"""What a real browser makes of the page for people."""

from __future__ import annotations

import asyncio
import base64
import json
import os
from pathlib import Path
from typing import Any

import pytest

from browsers import tab
from pages import page as page_named
from services.user.app import create_app
from transcoder import Listening, Server

CREATE = "document.getElementById('UserService_CreateUser')"
LIST = "document.getElementById('UserService_ListUsers')"
USER = {"name": "Ann", "email": "ann@example.com"}


async def answer(page: Any, operation: str) -> tuple[str, str]:
    """Return the status line and the body that an operation shows, when they are whole."""
    await page.wait(
        f"{operation}.querySelector('output .body')?.textContent && "
        f"{operation}.querySelector('button[type=button]').hidden"
    )
    parts = f"['.status', '.body'].map((name) => {operation}.querySelector(name).textContent)"
    status, body = await page.ask(parts)
    return status, body


async def create(page: Any) -> tuple[str, str]:
    """Fill in a body and send it."""
    await page.click(f"{CREATE}.querySelector('summary')")
    area = f"{CREATE}.querySelector('textarea[aria-label=Body]')"
    await page.wait(f"Boolean({area})")
    await page.ask(f"{area}.value = ''")
    await page.type(area, json.dumps(USER))
    await page.click(f"{CREATE}.querySelector('form button')")
    return await answer(page, CREATE)


async def look(page: Any) -> dict[str, Any]:
    """Use the page, and return what was seen."""
    seen: dict[str, Any] = {
        "operations": await page.wait("document.querySelectorAll('section > details').length")
    }
    seen["title"] = await page.ask("document.title")
    seen["created"] = await create(page)
    await page.click(f"{LIST}.querySelector('summary')")
    await page.wait(f"Boolean({LIST}.querySelector('form'))")
    await page.type(f"{LIST}.querySelector('[name=pageSize]')", "-1")
    await page.click(f"{LIST}.querySelector('form button')")
    seen["refused"] = await answer(page, LIST)
    seen["schema"] = await page.ask(
        f"[...{CREATE}.querySelectorAll('summary')].find((one) => one.textContent === 'Schema')"
        ".click()"
    )
    seen["schema"] = await page.wait(
        f"[...{CREATE}.querySelectorAll('details details summary')]"
        ".map((one) => one.textContent).filter((text) => text.startsWith('email'))"
    )
    seen["picture"] = await page.tell("Page.captureScreenshot")
    await page.type("document.getElementById('filter')", "watch")
    seen["filtered"] = await page.ask(
        "[...document.querySelectorAll('section > details')].filter((one) => !one.hidden).length"
    )
    seen["event"] = await watch(page)
    return seen


async def watch(page: Any) -> dict[str, Any]:
    """Run the first example of docs/streams.md in the page; return the event that it is told."""
    example = page_named("streams.md").blocks("js")[0].replace("console.log", "take")
    take = "const take = (told) => { window.told = told; };"
    await page.ask(f"{{ {take} {example} window.changes = changes; }} true")
    await page.wait("changes.readyState === EventSource.OPEN")
    body = json.dumps(json.dumps({"name": "Bob", "email": "bob@example.com"}))
    headers = "{'content-type': 'application/json'}"
    await page.ask(
        f"fetch('/v1/users', {{method: 'POST', headers: {headers}, body: {body}}}) && true"
    )
    told: dict[str, Any] = await page.wait("window.told")
    await page.ask("changes.close()")
    return told


async def visited(profile: Path) -> dict[str, Any]:
    """Serve the user service, and return what its page showed and did."""
    ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    database = profile.with_suffix(".db")
    app = create_app(f"sqlite:///{database}")
    server = Server(app, settle=0, stream_grace=0.1, on_ready=ready.set_result)
    running = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
    origin = f"http://{(await ready).http.target}"
    async with asyncio.timeout(50), tab(f"{origin}/docs", profile) as page:
        seen = await look(page)
        seen["events"] = page.events
    server.stop()
    await running
    return {**seen, "origin": origin}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the page showed and did."""
    found = asyncio.run(visited(tmp_path_factory.mktemp("profile")))
    kept = os.environ.get("SCREENSHOTS")
    if kept:
        Path(kept, "docs.png").write_bytes(base64.b64decode(found["picture"]["data"]))
    return found


def of_kind(seen: dict[str, Any], *methods: str) -> list[Any]:
    return [event["params"] for event in seen["events"] if event["method"] in methods]


def test_operations(seen: dict[str, Any]) -> None:
    """The page lists all operations under the title of the API."""
    assert (seen["title"], seen["operations"]) == ("services.user.v1", 12)


def test_a_call(seen: dict[str, Any]) -> None:
    """A call is made by clicking, and its answer is shown."""
    status, body = seen["created"]

    assert status.startswith("200 ")
    assert json.loads(body).items() >= USER.items()


def test_a_call_that_is_refused(seen: dict[str, Any]) -> None:
    """An error is shown as the API tells it."""
    status, body = seen["refused"]

    assert status.startswith("400 ")
    assert json.loads(body)["code"] == 3


def test_a_schema(seen: dict[str, Any]) -> None:
    """The schema of a body is unfolded where a reader asks."""
    assert seen["schema"] == ["email: string (email), required"]


def test_a_filter(seen: dict[str, Any]) -> None:
    """The filter leaves the operations that have its words."""
    assert seen["filtered"] == 1


def test_an_event_stream(seen: dict[str, Any]) -> None:
    """A browser's EventSource is told of changes, as docs/streams.md has it."""
    told = seen["event"]

    assert (told["change"], told["user"]["name"]) == ("CHANGE_CREATED", "Bob")


def test_requests(seen: dict[str, Any]) -> None:
    """No request leaves the host."""
    urls = [told["request"]["url"] for told in of_kind(seen, "Network.requestWillBeSent")]
    elsewhere = [url for url in urls if not url.startswith((f"{seen['origin']}/", "data:"))]

    assert f"{seen['origin']}/openapi.json" in urls
    assert elsewhere == []


def test_console(seen: dict[str, Any]) -> None:
    """The page has no error of its own: the browser notes only the call that was refused."""
    logged = [told["entry"] for told in of_kind(seen, "Log.entryAdded")]
    own = [entry for entry in logged if "/v1/users?pageSize=-1" not in entry.get("url", "")]

    assert own + of_kind(seen, "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
