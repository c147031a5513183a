"""All paths of a gateway as one route of Starlette's router, the first that it asks.

A request comes here through Starlette's stack: because a middleware is configured, or because no
path of the gateway fits and a route of the application's may.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.routing import BaseRoute
from starlette.routing import Match as Fit
from starlette.types import Receive, Scope, Send

from transcoder.answering import Answering
from transcoder.call_details import CALL, CallDetails
from transcoder.errors import NotFound
from transcoder.matching import Found, Matching
from transcoder.route import Match, Miss, Route
from transcoder.transcoder import Endpoint
from transcoder.websocket import NO_STREAM


class StarletteRoute(BaseRoute):
    """Fits what the gateway answers.

    Args:
        match: finds the routes of requests.
        answering: answers them.
        is_guarded: says whether policies have seen the requests.
    """

    def __init__(
        self, match: Matching, answering: Answering, is_guarded: Callable[[], bool]
    ) -> None:
        self._match = match
        self._answering = answering
        self._is_guarded = is_guarded

    def matches(self, scope: Scope) -> tuple[Fit, Scope]:
        """Say whether a path is the gateway's; in part, where it has other methods only."""
        if scope["type"] == "websocket":
            return self._matches_socket(scope)
        if scope["type"] != "http":
            return Fit.NONE, {}
        found = self._match(scope)
        if not isinstance(found, Miss):
            return Fit.FULL, {"transcoder": found}
        return (Fit.PARTIAL, {"transcoder": found}) if found.allow else (Fit.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what fits."""
        found = scope.pop("transcoder")
        # Starlette's key for itself; ours is the method's route, and there only when one matched.
        scope.pop("route", None)
        if scope["type"] != "http":
            await self._answering.shake_hands(found, scope, receive, send)
            return
        changed = _change(found, scope) if self._is_guarded() else None
        await self._answering.answer(changed or found, scope, receive, send)

    async def not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what no route fits, Starlette's included."""
        if scope["type"] == "websocket":
            await self._answering.shake_hands(NotFound(), scope, receive, send)
        else:
            await self._answering.answer(Miss(()), scope, receive, send)

    def _matches_socket(self, scope: Scope) -> tuple[Fit, Scope]:
        found = self._answering.sockets.find(scope)
        if isinstance(found, Miss):
            return Fit.NONE, {}
        # An application may have a WebSocket of its own where a method has none.
        return Fit.PARTIAL if found is NO_STREAM else Fit.FULL, {"transcoder": found}


def _change(found: Found, scope: Scope) -> RuntimeError | None:
    """Return what is wrong where a middleware sent a request to another route than policies saw."""
    call: CallDetails | None = scope.get(CALL)
    if call is None or not isinstance(found, Match):
        return None
    route: Route[Any] = found.route
    method = route.name if isinstance(route.endpoint, Endpoint) else ""
    # At another host the same path may be another method's.
    if (call.template, call.method) == (route.template.text, method):
        return None
    seen = call.template or "no route"
    return RuntimeError(f"{route} was let in as {seen}: {call.path[:256]!a}")
