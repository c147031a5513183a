"""What our names in the tables of the documentation stand for."""

from __future__ import annotations

import dataclasses
import inspect
import re
from typing import Any

import click

import transcoder
import transcoder.observers
import transcoder.policies
from transcoder.cli import main
from transcoder.plugin.options import KNOWN

SPAN = re.compile(r"`([^`]+)`")


def is_ours(name: str) -> bool:
    """Say whether there is what a name in a table means.

    Args:
        name: as `Gateway(errors=…)`, `Profile.unescape`, `transcoder openapi --label` or
            `--transcoder_opt=unbound`.
    """
    if name.startswith("--transcoder_opt="):
        return name.partition("=")[2] in KNOWN
    if name.startswith("transcoder "):
        return _is_option(*name.split()[1:])
    called = re.fullmatch(r"(\w+)\((\w+)=…\)", name)
    if called:
        return called[2] in inspect.signature(_public(called[1])).parameters
    holder, _, attribute = name.partition(".")
    return not attribute or attribute in _attributes(_public(holder))


def _public(name: str) -> Any:
    homes = (transcoder, transcoder.policies, transcoder.observers)
    home = next((each for each in homes if name in each.__all__), None)
    assert home is not None, f"{name} is no public name"
    return getattr(home, name)


def _attributes(holder: Any) -> set[str]:
    fields = {field.name for field in dataclasses.fields(holder)} if _is_record(holder) else set()
    return fields | set(dir(holder))


def _is_record(holder: Any) -> bool:
    return dataclasses.is_dataclass(holder)


def _is_option(command: str, option: str) -> bool:
    assert isinstance(main, click.Group)
    found = main.get_command(click.Context(main), command)
    return found is not None and any(option in param.opts for param in found.params)
