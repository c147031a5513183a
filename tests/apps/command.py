"""The command line of `transcoder`, read and not run."""

from __future__ import annotations

from typing import Any

import click

from transcoder.cli import main
from transcoder.cli.serve import serve


def serve_options(*words: str) -> dict[str, Any]:
    """Return what `transcoder serve` takes from its words and from the environment, by option.

    It is read below the whole command, as where it runs: a command keeps its option for help.
    """
    above = click.Context(main, info_name="transcoder", **main.context_settings)
    return serve.make_context("serve", list(words), parent=above).params
