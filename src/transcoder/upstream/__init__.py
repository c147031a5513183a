"""Where calls go: the seam between the gateway and whatever answers.

An upstream takes a request message and returns a reply, or raises a StatusError. In process
(`local`) it is the servicer itself.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, ClassVar, Final, Protocol, TypeAlias

from google.protobuf.message import Message

from transcoder.call_details import CallDetails
from transcoder.inbound import to_metadata
from transcoder.metadata import Metadatum, RawHeaders

Inbound: TypeAlias = "Callable[[Call], tuple[Metadatum, ...]]"
Request: TypeAlias = "Message | AsyncIterator[Message]"
RawRequest: TypeAlias = "bytes | AsyncIterator[bytes]"

NOBODY: Final[Mapping[str, Sequence[bytes]]] = MappingProxyType({})
"""The identity of a client without a certificate."""


def _from_headers(call: Call) -> tuple[Metadatum, ...]:
    return to_metadata(call.headers)


class Call:
    """One RPC on its way: what came with it, and what the servicer sends beside the replies.

    Args:
        method: the gRPC path, `/package.Service/Method`.
        headers: of the HTTP request; they become metadata when somebody asks for them.
        peer: host and port of the client, or None when the transport has none.
        deadline: when the call must be over, on the clock of `time.monotonic`; None for never.
        inbound: returns the metadata of a call, from what came with it.
        identity: what is known of the client's certificate, as `auth_context()` returns it.
        scheme: of the client's connection, `http` or `https`.
        details: what the door knows of the call; None where nothing stands there.
    """

    raw: ClassVar[bool] = False
    """Whether requests and replies are passed as bytes, which nobody here reads."""

    __slots__ = (
        "_inbound",
        "_metadata",
        "cancelled",
        "deadline",
        "details",
        "headers",
        "identity",
        "initial_metadata",
        "method",
        "on_open",
        "peer",
        "scheme",
        "trailing_metadata",
    )

    def __init__(  # noqa: PLR0917  by name they would take as long again, for every request
        self,
        method: str,
        headers: RawHeaders = (),
        peer: tuple[str, int] | None = None,
        deadline: float | None = None,
        inbound: Inbound = _from_headers,
        identity: Mapping[str, Sequence[bytes]] = NOBODY,
        scheme: str = "http",
        details: CallDetails | None = None,
    ) -> None:
        self.method = method
        self.headers = headers
        self.peer = peer
        self.deadline = deadline
        self.identity = identity
        self.scheme = scheme
        self.details = details
        self.cancelled = False
        """Whether the gateway gave the call up: its client is gone, or its deadline has passed."""
        self.initial_metadata: tuple[Metadatum, ...] = ()
        self.trailing_metadata: tuple[Metadatum, ...] = ()
        self.on_open: Callable[[], None] | None = None
        """Called when the servicer sends its initial metadata before the first reply."""
        self._inbound = inbound
        self._metadata: tuple[Metadatum, ...] | None = None

    @property
    def metadata(self) -> tuple[Metadatum, ...]:
        """What the client sent beside the requests."""
        if self._metadata is None:
            told = self._inbound(self)
            self._metadata = told if self.details is None else (*told, *self.details.metadata)
        return self._metadata

    def told(self, metadata: tuple[Metadatum, ...], details: CallDetails | None) -> None:
        """Take what came with a call that was at the door before.

        Args:
            metadata: all of them, with what policies say.
            details: what the door knows.
        """
        self._metadata = metadata
        self.details = details

    def open(self, metadata: tuple[Metadatum, ...]) -> None:
        """Take the initial metadata, which come before the first reply."""
        self.initial_metadata = metadata
        if self.on_open is not None:
            self.on_open()

    def time_remaining(self) -> float | None:
        """Return the seconds until the deadline, not below 0; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


class RawCall(Call):
    """A call that is passed on as it came."""

    raw: ClassVar[bool] = True

    __slots__ = ()


class Upstream(Protocol):
    """Answers calls of all four kinds.

    A request is one message, or the client's stream of them: then reading it raises what went wrong
    on its way, and the upstream lets that through. For a raw call, which only comes
    to upstreams outside this process, requests and replies are bytes.
    """

    async def unary(self, call: Call, request: Request) -> Any:
        """Return the one reply.

        Raises:
            StatusError: the call ended with a status other than OK.
        """
        ...

    def stream(self, call: Call, request: Request) -> AsyncGenerator[Any, None]:
        """Return the stream of replies; it must be closed, which ends the call.

        Raises (when iterated):
            StatusError: the call ended with a status other than OK.
        """
        ...


def check_reply(reply: object, expected: type[Message]) -> None:
    """Check what a servicer returned.

    Raises:
        TypeError: it is not of the method's type.
    """
    if not isinstance(reply, expected):
        wanted = expected.DESCRIPTOR.full_name
        raise TypeError(f"the servicer returned {type(reply).__name__}, not {wanted}")
