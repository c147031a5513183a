"""A check that a test turns."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Toggle:
    """A check.

    Args:
        name: of it.
        problem: what it says.
        vital: whether calls had better go elsewhere then.
        asked: how often it was.
    """

    name: str = "database"
    problem: str = ""
    vital: bool = True
    asked: int = 0

    async def check(self) -> str:
        """Return what it says."""
        self.asked += 1
        return self.problem
