"""Headers that tell browsers what not to do with an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.metadata import is_header
from transcoder.policies.policy import Now, Stage

DEFAULTS: Final[Mapping[str, str]] = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-frame-options": "DENY",
}
"""The headers of every answer over HTTP; `X-Content-Type-Options: nosniff` is there anyway."""

_YEAR: Final = 31_536_000


class SecurityHeaders:
    """Adds security headers to every answer over HTTP, refusals included.

    Where an answer has a header of the same name, that stands.

    Args:
        hsts: seconds for which browsers are to come by https only (RFC 6797); it is said over an
            encrypted connection alone. 0 for not at all; the default is a year.
        subdomains: whether that holds for the host's subdomains too.
        headers: in the place of `DEFAULTS` and beside them, by name; None leaves one out.

    Raises:
        ConfigError: a header cannot be sent.
    """

    name: Final = "security-headers"
    stage: Final = Stage.REQUEST_ID

    def __init__(
        self,
        *,
        hsts: int = _YEAR,
        subdomains: bool = False,
        headers: Mapping[str, str | None] | None = None,
    ) -> None:
        if hsts < 0:
            raise ConfigError(f"security-headers: hsts {hsts}: a number from 0 is expected")
        chosen: dict[str, str | None] = {**DEFAULTS}
        chosen |= {name.lower(): value for name, value in (headers or {}).items()}
        kept = {name: value for name, value in chosen.items() if value is not None}
        for name, value in kept.items():
            if not is_header(name.encode(), value.encode()):
                raise ConfigError(f"security-headers: {name!r} cannot be sent with this value")
        self._told = [(name.encode(), value.encode()) for name, value in kept.items()]
        age = f"max-age={hsts}" + ("; includeSubDomains" if subdomains else "")
        self._encrypted = list(self._told)
        if hsts:
            self._encrypted.append((b"strict-transport-security", age.encode()))

    def decide(self, call: CallDetails, now: Now) -> None:
        """Add the headers to the answer."""
        if call.door == "grpc":
            return
        # Well-formed by themselves, they need none of the looks that others' values get.
        told = self._encrypted if call.secure else self._told
        call.answer_headers = (*call.answer_headers, *told)
