"""A transcript as a page of the documentation, in either language."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from demo.ports import Ports
from demo.transcript import Check, Command, Step, Transcript
from demo.world import HERE

Language = Literal["en", "zh"]
Told = Sequence[tuple[Step, Transcript]]


def page(language: Language, steps: Told, ports: Ports) -> str:
    """Return a page.

    Args:
        language: of its prose.
        steps: what was shown.
        ports: that were used; the page has those that are written.
    """
    parts = [(HERE / f"page.{language}.md").read_text()]
    for step, told in steps:
        parts.append("\n".join(_section(language, step, told, ports)))
    return "\n".join(parts)


def _section(language: Language, step: Step, told: Transcript, ports: Ports) -> Iterator[str]:
    yield f"## {step.number}. {getattr(step.title, language)}\n"
    yield "\n>\n".join(f"> {quote}" for quote in step.quotes)
    yield ""
    if language == "en":
        yield f"{step.shows}\n"
    commands = [each for each in told.entries if isinstance(each, Command)]
    yield "```console"
    yield from _console(commands, ports)
    yield "```\n"
    for each in told.entries:
        if isinstance(each, Check):
            yield f"- {'✓' if each.holds else '✗'} {getattr(each.what, language)}"
    yield ""


def _console(commands: Iterable[Command], ports: Ports) -> Iterator[str]:
    for each in commands:
        yield f"$ {ports.written(each.text)}"
        for line in ports.written(each.output).splitlines():
            yield line.rstrip()
