"""The site that `make docs` makes of docs/."""

from __future__ import annotations

import asyncio
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from browsers import tab
from pages import DOCS, ROOT, page

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


def options() -> list[str]:
    """Return the options of Sphinx that `make docs` has."""
    command = ["make", "--no-print-directory", "-C", str(ROOT), "-n", "docs"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    recipe = printed.replace("\\\n", " ")
    words = shlex.split(recipe[recipe.index("-m sphinx") :])
    assert words[-4:] == ["--doctree-dir", "build/doctrees", "docs", "build/site"]
    return words[:-4]


def made(pages: Path, site: Path) -> subprocess.CompletedProcess[str]:
    """Make a site as `make docs` does."""
    command = [
        sys.executable,
        *options(),
        "--doctree-dir",
        f"{site}-doctrees",
        str(pages),
        str(site),
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of our pages."""
    folder = tmp_path_factory.mktemp("docs") / "site"
    done = made(DOCS, folder)
    assert (done.returncode, done.stderr) == (0, "")
    return folder


class Loads(HTMLParser):
    """Collects what a page has a browser load."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.urls += _urls(told.get("style") or "")
        if tag in LOADED:
            self.urls.append(told.get(LOADED[tag]) or "")

    def handle_data(self, data: str) -> None:
        self.urls += _urls(data) if self.cdata_elem == "style" else []


def _urls(style: str) -> list[str]:
    return re.findall(r"""(?:url\(\s*|@import\s+)["']?([^"')\s]+)""", style)


def loads(site: Path) -> Iterator[tuple[str, str]]:
    """Return what each page and each style sheet of a site has a browser load."""
    for path in site.rglob("*.html"):
        parser = Loads()
        parser.feed(path.read_text(encoding="utf-8"))
        yield from ((path.name, url) for url in parser.urls)
    for path in site.rglob("*.css"):
        yield from ((path.name, url) for url in _urls(path.read_text(encoding="utf-8")))


def test_pages(site: Path) -> None:
    """Every page is in the site."""
    wanted = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}

    assert wanted <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_index_in_chinese() -> None:
    """The index of the pages in Chinese names all of them, and the whole index leads to it."""
    pages = {path.stem for path in (DOCS / "zh").glob("*.md")} - {"index"}
    (listed,) = page("zh/index.md").blocks("{toctree}")

    assert set(listed.split()[1:]) == pages
    assert "(zh/index.md)" in page("index.md").text


def test_hosts(site: Path) -> None:
    """No page names a script, a style, a font or a picture of another host."""
    found = list(loads(site))

    assert ("index.html", "_static/scripts/furo.js") in {
        (name, url.partition("?")[0]) for name, url in found
    }
    assert [(name, url) for name, url in found if urlsplit(url).netloc] == []


async def requested(url: str) -> list[str]:
    """Open a page in a browser, and return what was requested until all of it was there."""
    async with asyncio.timeout(50), tab() as shown:
        await shown.page.goto(url)
        return shown.requests


def test_requests(site: Path) -> None:
    """A browser asks nobody else for anything."""
    url = (site / "index.html").as_uri()
    asked = asyncio.run(requested(url))

    assert url in asked
    assert [each for each in asked if not each.startswith(("file:", "data:"))] == []


def test_broken_links(tmp_path: Path) -> None:
    """A link to a page or a heading that is not there is told, and ends the build with an error."""
    pages = tmp_path / "docs"
    pages.mkdir()
    shutil.copy(DOCS / "conf.py", pages)
    shutil.copytree(DOCS / "_static", pages / "_static")
    (pages / "index.md").write_text("# A page\n\n[One](none.md)\n\n[Two](index.md#none)\n")
    done = made(pages, tmp_path / "site")
    told = re.findall(r"index\.md:(\d+): WARNING: .*'(\S+)'", done.stderr)

    assert done.returncode != 0
    assert told == [("3", "none.md"), ("5", "none")]
