"""Who may see the admin port.

A page of any site can have a browser send requests to this machine, and by DNS rebinding read the
answers under a name of its own. So a port on the loopback interface answers under loopback's names
alone, no port answers pages of other origins, and one on any other interface wants a token.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import ipaddress
import re
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from transcoder.asgi import header, send_payload
from transcoder.errors import ConfigError, StatusError
from transcoder.listeners import Claim
from transcoder.refusal import refuse
from transcoder.status import Code

_AUTHORITY: Final = re.compile(r"(?:\[(?P<v6>[^\]]*)\]|(?P<host>[^:]*))(?::[0-9]*)?")
# A line each: of several challenges in one, browsers read the first.
_CHALLENGES: Final = [
    ("www-authenticate", 'Bearer realm="admin"'),
    ("www-authenticate", 'Basic realm="admin"'),
]


def is_loopback(host: str) -> bool:
    """Say whether a host, as an address or a name, is this machine to itself.

    >>> is_loopback("localhost"), is_loopback("127.0.0.2"), is_loopback("localhost.example")
    (True, True, False)
    """
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def is_local(claim: Claim) -> bool:
    """Say whether an address is for this machine alone: loopback, or a Unix socket."""
    if claim.address.path:
        return True
    return all(is_loopback(each.getsockname()[0]) for each in claim.held)


class Guard:
    """Lets requests in.

    Args:
        app: answers them.
        claim: where it listens.
        token: that they must show; "" for none.

    Raises:
        ConfigError: others than this machine reach the address, and there is no token.
    """

    def __init__(self, app: ASGIApp, claim: Claim, token: str) -> None:
        local = is_local(claim)
        if not local and not token:
            wanted = "give a token (admin_token), or an address of this machine, as 127.0.0.1:9901"
            raise ConfigError(f"admin: {claim.address} is reached from outside: {wanted}")
        if token and not token.isascii():
            raise ConfigError("admin_token: ASCII is expected, for it is sent in a header")
        self._app = app
        self._token = token.encode()
        self._by_name = local and not claim.address.path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or refuse it."""
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close"})
            return
        problem = self._problem(scope)
        if problem is None:
            await self._app(scope, receive, send)
        else:
            await send_payload(refuse(problem, scope), scope, send)

    def _problem(self, scope: Scope) -> StatusError | None:
        authority = header(scope["headers"], b"host")
        found = _AUTHORITY.fullmatch(authority)
        name = (found["v6"] or found["host"]) if found else ""
        if self._by_name and not is_loopback(name):
            return StatusError(Code.PERMISSION_DENIED, "this port has another name")
        origin = header(scope["headers"], b"origin")
        if origin and origin not in {f"http://{authority}", f"https://{authority}"}:
            return StatusError(
                Code.PERMISSION_DENIED, "this port is not for pages of other origins"
            )
        if self._token and not self._shows_token(header(scope["headers"], b"authorization")):
            message = "this needs the token of the admin port"
            return StatusError(Code.UNAUTHENTICATED, message, headers=_CHALLENGES)
        return None

    def _shows_token(self, shown: str) -> bool:
        scheme, _, credentials = shown.partition(" ")
        token = credentials.strip().encode("latin-1", "replace")
        if scheme.lower() == "basic":
            token = _password(token)
        elif scheme.lower() != "bearer":
            return False
        # In constant time: how long it takes tells nothing of the token.
        return hmac.compare_digest(token, self._token)


def _password(credentials: bytes) -> bytes:
    """Return the password of basic credentials, which is all that a browser asks a person for."""
    try:
        return base64.b64decode(credentials, validate=True).partition(b":")[2]
    except binascii.Error:
        return b""
