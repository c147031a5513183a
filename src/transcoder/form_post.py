"""Form POSTs that stand for another method, as grpc-gateway has them.

A client whose URL would be too long sends the query as a form. Such a POST may name its method in
X-HTTP-Method-Override; without that it falls back to the GET rule of its path, when no POST rule
fits the path. No other request is looked at, and no other header.
"""

from __future__ import annotations

from collections.abc import Callable

from transcoder.metadata import RawHeaders
from transcoder.profile import Profile

_FORM = b"application/x-www-form-urlencoded"
_METHODS = {b"DELETE": "DELETE", b"GET": "GET", b"PATCH": "PATCH", b"POST": "POST", b"PUT": "PUT"}
"""What an override may name: methods whose answers are framed as a POST's is."""


def is_looked_at(profile: Profile) -> bool:
    """Say whether a profile lets form POSTs stand for anything."""
    return profile.form_fallback or profile.method_override


def method_of(headers: RawHeaders, profile: Profile, fits: Callable[[str], bool]) -> str:
    """Return the method that a POST stands for; POST itself in most cases.

    Args:
        headers: of the request; an override is heeded only when all copies of it agree.
        profile: what it allows.
        fits: says whether a rule fits the path under a method.

    >>> from transcoder.profile import GRPC_GATEWAY
    >>> form = [(b"content-type", b"application/x-www-form-urlencoded")]
    >>> method_of(form, GRPC_GATEWAY, lambda method: method == "GET")
    'GET'
    """
    if not _is_form(headers):
        return "POST"
    if profile.method_override:
        said = {value.upper() for name, value in headers if name == b"x-http-method-override"}
        method = _METHODS.get(said.pop()) if len(said) == 1 else None
        if method is not None:
            return method
    if profile.form_fallback and not fits("POST") and fits("GET"):
        return "GET"
    return "POST"


def _is_form(headers: RawHeaders) -> bool:
    for name, value in headers:
        if name == b"content-type":
            return value.partition(b";")[0].strip().lower() == _FORM
    return False
