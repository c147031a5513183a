"""What OpenSSL is told, and handshakes that say why they fail.

asyncio and uvloop close a connection whose handshake fails before the alert has left that tells the
client why (RFC 8446, section 6.2), and tell the program of a reason only where they are the ones
who asked. So the first failure is passed on here to whoever the handshake is of, and looks to the
loop like a handshake that waits for more: then it sends what OpenSSL wrote.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import Any, Self, TypeAlias

from transcoder.server_tls import ServerTls

Refused: TypeAlias = Callable[[ssl.SSLError], object]

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_VERIFY = {"none": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "required": ssl.CERT_REQUIRED}


class _Secured(ssl.SSLObject):
    """One connection's TLS."""

    named: str | None = None
    """The host that the client asks for, in lower case; None where it does not say."""
    refused: Refused | None = None
    _failure: ssl.SSLError | None = None

    def do_handshake(self) -> None:
        """Go on with the handshake."""
        if self._failure is not None:
            raise self._failure
        try:
            super().do_handshake()
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            if self.refused is None:
                raise
            self._failure = error
            self.refused(error)
            raise ssl.SSLWantReadError from error
        self.refused = None

    def getpeercert(self, binary_form: bool = False) -> Any:  # noqa: FBT001, FBT002  as ssl has it
        """Return the certificate; empty when its text is none, which its bytes do not mind."""
        try:
            return super().getpeercert(binary_form)
        except ValueError:
            return {}


class Context(ssl.SSLContext):
    """What one certificate and its options are to OpenSSL.

    Its `refused` is that of the handshake which begins next.
    """

    sslobject_class = _Secured
    refused: Refused | None = None

    def __new__(cls) -> Self:
        """Make a context of servers."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def wrap_bio(self, *args: Any, **options: Any) -> ssl.SSLObject:
        """Begin a handshake."""
        made: Any = super().wrap_bio(*args, **options)
        made.refused, self.refused = self.refused, None
        return made  # type: ignore[no-any-return]


def context_of(tls: ServerTls) -> Context:
    """Return the context of a server, still without its files."""
    context = Context()
    context.minimum_version = _VERSIONS[tls.min_version]
    context.verify_mode = _VERIFY[tls.asks]
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    if tls.asks != "none":
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    context.set_alpn_protocols(["http/1.1"])
    context.sni_callback = _note
    return context


def _note(secured: Any, name: str | None, _: object) -> None:
    secured.named = None if name is None else name.lower()
