"""Pages of other origins that may call: cross-origin resource sharing, as browsers have it.

The rules are Starlette's. Refusals of other policies carry the headers too, so that a page can read
why it was refused; what a browser asks before (a preflight) is answered before anybody needs to be
known, for it comes without credentials.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any, Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from transcoder.call_details import CALL, CallDetails
from transcoder.errors import ConfigError
from transcoder.metadata import is_header
from transcoder.policies.policy import Answered, Now, Stage, check_texts
from transcoder.response import Payload

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\s,*]+")
_ASKED: Final = b"access-control-request-method"


class Cors:
    """Lets pages of other origins call over HTTP.

    Args:
        origins: theirs, as `https://app.example`; `*` for all.
        methods: that they may use.
        headers: that they may send, beside those that every page may; `*` for all.
        expose: headers of answers that they may read.
        credentials: whether browsers send cookies and the like along, and pages may read the
            answers; not with `*` for the origins.
        max_age: seconds for which browsers keep what they were told.
        name: of the policy, for logs and overrides.

    Raises:
        ConfigError: an option is none.
    """

    stage: Final = Stage.CORS

    def __init__(
        self,
        origins: Collection[str],
        *,
        methods: Collection[str] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        headers: Collection[str] = ("Authorization", "X-Request-Id", "X-Request-Timeout"),
        expose: Collection[str] = ("X-Request-Id", "Retry-After", "RateLimit", "RateLimit-Policy"),
        credentials: bool = False,
        max_age: int = 600,
        name: str = "cors",
    ) -> None:
        given = {"origins": origins, "methods": methods, "headers": headers, "expose": expose}
        for option, texts in given.items():
            check_texts(f"{name}: {option}", texts)
        for origin in origins:
            if origin != "*" and not _ORIGIN.fullmatch(origin):
                raise ConfigError(
                    f"{name}: origins: {origin!r}: write a scheme and a host, no path"
                )
        for option, texts in (("headers", headers), ("expose", expose)):
            for text in texts:
                if not is_header(text.encode(), b""):
                    raise ConfigError(f"{name}: {option}: {text!r} is no name of a header")
        if credentials and "*" in origins:
            raise ConfigError(f"{name}: credentials: list the origins, * would be every page's")
        if max_age < 0:
            raise ConfigError(f"{name}: max_age {max_age}: a number from 0 is expected")
        self.name: Final = name
        self._options: dict[str, Any] = {
            "allow_origins": tuple(origins),
            "allow_methods": tuple(methods),
            "allow_headers": tuple(headers),
            "expose_headers": tuple(expose),
            "allow_credentials": credentials,
            "max_age": max_age,
        }
        self._rules = CORSMiddleware(_nobody, **self._options)

    def decide(self, call: CallDetails, now: Now) -> None:
        """Answer what a browser asks before it calls; let everything else pass."""
        if not _is_preflight(call):
            return
        response = self._rules.preflight_response(Headers(raw=list(call.headers)))
        kept = [pair for pair in response.raw_headers if not pair[0].startswith(b"content-")]
        body = bytes(response.body)
        raise Answered(Payload(response.status_code, b"text/plain; charset=utf-8", body, kept))

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Return an application whose answers tell browsers who may read them."""
        ruled = CORSMiddleware(app, **self._options)

        async def wrapped(scope: Scope, receive: Receive, send: Send) -> None:
            chosen = app if _is_preflight(scope[CALL]) else ruled
            await chosen(scope, receive, send)

        return wrapped


def _is_preflight(call: CallDetails) -> bool:
    return (
        call.door == "http"
        and call.http_method == "OPTIONS"
        and bool(call.all(_ASKED))
        and bool(call.all(b"origin"))
    )


async def _nobody(_scope: Scope, _receive: Receive, _send: Send) -> None:
    raise AssertionError  # pragma: no cover  only its rules are asked
