"""Routes whose requests are passed on over HTTP, rather than to a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from starlette.types import Receive, Scope, Send

from transcoder.response import Payload
from transcoder.route import Match


class Forwarder(Protocol):
    """Answers the requests of routes that no method has."""

    async def forward(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload | None:
        """Answer one request, which the policies have let in.

        Args:
            match: its route, and the values of the template's variables.
            scope: of the request; the details of the call are in it where policies stand.
            receive: the ASGI channel.
            send: the ASGI channel.

        Returns:
            The answer; None where it was sent.

        Raises:
            StatusError: the request is refused, or nobody answers it.
            Disconnected: the client went away.
        """
        ...

    async def close(self) -> None:
        """Let go of the backend."""
        ...


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The endpoint of a route: who answers there."""

    to: Forwarder
