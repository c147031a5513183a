"""What a real browser makes of the page for people."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect

import odd_page
from browsers import picture, tab
from services.user.app import create_app
from transcoder import Gateway, Listening, Server
from transcoder.policies.key_file import create_key

USERS = "UserService_"
ODD = "ServiceOfAnOrganisationThatLikesItsNamesToTellTheWholeStory_"
TEXTS = {"title": "é & ü", "tags": "a\nb=c", "labels": '{"x": "1"}'}
"""What is filled into a form of either kind."""
USER = {"name": "Ann", "email": "ann@example.com"}


class Docs:
    """The page in a browser.

    Args:
        page: shows it.
        prefix: of the ids that its operations have.
    """

    def __init__(self, page: Page, prefix: str = USERS) -> None:
        self.page = page
        self._prefix = prefix

    def of(self, operation: str, selector: str) -> Locator:
        """Return the first such element of an operation."""
        return self.page.locator(f"[id='{self._prefix}{operation}'] {selector}").first

    async def open(self, operation: str) -> None:
        """Unfold an operation."""
        await self.of(operation, "summary").click()
        await self.of(operation, "form").wait_for()

    async def fill(self, operation: str, texts: Mapping[str, str]) -> None:
        """Fill in fields of a form, by their names."""
        for name, text in texts.items():
            await self.of(operation, f"[name='{name}']").fill(text)

    async def send(self, operation: str) -> None:
        """Send what is filled in."""
        await self.of(operation, ".send").click()

    async def answer(self, operation: str) -> tuple[str, str]:
        """Return the status line and the body that an operation shows, when they are whole."""
        await self.of(operation, "output .body").wait_for(state="attached")
        await expect(self.of(operation, ".send")).to_be_enabled()
        status, body = [
            await self.of(operation, f"output {part}").text_content()
            for part in (".status", ".body")
        ]
        return status or "", body or ""

    async def unfold(self, operation: str, title: str) -> None:
        """Unfold a part of an operation."""
        await self.of(operation, f"summary:text-is('{title}')").click()


async def look(docs: Docs) -> dict[str, Any]:
    """Use the page of the user service, and return what was seen."""
    page = docs.page
    seen: dict[str, Any] = {}
    await page.locator(".operation").first.wait_for()
    seen["operations"] = await page.locator(".operation").count()
    seen["title"] = await page.title()
    await docs.open("CreateUser")
    area = docs.of("CreateUser", "textarea[aria-label=Body]")
    seen["example"] = json.loads(await area.input_value())
    await area.fill(json.dumps(USER))
    await docs.send("CreateUser")
    seen["created"] = await docs.answer("CreateUser")
    await docs.unfold("CreateUser", "curl")
    seen["curl"] = await docs.of("CreateUser", "output details:last-of-type pre").text_content()
    await docs.unfold("CreateUser", "Schema")
    await docs.of("CreateUser", ".row").wait_for()
    seen["schema"] = [
        text.partition("\n")[0] for text in await page.locator(".row").all_inner_texts()
    ]
    await docs.open("ListUsers")
    await docs.of("ListUsers", "[name=pageSize]").fill("-1")
    await docs.send("ListUsers")
    seen["refused"] = await docs.answer("ListUsers")
    seen["beyond"] = [
        await picture(docs.page, "users-wide", 1280, "light"),
        await picture(docs.page, "users-dark", 1280, "dark"),
        await picture(docs.page, "users-narrow", 360, "light"),
    ]
    await page.locator("#filter").fill("watch")
    seen["filtered"] = await page.locator(".operation:not([hidden])").count()
    return seen


async def look_at_forms(docs: Docs, image: Path) -> dict[str, Any]:
    """Send a form of each kind, and return what was seen."""
    seen: dict[str, Any] = {}
    await docs.open("Keep")
    await docs.of("Keep", "[name=id]").fill("7")
    kind = docs.of("Keep", "[aria-label=Content-Type]")
    await kind.select_option("application/x-www-form-urlencoded")
    seen["hidden"] = await docs.of("Keep", "[aria-label=Body]").is_hidden()
    fields = "(form) => [...form.querySelectorAll('.field [name]')].map((field) => field.name)"
    seen["names"] = await docs.of("Keep", "form").evaluate(fields)
    await docs.fill("Keep", TEXTS | {"ask.inside.id": "9", "data": "YWI="})
    await docs.of("Keep", "[name=kind]").select_option("KIND_USUAL")
    await docs.send("Keep")
    seen["urlencoded"] = await docs.answer("Keep")
    await kind.select_option("multipart/form-data")
    await docs.fill("Keep", TEXTS | {"ask": '{"inside": {"id": "9"}}'})
    for name in ("data", "raw"):
        await docs.of("Keep", f"[name={name}]").set_input_files(image)
    await docs.send("Keep")
    await expect(docs.of("Keep", "output .body")).to_contain_text("image/png")
    seen["multipart"] = await docs.answer("Keep")
    await docs.unfold("Keep", "curl")
    told = await docs.of("Keep", "output details:last-of-type pre").text_content()
    seen["curl"] = (told or "").split(" \\\n  ")
    return seen


async def look_at_odd(docs: Docs, key: str, image: Path) -> dict[str, Any]:
    """Use the page of odd things, and return what was seen."""
    page = docs.page
    seen: dict[str, Any] = {}
    await docs.open("Lock")
    await docs.of("Lock", "[name=id]").fill("a/b")
    await docs.send("Lock")
    seen["unknown"] = await docs.answer("Lock")
    await page.locator("#credentials input").fill(key)
    await docs.send("Lock")
    await expect(docs.of("Lock", "output")).to_contain_text("200")
    seen["locked"] = await docs.answer("Lock")
    await docs.open("Draw")
    await docs.of("Draw", "[name=id]").fill("1")
    await docs.of("Draw", "[type=file]").set_input_files(image)
    await docs.send("Draw")
    drawn = docs.of("Draw", "output img")
    await expect(drawn).not_to_have_js_property("naturalWidth", 0)
    seen["drawn"] = await drawn.evaluate("(drawn) => drawn.naturalWidth")
    await docs.open("Tell")
    await docs.send("Tell")
    await expect(docs.of("Tell", ".body")).not_to_be_empty()
    await docs.of("Tell", "[type=button]").click()
    await docs.of("Tell", ".failed").wait_for()
    seen["stopped"] = (await docs.of("Tell", "output").inner_text()).split("\n")[-1]
    await docs.open("Fail")
    await docs.of("Fail", "[name=id]").fill("1")
    await docs.send("Fail")
    seen["failed"] = await docs.answer("Fail")
    await docs.open("Echo")
    seen["told"] = await docs.of("Echo", ".prose").inner_html()
    await docs.unfold("Echo", "Schema")
    await docs.of("Echo", ".row").wait_for()
    seen["forms"] = await look_at_forms(docs, image)
    seen["beyond"] = [
        await picture(docs.page, "odd-wide", 1280, "light"),
        await picture(docs.page, "odd-narrow-dark", 360, "dark"),
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
        return await used(origin, other, key, image)


async def used(origin: str, other: str, key: str, image: Path) -> dict[str, Any]:
    """Use the pages of both, and return what they showed and did."""
    async with asyncio.timeout(55), tab() as shown:
        await shown.page.goto(f"{origin}/docs")
        seen = await look(Docs(shown.page))
        await shown.page.goto(f"{other}/docs")
        odd = await look_at_odd(Docs(shown.page, ODD), key, image)
        return {**seen, "odd": odd, "tab": shown, "origins": (origin, other)}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the pages showed and did."""
    return asyncio.run(visited(tmp_path_factory.mktemp("docs")))


