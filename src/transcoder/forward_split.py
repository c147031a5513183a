"""Several versions of what answers paths over HTTP, of which each request gets one.

    stable = ForwardVersion("v1", HttpUpstream("http://shop-1:8080"), 95)
    canary = ForwardVersion("v2", HttpUpstream("http://shop-2:8080"), 5)
    gateway.forward("/shop/**", ForwardSplit([stable, canary], sticky=Sticky(cookie="group")))

As `upstream.split` does it for methods.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from transcoder.errors import StatusError
from transcoder.forwarding import Forwarder
from transcoder.measured import Measured, Reading, Readings
from transcoder.response import Payload
from transcoder.route import Match
from transcoder.status import Code
from transcoder.upstream.choice import Asked, Sticky, VersionMatch
from transcoder.upstream.versions import CALLS, HeaderMatch, Versions, unreachable


@dataclass(frozen=True, slots=True)
class ForwardVersion:
    """One of the versions.

    Args:
        name: for matches and metrics.
        forwarder: who answers.
        weight: of a hundred requests that no match decides, how many are its own; None for a
            version that has requests by matches alone.
    """

    name: str
    forwarder: Forwarder
    weight: int | None = None


class ForwardSplit(Versions[ForwardVersion]):
    """Passes requests on to one of several versions.

    Args:
        versions: as `Versions` has it, and so on.
        matches: likewise.
        sticky: likewise.
        name: for metrics, as the paths.

    Raises:
        ConfigError: as `Versions` does.
    """

    def __init__(
        self,
        versions: Sequence[ForwardVersion],
        *,
        matches: Sequence[HeaderMatch | VersionMatch] = (),
        sticky: str | Sticky = "",
        name: str = "",
    ) -> None:
        super().__init__(versions, matches=matches, sticky=sticky)
        self._name = name
        self._asked: Callable[[Scope], Asked] | None = None

    def read_by(self, asked: Callable[[Scope], Asked]) -> None:
        """Learn how the gateway reads requests, of which clients may not say everything.

        Args:
            asked: returns a request as far as it is looked at.
        """
        self._asked = asked

    async def forward(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload | None:
        """Answer one request by a version; see `Forwarder`."""
        return await self._answering(scope).forward(match, scope, receive, send)

    async def forward_socket(
        self, match: Match[Any], scope: Scope, receive: Receive, send: Send
    ) -> Payload | None:
        """Serve one WebSocket by a version, as `forward`.

        Raises:
            StatusError: the version takes none.
        """
        forward = getattr(self._answering(scope), "forward_socket", None)
        if forward is None:
            raise StatusError(Code.UNIMPLEMENTED, "this path takes no WebSockets", http=400)
        answered: Payload | None = await forward(match, scope, receive, send)
        return answered

    def readings(self) -> Readings:
        """Tell how many requests each version has got, and what the versions count."""
        for name, count in self.counts.items():
            yield Reading(CALLS, count, {"upstream": self._name, "version": name})
        for each in self._forwarders:
            if isinstance(each, Measured):
                yield from each.readings()

    async def check(self) -> str:
        """Return why none of the versions that weigh can be reached; see `Reachable`."""
        return await unreachable([each.forwarder for each in self._weighing])

    async def close(self) -> None:
        """Let go of all versions."""
        for forwarder in self._forwarders:
            await forwarder.close()

    @property
    def _forwarders(self) -> list[Forwarder]:
        known = {id(each.forwarder): each.forwarder for each in self._versions.values()}
        return list(known.values())

    def _answering(self, scope: Scope) -> Forwarder:
        if self._asked is None:
            raise RuntimeError("a split answers behind a gateway: pass it to Gateway.forward")
        return self._chosen(self._asked(scope)).forwarder
