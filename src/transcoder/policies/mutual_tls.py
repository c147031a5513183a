"""Callers that are known by their certificates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from transcoder.call_details import CallDetails, Principal
from transcoder.errors import ConfigError
from transcoder.metadata import is_key
from transcoder.policies.policy import Denied, Now, Stage, check_texts
from transcoder.status import Code

ANY: Final = "*"
"""Stands for every certificate that the listener takes, among allowed names."""


class MutualTls:
    """Knows callers by the subject alternative names of their certificates.

    Whether a certificate is to be trusted at all, the listener has found out: this says whose may
    call. A client without a certificate passes, as one that brings nothing; a policy behind this
    one may know it.

    Args:
        allow: the names, as `spiffe://example.org/orders` or `orders.example.org`; `*` for all.
        forward: the metadata key under which servicers are told the name; empty for none.
        name: of the policy, for logs, overrides and the API's description.

    Raises:
        ConfigError: an option is none.
    """

    stage: Final = Stage.AUTHENTICATION
    challenge: Final = "MutualTLS"

    def __init__(
        self, allow: Iterable[str], *, forward: str = "", name: str = "mutual-tls"
    ) -> None:
        listed = list(allow) if not isinstance(allow, str) else allow
        check_texts(f"{name}: allow", listed)
        if not listed or not all(listed):
            raise ConfigError(f"{name}: allow: at least one name is expected, and none empty")
        if forward and (not is_key(forward) or forward.endswith("-bin")):
            raise ConfigError(f"{name}: forward {forward!r} is no key of metadata")
        self.name: Final = name
        self.writes: Final = (forward,) if forward else ()
        self._allow = frozenset(listed)
        self._forward = forward

    @property
    def security(self) -> Mapping[str, Mapping[str, Any]]:
        """The security scheme, for the API's description."""
        return {self.name: {"type": "mutualTLS"}}

    def decide(self, call: CallDetails, now: Now) -> None:
        """Find out who calls."""
        names = call.names
        if not names:
            return
        found = (
            names[0] if ANY in self._allow else next(filter(self._allow.__contains__, names), "")
        )
        if not found:
            raise Denied(
                Code.PERMISSION_DENIED, "this certificate may not call here", reason="certificate"
            )
        call.principal = Principal(subject=found, scheme="mtls", claims={"san": list(names)})
        if self._forward:
            if not found.isascii() or not found.isprintable():
                message = "this certificate may not call here"
                raise Denied(Code.PERMISSION_DENIED, message, reason="certificate-name")
            call.tell_servicer(self._forward, found)
