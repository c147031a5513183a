"""The call that an HTTP request makes: what comes with it, from whom, and until when."""

from __future__ import annotations

import base64
import time
from itertools import chain
from typing import Any, Final

from starlette.types import Scope

from transcoder.call_details import CALL, CallDetails
from transcoder.grpc_door import address
from transcoder.inbound import Inbound
from transcoder.metadata import METADATA_LIMIT, Metadatum, RawHeaders
from transcoder.peer_certificate import exact
from transcoder.timeouts import Timeouts
from transcoder.trusted_peers import NOBODY_TRUSTED, TrustedPeers
from transcoder.upstream import NOBODY, Call

IDENTITY: Final = "transcoder.identity"
"""The key of a scope under which whoever checked a client's certificate says what it holds.

As gRPC's `auth_context()` has it: `x509_subject_alternative_name` and its kin, values in bytes.
"""


class Calls:
    """Makes calls of HTTP requests, by the gateway's options.

    Args:
        inbound: how headers become metadata.
        timeouts: how long calls may take.
        peers: the clients that may send what is on the strip list.
    """

    def __init__(
        self, inbound: Inbound, timeouts: Timeouts, peers: TrustedPeers = NOBODY_TRUSTED
    ) -> None:
        self._inbound = inbound
        self._timeouts = timeouts
        self._unasked = {streams: timeouts.of("", (), streams=streams) for streams in (False, True)}
        self._peers = peers

    def __call__(
        self, scope: Scope, headers: RawHeaders, method: str, *, streams: bool = False
    ) -> Call:
        """Return the call.

        Args:
            scope: of the request.
            headers: of the request, in a list that nobody else adds to.
            method: the gRPC path.
            streams: whether the method takes or returns a stream.

        Raises:
            StatusError: the headers are no metadata, or too much of it; or the client gives the
                call no time.
        """
        # One look at all of them at once: in most requests there is nothing to find.
        text = b"".join(chain.from_iterable(headers))
        if len(text) > METADATA_LIMIT or b"-bin" in text or self._inbound.is_own:
            self._inbound.check(headers)
        if b"timeout" in text or self._timeouts.methods:
            full_name = method[1:].replace("/", ".")
            seconds = self._timeouts.of(full_name, headers, streams=streams)
        else:
            seconds = self._unasked[streams]
        now = time.monotonic()
        details: CallDetails | None = scope.get(CALL)
        if details is not None:
            details.called = now
        return Call(
            method,
            headers,
            scope.get("client"),
            None if seconds is None else now + seconds,
            self._told,
            scope.get(IDENTITY, NOBODY),
            scope.get("scheme", "http"),
            details,
        )

    def asked(self, scope: Scope) -> Call:
        """Return a request as far as it is looked at to choose who answers.

        Args:
            scope: of the request.
        """
        return Call(
            "",
            scope["headers"],
            scope.get("client"),
            None,
            self._told,
            scope.get(IDENTITY, NOBODY),
            scope.get("scheme", "http"),
            scope.get(CALL),
        )

    def onward(
        self, scope: Scope, name: str, *, streams: bool = False
    ) -> tuple[Call, list[tuple[bytes, bytes]]]:
        """Return the call of a request that is passed on over HTTP, and its headers there.

        Its deadline is the client's: without one it may take as long as it likes. What policies
        say stands in the headers beside what the client may say.

        Args:
            scope: of the request.
            name: of the call, for the log.
            streams: whether it is a WebSocket.

        Raises:
            StatusError: the client gives the call no time, or says so in a way that is none.
        """
        headers: RawHeaders = scope["headers"]
        peer, scheme = scope.get("client"), scope.get("scheme", "http")
        identity = scope.get(IDENTITY, NOBODY)
        details: CallDetails | None = scope.get(CALL)
        trusted = bool(self._peers) and self._peers.trusts(identity)
        said = self._said(details) if trusted else None
        passed = self._inbound.onward(headers, peer, scheme, trusted=trusted, said=said)
        of = self._timeouts
        seconds = of.of("", headers, streams=True) if streams else of.asked(headers)
        now = time.monotonic()
        if details is not None:
            details.called = now
            passed += map(_header, details.metadata)
        deadline = None
        if seconds is not None:
            deadline = now + seconds
            passed.append((b"x-request-timeout", b"%.3f" % seconds))
        call = Call(name, headers, peer, deadline, self._told, identity, scheme, details)
        return call, passed

    def is_owned(self, name: bytes) -> bool:
        """Say whether a header is the gateway's own to say; see `Inbound`."""
        return self._inbound.is_owned(name)

    @property
    def timeouts(self) -> Timeouts:
        """How long calls may take."""
        return self._timeouts

    def _told(self, call: Call) -> tuple[Metadatum, ...]:
        trusted = bool(self._peers) and self._peers.trusts(call.identity)
        said = self._said(call.details) if trusted else None
        return self._inbound.of(call.headers, call.peer, call.scheme, trusted=trusted, said=said)

    def admitted(self, context: Any) -> tuple[Metadatum, ...]:
        """Return what of its metadata a client of the gRPC port may say, and what policies say.

        Args:
            context: of grpc.aio, or of a call that came through the door.
        """
        metadata = context.invocation_metadata() or ()
        details: CallDetails | None = getattr(context, "call", None)
        trusted = bool(self._peers) and self._peers.trusts(exact(context.auth_context()))
        said = self._said(details) if trusted else None
        peer = address(context.peer())
        told = self._inbound.admitted(metadata, peer, trusted=trusted, said=said)
        return told if details is None else (*told, *details.metadata)

    def _said(self, details: CallDetails | None) -> list[str] | None:
        """Return the keys that a trusted peer may not say; None for all that policies may."""
        if not self._peers.internal:
            return None
        return [] if details is None else [key for key, _ in details.metadata]


def _header(metadatum: Metadatum) -> tuple[bytes, bytes]:
    """Return the header that a metadatum is over HTTP; bytes are base64."""
    key, value = metadatum
    return key.encode(), base64.b64encode(value) if isinstance(value, bytes) else value.encode()
