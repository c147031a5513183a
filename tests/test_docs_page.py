"""What a real browser makes of the page for people."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import odd_page
from browsers import tab
from pages import ROOT
from services.user.app import create_app
from transcoder import Gateway, Listening, Server
from transcoder.policies.key_file import create_key

KEPT = ROOT / "build" / "screenshots"
"""Where pictures of the page are, for people to look at."""

USERS = "UserService_"
ODD = "ServiceOfAnOrganisationThatLikesItsNamesToTellTheWholeStory_"
USER = {"name": "Ann", "email": "ann@example.com"}


class Docs:
    """The page in a browser."""

    def __init__(self, page: Any, prefix: str = USERS) -> None:
        self.page = page
        self._prefix = prefix

    def of(self, operation: str, selector: str) -> str:
        """Return the expression of an element of an operation."""
        return f"document.getElementById('{self._prefix}{operation}').querySelector('{selector}')"

    async def open(self, operation: str) -> None:
        """Unfold an operation."""
        await self.page.click(self.of(operation, "summary"))
        await self.page.wait(f"Boolean({self.of(operation, 'form')})")

    async def send(self, operation: str) -> None:
        """Send what is filled in."""
        await self.page.click(self.of(operation, ".send"))

    async def answer(self, operation: str) -> tuple[str, str]:
        """Return the status line and the body that an operation shows, when they are whole."""
        await self.page.wait(
            f"{self.of(operation, 'output .body')} && !{self.of(operation, '.send')}.disabled"
        )
        return await self.shown(operation)

    async def shown(self, operation: str) -> tuple[str, str]:
        """Return the status line and the body that an operation shows now."""
        output = self.of(operation, "output")
        parts = f"['.status', '.body'].map((name) => {output}.querySelector(name).textContent)"
        status, body = await self.page.ask(parts)
        return status, body

    async def unfold(self, operation: str, title: str) -> None:
        """Unfold a part of an operation."""
        whole = f"document.getElementById('{self._prefix}{operation}')"
        await self.page.click(
            f"[...{whole}.querySelectorAll('summary')].find((one) => one.textContent === '{title}')"
        )

    async def picture(self, name: str, width: int, scheme: str = "light") -> Any:
        """Keep a picture of the whole page; return how much of it stands out of the window."""
        page = self.page
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        await page.tell("Emulation.setDeviceMetricsOverride", **size)
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        await page.tell("Emulation.setEmulatedMedia", features=features)
        await page.ask("scrollTo(0, 0)")
        taken = await page.tell("Page.captureScreenshot", captureBeyondViewport=True)
        (KEPT / f"{name}.png").write_bytes(base64.b64decode(taken["data"]))
        beyond = await page.ask(f"document.documentElement.scrollWidth - {width}")
        await page.tell("Emulation.clearDeviceMetricsOverride")
        return max(beyond, 0)


async def look(docs: Docs) -> dict[str, Any]:
    """Use the page of the user service, and return what was seen."""
    page = docs.page
    seen: dict[str, Any] = {}
    seen["operations"] = await page.wait("document.querySelectorAll('.operation').length")
    seen["title"] = await page.ask("document.title")
    await docs.open("CreateUser")
    area = docs.of("CreateUser", "textarea[aria-label=Body]")
    seen["example"] = json.loads(await page.ask(f"{area}.value"))
    await page.ask(f"{area}.value = ''")
    await page.type(area, json.dumps(USER))
    await docs.send("CreateUser")
    seen["created"] = await docs.answer("CreateUser")
    await docs.unfold("CreateUser", "curl")
    seen["curl"] = await page.wait(f"{docs.of('CreateUser', 'output details:last-of-type pre')}"
                                   ".textContent")  # fmt: skip
    await docs.unfold("CreateUser", "Schema")
    seen["schema"] = await page.wait(
        f"{docs.of('CreateUser', '.row')} && [...document.querySelectorAll('.row')]"
        ".map((one) => one.innerText.split('\\n')[0])"
    )
    await docs.open("ListUsers")
    await page.type(docs.of("ListUsers", "[name=pageSize]"), "-1")
    await docs.send("ListUsers")
    seen["refused"] = await docs.answer("ListUsers")
    seen["beyond"] = [
        await docs.picture("users-wide", 1280),
        await docs.picture("users-dark", 1280, "dark"),
        await docs.picture("users-narrow", 360),
    ]
    await page.type("document.getElementById('filter')", "watch")
    seen["filtered"] = await page.ask(
        "[...document.querySelectorAll('.operation')].filter((one) => !one.hidden).length"
    )
    return seen


async def look_at_odd(docs: Docs, key: str, image: Path) -> dict[str, Any]:
    """Use the page of odd things, and return what was seen."""
    page = docs.page
    seen: dict[str, Any] = {}
    await page.wait(f"Boolean(document.getElementById('{ODD}Echo'))")
    await docs.open("Lock")
    await page.type(docs.of("Lock", "[name=id]"), "a/b")
    await docs.send("Lock")
    seen["unknown"] = await docs.answer("Lock")
    await page.type("document.querySelector('#credentials input')", key)
    await docs.send("Lock")
    await page.wait(f"{docs.of('Lock', 'output')}.textContent.includes('200')")
    seen["locked"] = await docs.answer("Lock")
    await docs.open("Draw")
    await page.type(docs.of("Draw", "[name=id]"), "1")
    found = await page.tell("Runtime.evaluate", expression=docs.of("Draw", "[type=file]"))
    files = {"files": [str(image)], "objectId": found["result"]["objectId"]}
    await page.tell("DOM.setFileInputFiles", **files)
    await docs.send("Draw")
    seen["drawn"] = await page.wait(f"{docs.of('Draw', 'output img')}?.naturalWidth")
    await docs.open("Tell")
    await docs.send("Tell")
    await page.wait(f"{docs.of('Tell', '.body')}?.textContent")
    await page.click(docs.of("Tell", "[type=button]"))
    await page.wait(f"Boolean({docs.of('Tell', '.failed')})")
    seen["stopped"] = await page.ask(f"{docs.of('Tell', 'output')}.innerText.split('\\n').pop()")
    await docs.open("Fail")
    await page.type(docs.of("Fail", "[name=id]"), "1")
    await docs.send("Fail")
    seen["failed"] = await docs.answer("Fail")
    await docs.open("Echo")
    seen["told"] = await page.ask(f"{docs.of('Echo', '.prose')}.innerHTML")
    await docs.unfold("Echo", "Schema")
    await page.wait(f"Boolean({docs.of('Echo', '.row')})")
    seen["beyond"] = [
        await docs.picture("odd-wide", 1280),
        await docs.picture("odd-narrow-dark", 360, "dark"),
    ]
    return seen


@contextlib.asynccontextmanager
async def served(app: Gateway) -> AsyncIterator[str]:
    """Serve an application, and give its origin."""
    ready: asyncio.Future[Listening] = asyncio.get_running_loop().create_future()
    server = Server(app, settle=0, stream_grace=0.1, on_ready=ready.set_result)
    running = asyncio.create_task(server.serve("127.0.0.1:0", "127.0.0.1:0"))
    try:
        yield f"http://{(await ready).http.target}"
    finally:
        server.stop()
        await running


async def visited(folder: Path) -> dict[str, Any]:
    """Serve both, and return what their pages showed and did."""
    keys, image = folder / "keys.json", folder / "image.png"
    key = create_key(keys, "ann", [], datetime.now(UTC))
    image.write_bytes(odd_page.picture())
    users = create_app(f"sqlite:///{folder / 'users.db'}")
    async with served(users) as origin, served(odd_page.gateway(keys)) as other:
        async with asyncio.timeout(55), tab(f"{origin}/docs", folder / "profile") as page:
            seen = await look(Docs(page))
            await page.tell("Page.navigate", url=f"{other}/docs")
            odd = await look_at_odd(Docs(page, ODD), key, image)
        return {**seen, "odd": odd, "events": page.events, "origins": (origin, other)}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the pages showed and did."""
    shutil.rmtree(KEPT, ignore_errors=True)
    KEPT.mkdir(parents=True)
    return asyncio.run(visited(tmp_path_factory.mktemp("docs")))