@pytest.fixture
def odd(seen: dict[str, Any]) -> dict[str, Any]:
    """What the page of odd things showed."""
    found: dict[str, Any] = seen["odd"]
    return found


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


FILE_PART = """-F 'data=@"image.png";type=image/png'"""
JSON_PART = r"""-F 'ask="{\"inside\": {\"id\": \"9\"}}";type=application/json'"""
KEPT_OF_BOTH = {"id": "7", "title": "é & ü", "tags": ["a", "b=c"], "labels": {"x": "1"}}
"""What a form of either kind said, as JSON has it."""


def test_an_urlencoded_form(odd: dict[str, Any]) -> None:
    """A form is filled in by its fields, those of messages inside by their paths, and sent."""
    forms = odd["forms"]
    status, body = forms["urlencoded"]
    found = json.loads(body)

    assert forms["hidden"]
    assert {"title", "data", "ask.inside.inside.id", "raw.contentType"} <= set(forms["names"])
    assert not {"ask.all", "ask.byName"} & set(forms["names"])
    assert status.startswith("200 ")
    assert found.items() >= KEPT_OF_BOTH.items()
    assert (found["kind"], found["data"]) == ("KIND_USUAL", "YWI=")
    assert found["ask"]["inside"] == {"id": "9"}


def test_a_form_of_parts(odd: dict[str, Any]) -> None:
    """A form of parts sends files as they are and messages as JSON, and is told as a command."""
    forms = odd["forms"]
    status, body = forms["multipart"]
    found = json.loads(body)
    png = base64.b64encode(odd_page.picture()).decode()

    assert status.startswith("200 ")
    assert found.items() >= KEPT_OF_BOTH.items()
    assert (found["data"], found["raw"]) == (png, {"contentType": "image/png", "data": png})
    assert found["ask"]["inside"] == {"id": "9"}
    assert {"--form-string 'labels[x]=1'", FILE_PART, JSON_PART} <= set(forms["curl"])


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
    asked = seen["tab"].requests

    assert {f"{origin}/openapi.json" for origin in seen["origins"]} <= set(asked)
    assert [url for url in asked if not url.startswith(own)] == []


def test_console(seen: dict[str, Any]) -> None:
    """The page has no error of its own: the browser notes only the calls that were refused."""
    refused = ("/v1/users?pageSize=-1", "/v1/locks/a%2Fb", "/v1/failures/1")
    noted = seen["tab"].noted
    own = [(text, url) for text, url in noted if not url.endswith(refused)]

    assert len(noted) >= len(refused)
    assert own + seen["tab"].errors == []
