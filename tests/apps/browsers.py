"""A real browser, without a window, and a hold on the page that it shows."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from programs import program

BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@contextlib.contextmanager
def browsing(url: str, profile: Path, *more: str) -> Iterator[None]:
    """Open a page in a browser that has never been used, and nobody sees.

    Args:
        url: of the page.
        profile: an empty folder.
        more: switches of the browser.
    """
    switches = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-proxy-server",
        f"--user-data-dir={profile}",
        *more,
    ]
    process = subprocess.Popen(
        [program(*BROWSERS), *switches, url],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        # Its own processes are of its session.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class Tab:
    """A page in a browser, held by the Chrome DevTools Protocol.

    Args:
        connection: to the browser, for this page.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self.events: list[dict[str, Any]] = []
        self._connection = connection
        self._numbers = itertools.count(1)

    async def tell(self, method: str, **parameters: Any) -> Any:
        """Return what the browser answers to a command."""
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        await self._connection.send(json.dumps(message))
        while True:
            found = json.loads(await self._connection.recv())
            if found.get("id") == number:
                assert "error" not in found, found
                return found["result"]
            self.events.append(found)

    async def ask(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        found = await self.tell("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in found, found
        return found["result"].get("value")

    async def wait(self, expression: str) -> Any:
        """Return the value of an expression as soon as it is one that counts as true.

        As long as it asks for something of an element that is not there yet, it has no value.
        """
        early = "(error) { if (!(error instanceof TypeError)) throw error; }"
        expression = f"(() => {{ try {{ return {expression}; }} catch {early} }})()"
        while not (value := await self.ask(expression)):  # noqa: ASYNC110  a page has no events
            await asyncio.sleep(0.05)
        return value

    async def click(self, element: str) -> None:
        """Click into the middle of an element, as a mouse does."""
        await self.ask(f"({element}).scrollIntoView({{block: 'center'}})")
        middle = "({x, y, width, height}) => [x + width / 2, y + height / 2]"
        x, y = await self.ask(f"({middle})(({element}).getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            place = {"x": x, "y": y, "button": "left", "clickCount": 1}
            await self.tell("Input.dispatchMouseEvent", type=kind, **place)

    async def type(self, element: str, text: str) -> None:
        """Click into an element and type."""
        await self.click(element)
        await self.tell("Input.insertText", text=text)


@contextlib.asynccontextmanager
async def tab(url: str, profile: Path) -> AsyncIterator[Tab]:
    """Open a page and hold it; its events are kept from the beginning."""
    with browsing("about:blank", profile, "--remote-debugging-port=0"):
        told = profile / "DevToolsActivePort"
        while not (told.exists() and told.read_text().count("\n")):  # noqa: ASYNC110  nor a file
            await asyncio.sleep(0.05)
        port, path = told.read_text().split()
        async with connect(f"ws://127.0.0.1:{port}{path}", max_size=None) as whole:
            target = await Tab(whole).tell("Target.createTarget", url="about:blank")
        page = f"ws://127.0.0.1:{port}/devtools/page/{target['targetId']}"
        async with connect(page, max_size=None) as connection:
            opened = Tab(connection)
            for domain in ("Page", "Network", "Runtime", "Log"):
                await opened.tell(f"{domain}.enable")
            await opened.tell("Page.navigate", url=url)
            yield opened