@pytest.fixture
def odd(seen: dict[str, Any]) -> dict[str, Any]:
    """What the page of odd things showed."""
    found: dict[str, Any] = seen["odd"]
    return found


def of_kind(seen: dict[str, Any], *methods: str) -> list[Any]:
    return [event["params"] for event in seen["events"] if event["method"] in methods]


def test_operations(seen: dict[str, Any]) -> None:
    """The page lists all operations under the title of the API."""
    assert (seen["title"], seen["operations"]) == ("services.user.v1", 12)


def test_an_example(seen: dict[str, Any]) -> None:
    """A body is filled in with an example."""
    assert seen["example"].keys() >= {"name", "email", "address"}


def test_a_call(seen: dict[str, Any]) -> None:
    """A call is made by clicking, and its answer is shown."""
    status, body = seen["created"]

    assert status.startswith("200 ")
    assert json.loads(body).items() >= USER.items()


def test_curl(seen: dict[str, Any]) -> None:
    """The call is told as a command, too."""
    assert seen["curl"].startswith(f"curl -X POST '{seen['origins'][0]}/v1/users' \\\n")
    assert f"--data-binary '{json.dumps(USER)}'" in seen["curl"]


def test_a_call_that_is_refused(seen: dict[str, Any]) -> None:
    """An error is shown as the API tells it."""
    status, body = seen["refused"]

    assert status.startswith("400 ")
    assert json.loads(body)["code"] == 3


