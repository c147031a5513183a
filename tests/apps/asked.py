"""Policies that note that they were asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any

from transcoder import Code
from transcoder.call_details import CallDetails, Principal
from transcoder.policies.policy import Denied, Now, Stage


@dataclass
class Passing:
    """Notes that it was asked."""

    name: str
    stage: Stage = Stage.SIZE
    asked: list[str] = field(default_factory=list)

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Let the call pass."""
        self.asked.append(self.name)
        return None


@dataclass
class Knowing(Passing):
    """Knows the caller by a header of its own name."""

    stage: Stage = Stage.AUTHENTICATION
    later: bool = False

    @property
    def challenge(self) -> str:
        """What it asks for."""
        return self.name

    @property
    def security(self) -> Mapping[str, Mapping[str, Any]]:
        """Its scheme."""
        return {self.name: {"type": "http", "scheme": self.name}}

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Find out who calls, at once or later."""
        self.asked.append(self.name)
        if self.later:
            return self._found(call)
        self._find(call)
        return None

    async def _found(self, call: CallDetails) -> None:
        await asyncio.sleep(0)
        self._find(call)

    def _find(self, call: CallDetails) -> None:
        value = call.one(self.name.encode())
        if value == b"wrong":
            raise Denied(Code.UNAUTHENTICATED, "wrong", reason="wrong")
        if value is not None:
            call.principal = Principal(subject=value.decode(), scheme=self.name)
