"""A real browser, without a window, driven by Playwright."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

from playwright.async_api import Page, async_playwright, expect

from programs import program

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
