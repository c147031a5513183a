"""Routes whose requests are passed on over HTTP, rather than to a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from starlette.types import Receive, Scope, Send

from transcoder.calls import Calls
from transcoder.offload import Offload
from transcoder.path_template import PathTemplate
from transcoder.reading import Reader
from transcoder.response import Payload
from transcoder.route import Match

TERMS: Final = "transcoder.terms"
"""The key of a scope under which a forwarder finds the terms of its gateway."""


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


@runtime_checkable
class Particular(Protocol):
    """A forwarder that does not fit every route."""

    def check_route(self, template: PathTemplate, method: str) -> None:
        """Check that it fits one.

        Args:
            template: of its paths.
            method: as HTTP spells it; `*` for any.

        Raises:
            ConfigError: it does not.
        """
        ...


@dataclass(frozen=True, slots=True)
class Forwarding:
    """The endpoint of a route: who answers there."""

    to: Forwarder


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a gateway holds all requests to, whoever answers them.

    Args:
        calls: say what of a request's headers goes on, and until when there is time.
        read: reads bodies, within the limits.
        offload: where work is done that would hold the event loop.
    """

    calls: Calls
    read: Reader
    offload: Offload
