"""The call that an HTTP request makes: what comes with it, from whom, and until when."""

from __future__ import annotations

from starlette.types import Scope

from transcoder.metadata import RawHeaders
from transcoder.upstream import Call


class Calls:
    """Makes calls of HTTP requests, by the gateway's options."""

    def __call__(
        self, scope: Scope, headers: RawHeaders, method: str, *, streams: bool = False
    ) -> Call:
        """Return the call.

        Args:
            scope: of the request.
            headers: of the request, in a list that nobody else adds to.
            method: the gRPC path.
            streams: whether the method takes or returns a stream.
        """
        del streams
        return Call(method, headers, scope.get("client"))
