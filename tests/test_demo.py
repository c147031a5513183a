"""`make demo` from end to end, and the pages of docs/ that hold what it printed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from pages import ROOT, Page, page
from varying import masked

PAGES = {"en": "demo.md", "zh": "zh/demo.md"}
STEPS = range(12)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What a run printed, and the folder of the pages that it wrote."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--docs", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout, folder


def test_every_step_holds(run: tuple[str, Path]) -> None:
    """Each step of the story holds all that it checks, and checks something."""
    printed, _ = run
    steps = re.split(r"^(\d+)\. ", printed, flags=re.MULTILINE)

    assert [int(number) for number in steps[1::2]] == list(STEPS)
    assert all("✓" in text for text in steps[2::2])
    assert "✗" not in printed


@pytest.mark.parametrize("name", PAGES.values(), ids=PAGES)
def test_page(name: str, run: tuple[str, Path]) -> None:
    """The page is what a run writes, but for what is another one each time."""
    _, folder = run
    written = Page(name, (folder / name).read_text(encoding="utf-8"))

    assert masked(page(name).text).splitlines() == masked(written.text).splitlines()


def test_one_step() -> None:
    """A step can be shown alone; one that there is not is told."""
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--step", "99"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode, "there are 0 to 11" in done.stderr) == (2, True)
