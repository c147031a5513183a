"""The pages of the documentation and what stands in them, for the tests that hold them to it."""

from __future__ import annotations

import doctest
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"

_BLOCK = re.compile(r"^```(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of a page.

    Args:
        language: what stands behind the fence.
        text: what stands between the fences.
        line: of the page, where the text begins.
    """

    language: str
    text: str
    line: int


@dataclass(frozen=True, slots=True)
class Page:
    """A page, or the README.

    Args:
        name: of the file.
        text: all of it.
    """

    name: str
    text: str

    @property
    def all_blocks(self) -> list[Block]:
        """The blocks of all languages, in their order."""
        return [
            Block(found[1], found[2], self.text.count("\n", 0, found.start(2)) + 1)
            for found in _BLOCK.finditer(self.text)
        ]

    def blocks(self, language: str) -> list[str]:
        """Return the texts of the blocks of one language."""
        return [block.text for block in self.all_blocks if block.language == language]

    @property
    def commands(self) -> list[tuple[str, str]]:
        """The commands of the consoles, each with what it prints, in their order."""
        return [found for text in self.blocks("console") for found in commands(text)]

    def rows(self, heading: str) -> list[list[str]]:
        """Return the cells of a section's tables, without their heads.

        Args:
            heading: of the section, as `## Options`.
        """
        section = self.section(heading).splitlines()
        lines = [line for line in section if line.startswith("|")]
        rules = [number for number, line in enumerate(lines) if set(line) <= set("|-: ")]
        heads = {number for rule in rules for number in (rule - 1, rule)}
        return [_cells(line) for number, line in enumerate(lines) if number not in heads]

    def section(self, heading: str) -> str:
        """Return what stands between a heading and the next of its level or above."""
        level = heading.partition(" ")[0]
        _, begun, rest = f"\n{self.text}".partition(f"\n{heading}\n")
        assert begun, f"{self.name} has no {heading}"
        return re.split(rf"^#{{1,{len(level)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]

    def run(self, block: Block | str, names: dict[str, Any] | None = None) -> dict[str, Any]:
        """Run a block of Python; return the names that it leaves.

        Args:
            block: of this page.
            names: that are there already.
        """
        found = next(each for each in self.all_blocks if block in {each, each.text})
        left: dict[str, Any] = {} if names is None else names
        # Empty lines before the code: a traceback names the page's line.
        code = compile("\n" * (found.line - 1) + found.text, str(DOCS / self.name), "exec")
        exec(code, left)  # noqa: S102  our own page
        return left

    def sessions(self) -> tuple[int, int]:
        """Run what stands behind `>>>`, as one session; return how many failed, and ran."""
        text = "\n".join(self.blocks("pycon"))
        session = doctest.DocTestParser().get_doctest(text, {}, self.name, self.name, 0)
        failed, tried = doctest.DocTestRunner(verbose=False).run(session)
        return failed, tried


def page(name: str) -> Page:
    """Return a page of the documentation."""
    return Page(name, (DOCS / name).read_text(encoding="utf-8"))


def readme(name: str = "README.md") -> Page:
    """Return the README, or that of a name."""
    return Page(name, (ROOT / name).read_text(encoding="utf-8"))


def commands(console: str) -> list[tuple[str, str]]:
    """Return the commands of a console, each with what it prints."""
    return [(found[1], found[2]) for found in _COMMAND.finditer(console)]


def fits(expected: str, printed: str) -> bool:
    """Say whether a text is the expected one, in which three dots stand for anything."""
    pattern = ".*".join(re.escape(part) for part in expected.strip().split("..."))
    return re.fullmatch(pattern, printed.strip(), re.DOTALL) is not None


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]
