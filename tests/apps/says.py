"""A forwarder that answers by itself."""

from __future__ import annotations

from typing import Any

from starlette.types import Receive, Scope, Send

from transcoder.response import Payload
from transcoder.route import Match


class Says:
    """Answers every request with a text."""

    def __init__(self, text: str) -> None:
        self._text = text

    async def forward(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload | None:
        return Payload(200, b"text/plain", self._text.encode())

    async def close(self) -> None:
        pass
