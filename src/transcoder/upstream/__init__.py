"""Where calls go: the seam between the gateway and whatever answers.

An upstream takes a request message and returns a reply, or raises a StatusError. In process
(`local`) it is the servicer itself.
"""

from __future__ import annotations

from typing import Protocol

from google.protobuf.message import Message

from transcoder.metadata import Metadatum, RawHeaders


class Call:
    """One RPC on its way: what came with it, and what the servicer sends beside the reply.

    Args:
        method: the gRPC path, `/package.Service/Method`.
        headers: of the HTTP request; they become metadata when somebody asks for them.
        peer: host and port of the client, or None when the transport has none.
    """

    __slots__ = ("headers", "initial_metadata", "method", "peer", "trailing_metadata")

    def __init__(
        self,
        method: str,
        headers: RawHeaders = (),
        peer: tuple[str, int] | None = None,
    ) -> None:
        self.method = method
        self.headers = headers
        self.peer = peer
        self.initial_metadata: tuple[Metadatum, ...] = ()
        self.trailing_metadata: tuple[Metadatum, ...] = ()


class Upstream(Protocol):
    """Answers calls."""

    async def unary(self, call: Call, request: Message) -> Message:
        """Return the reply to one request.

        Raises:
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
