"""Whose word a gateway takes: clients whose certificates hold one of the listed names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.peer_certificate import NAMES

IDENTITY_HEADERS: Final = (
    "x-internal",
    "x-request-id",
    "remote-user",
    "x-amzn-oidc-*",
    "x-auth-request-*",
    "x-authenticated-*",
    "x-caller*",
    "x-claim*",
    "x-consumer*",
    "x-goog-authenticated-user-*",
    "x-group*",
    "x-peer*",
    "x-principal*",
    "x-remote-*",
    "x-role*",
    "x-scope*",
    "x-subject*",
    "x-tenant*",
    "x-user*",
)
"""In which gateways tell those behind them what they know of a call and its caller.

`HeaderNames` has the grammar. Those of the gateway's own policies and the names that its pages use
are here, beside what proxies and load balancers that authenticate write. `X-Forwarded-…` is never
taken from clients, see `transcoder.forwarded`.
"""


class TrustedPeers:
    """The clients that may say what others may not.

    Args:
        names: subject alternative names in their certificates.
        internal: whether the gateway stands behind theirs. Then it takes their word for what its
            own policies would say too, unless these say it of the call; and nobody else may name
            a call.

    Raises:
        ConfigError: the names are one text.
    """

    def __init__(self, names: Iterable[str] = (), *, internal: bool = False) -> None:
        if isinstance(names, str):
            raise ConfigError(f"trusted peers {names!r}: a sequence of names is expected")
        self._names = frozenset(name.encode() for name in names)
        self.internal: Final = internal

    def __bool__(self) -> bool:
        """Say whether it matters who somebody is."""
        return bool(self._names) or self.internal

    def trusts(self, identity: Mapping[str, Iterable[bytes]]) -> bool:
        """Say whether a client is one of them.

        Args:
            identity: what its certificate holds, as `auth_context()` of gRPC has it.
        """
        return not self._names.isdisjoint(identity.get(NAMES, ()))

    def look(self, call: CallDetails) -> None:
        """Note in a call at the door whether its client is one of them."""
        call.trusted = self.trusts(call.identity)
        if self.internal and not call.trusted:
            call.name_anew()


NOBODY_TRUSTED: Final = TrustedPeers()
