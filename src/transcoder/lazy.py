"""Names of a package that are resolved when they are first used (PEP 562).

So a package may name what needs further packages, and who does without these can import it.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, home: Mapping[str, str]) -> Callable[[str], Any]:
    """Return the `__getattr__` of a package.

    Args:
        package: its name.
        home: by each name, the module that has it, below `transcoder`.
    """

    def found(name: str) -> Any:
        if name not in home:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(f"transcoder.{home[name]}"), name)
        # It is asked once.
        setattr(sys.modules[package], name, value)
        return value

    return found
