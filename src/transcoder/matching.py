"""Which route a request is for, by the host and the path that its client sent."""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from starlette.types import Scope

from transcoder import form_post
from transcoder.asgi import asked_host, raw_path
from transcoder.errors import InvalidRequest, StatusError
from transcoder.forwarding import Forwarding
from transcoder.hosts import Served, name_of, not_served
from transcoder.route import Match, Miss
from transcoder.routing import Router
from transcoder.status import Code
from transcoder.transcoder import Transcoder

Found: TypeAlias = "Match[Any] | Miss | StatusError"
"""A route, or that there is none, or what is wrong with what the client asked for."""

PATH_LIMIT: Final = 8192
"""Bytes of a path; a longer one is answered 414 (RFC 9110, section 15.5.15)."""

SERVER_NAME: Final = "transcoder.server_name"
"""The key of a scope under which TLS says which host the client asked for (RFC 6066, section 3)."""

SERVED: Final = "transcoder.served"
"""The key of a scope under which a port says which hosts it answers, a `Served`; all without it."""


class Matching:
    """Finds the routes of requests.

    Args:
        transcoder: has the routes.
    """

    def __init__(self, transcoder: Transcoder) -> None:
        self._transcoder = transcoder
        self.form_posts = form_post.is_looked_at(transcoder.profile)
        """Whether a form POST may stand for another method."""

    def __call__(self, scope: Scope) -> Found:
        """Return the route, or that there is none, or what is wrong with the host or the path."""
        path = raw_path(scope)
        if len(path) > PATH_LIMIT:
            message = f"the path is over the limit of {PATH_LIMIT} bytes"
            return StatusError(Code.INVALID_ARGUMENT, message, http=414)
        hosts = self._transcoder.compile()
        here: Served | None = scope.get(SERVED)
        by_host = hosts.by_host or here is not None
        router = hosts.default
        if by_host:
            asked = asked_host(scope)
            router = hosts.of(*asked) if here is None or here.fits(*asked) else hosts.elsewhere
        try:
            found = router.match(scope["method"], path)
            if isinstance(found, Miss) and path[-1:] == "/" and path != "/":
                found = _passed_on(router, scope["method"], path, found)
        except InvalidRequest as error:
            return error
        if not by_host:
            return found
        if isinstance(found, Miss) and not hosts.serves(router):
            return not_served()
        if _is_contradicted(scope):
            return not_served("the host that the request asks for is another than TLS names")
        return found

    def decide_method(self, scope: Scope) -> None:
        """Give a POST the method it stands for, before any policy or route sees it."""

        def fits(method: str) -> bool:
            return isinstance(self({**scope, "method": method}), Match)

        method = form_post.method_of(scope["headers"], self._transcoder.profile, fits)
        if method != "POST":
            scope["method"] = method
            scope["transcoder.form"] = True


def _is_contradicted(scope: Scope) -> bool:
    """Say whether the client asked TLS for another host: who let that in may not know this one."""
    named = scope.get(SERVER_NAME)
    return named is not None and named != name_of(asked_host(scope)[0])


def _passed_on(router: Router[Any], method: str, path: str, miss: Miss) -> Match[Any] | Miss:
    """Return the route of a path that ends with a slash, if it is passed on as it is."""
    found = router.match(method, path[:-1])
    passed_on = isinstance(found, Match) and isinstance(found.route.endpoint, Forwarding)
    return found if passed_on else miss
