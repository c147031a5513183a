"""Routes whose requests are passed on over HTTP, rather than to a method."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final, Protocol, runtime_checkable

from starlette.types import Receive, Scope, Send

from transcoder.body import Disconnected
from transcoder.calls import Calls
from transcoder.errors import ConfigError, StatusError
from transcoder.offload import Offload
from transcoder.pace import Pace
from transcoder.path_template import PathTemplate
from transcoder.reading import Reader
from transcoder.response import Payload
from transcoder.route import Match
from transcoder.stream_limits import StreamLimits

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
class SocketForwarder(Forwarder, Protocol):
    """Takes WebSockets too."""

    async def forward_socket(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload | None:
        """Serve one WebSocket, whose handshake the policies have let in; as `forward`.

        Returns:
            The answer to a handshake that is refused; None where it was accepted.

        Raises:
            StatusError: before it is accepted.
            Disconnected: the client went away.
        """
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
    """The endpoint of a route: who answers there.

    Args:
        to: who answers.
        strip_prefix: of paths, which the backend does not see.
    """

    to: Forwarder
    strip_prefix: str = ""


class Stream(Protocol):
    """Something that goes on until somebody ends it."""

    def end(self, why: StatusError | Disconnected) -> None:
        """End it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What a gateway holds all requests to, whoever answers them.

    Args:
        calls: say what of a request's headers goes on, and until when there is time.
        read: reads bodies, within the limits.
        offload: where work is done that would hold the event loop.
        pace: at which bodies must arrive.
        streams: the limits of streams.
        counted: counts a stream among those that are open, as long as its context lasts.
    """

    calls: Calls
    read: Reader
    offload: Offload
    pace: Pace
    streams: StreamLimits
    counted: Callable[[Stream], AbstractContextManager[None]]


def check_prefix(template: str, prefix: str) -> None:
    """Check that all paths of a template have a prefix, which ends where a segment does.

    Raises:
        ConfigError: they have not.
    """
    if prefix and not (prefix.startswith("/") and f"{template}/".startswith(f"{prefix}/")):
        raise ConfigError(f"strip_prefix {prefix!r}: the path {template} does not begin with it")
