"""A transcript for a terminal; plain text for anything else."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from demo.transcript import Check, Command, Step


class Screen:
    """Prints what happens, as it happens.

    Args:
        console: where to.
    """

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin(self, step: Step) -> None:
        """Tell what a step shows."""
        self._print(f"\n{step.number}. {step.title.zh} · {step.title.en}", "bold cyan")
        for quote in step.quotes:
            self._print(f"「{quote}」", "italic")
        self._print(step.shows, "italic")

    def tell(self, entry: Command | Check) -> None:
        """Tell of a command or a check."""
        if isinstance(entry, Command):
            self._print(f"$ {entry.text}", "bold")
            if entry.output:
                self._print(entry.output.rstrip("\n"))
        elif entry.holds:
            self._print(f"✓ {entry.what.en}", "green")
        else:
            self._print(f"✗ {entry.what.en}", "bold red")

    def say(self, text: str) -> None:
        """Print a line."""
        self._print(text)

    def _print(self, text: str, style: str = "") -> None:
        self._console.print(Text(text, style), soft_wrap=True)
