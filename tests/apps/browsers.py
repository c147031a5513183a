"""A real browser, without a window, driven by Playwright."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Literal

from playwright.async_api import Page, async_playwright, expect

from pages import ROOT
from programs import program

PICTURES = ROOT / "build" / "screenshots"
"""Where pictures of pages are, for people to look at."""

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SWITCHES = ("--disable-dev-shm-usage", "--disable-gpu", "--disable-quic", "--no-proxy-server")
PATIENCE = 50_000.0
"""Milliseconds until what a page is expected to show is given up."""

expect.set_options(timeout=PATIENCE)


class Tab:
    """A page in a browser, what it requested, and what went wrong in it.

    Args:
        page: is blank.

    `noted` has the texts of the console with the addresses that they are about, `errors` what the
    page's own code did not catch.
    """

    def __init__(self, page: Page) -> None:
        self.page = page
        self.requests: list[str] = []
        self.noted: list[tuple[str, str]] = []
        self.errors: list[str] = []
        page.set_default_timeout(PATIENCE)
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("console", lambda told: self.noted.append((told.text, told.location["url"])))
        page.on("pageerror", lambda error: self.errors.append(str(error)))


async def picture(page: Page, name: str, width: int, scheme: Literal["dark", "light"]) -> int:
    """Keep a picture of a whole page; return how much of it stands out of the window."""
    await page.set_viewport_size({"width": width, "height": 900})
    await page.emulate_media(color_scheme=scheme)
    await page.screenshot(path=PICTURES / f"{name}.png", full_page=True)
    beyond: int = await page.evaluate("document.documentElement.scrollWidth")
    return max(beyond - width, 0)


@contextlib.asynccontextmanager
async def tab() -> AsyncIterator[Tab]:
    """Yield a blank page of the browser of this machine, which has never been used."""
    path = program(*BROWSERS)
    async with async_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=SWITCHES, timeout=PATIENCE)
        browser = await launched
        try:
            yield Tab(await browser.new_page())
        finally:
            await browser.close()