def test_a_schema(seen: dict[str, Any]) -> None:
    """The schema of a body is unfolded where a reader asks."""
    rows = [row for row in seen["schema"] if row.startswith(("email ", "createTime "))]

    assert rows[0].startswith("email string (email) required")
    assert rows[1] == "createTime string (date-time) read only"


def test_a_filter(seen: dict[str, Any]) -> None:
    """The filter leaves the operations that have its words."""
    assert seen["filtered"] == 1


def test_a_key(odd: dict[str, Any]) -> None:
    """Who shows a key in the way that the document tells is let in, and nobody else."""
    assert (odd["unknown"][0][:4], odd["locked"][0][:4]) == ("401 ", "200 ")


def test_a_custom_method(odd: dict[str, Any]) -> None:
    """A method that OpenAPI has no place for is called, too, with a slash in its variable."""
    assert json.loads(odd["locked"][1]) == {"id": "a/b"}


def test_a_picture(odd: dict[str, Any]) -> None:
    """A file is sent as it is, and a picture that comes back is seen."""
    assert odd["drawn"] == 1


def test_a_stream(odd: dict[str, Any]) -> None:
    """A stream is stopped by a click."""
    assert odd["stopped"] == "Stopped."


def test_a_long_error(odd: dict[str, Any]) -> None:
    """The whole message of an error is there."""
    assert json.loads(odd["failed"][1])["message"].endswith("so no")


def test_comments(odd: dict[str, Any]) -> None:
    """Of Markdown in comments, lists and code are shown."""
    assert odd["told"] == "<ul><li>one thing</li><li>another thing</li></ul>"


def test_windows(seen: dict[str, Any], odd: dict[str, Any]) -> None:
    """Nothing stands out of a window, wide or narrow, whatever the names."""
    assert seen["beyond"] + odd["beyond"] == [0, 0, 0, 0, 0]


def test_requests(seen: dict[str, Any]) -> None:
    """No request leaves the host."""
    own = (*(f"{origin}/" for origin in seen["origins"]), "data:")
    urls = [told["request"]["url"] for told in of_kind(seen, "Network.requestWillBeSent")]

    assert {f"{origin}/openapi.json" for origin in seen["origins"]} <= set(urls)
    assert [url for url in urls if not url.startswith(own)] == []


def test_console(seen: dict[str, Any]) -> None:
    """The page has no error of its own: the browser notes only the calls that were refused."""
    refused = ("/v1/users?pageSize=-1", "/v1/locks/a%2Fb", "/v1/failures/1")
    logged = [told["entry"] for told in of_kind(seen, "Log.entryAdded")]
    own = [entry for entry in logged if not entry.get("url", "").endswith(refused)]

    assert own + of_kind(seen, "Runtime.consoleAPICalled", "Runtime.exceptionThrown") == []
