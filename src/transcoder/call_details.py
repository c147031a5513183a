"""A call as it stands at the door: what policies decide by, and what is told of it when it is over.

Both doors make one for each call, before anything of the request is read. Policies look at it and
write into it; the doors write down how the call ended; logs and metrics read it then.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from transcoder.errors import StatusError
from transcoder.metadata import Metadatum, RawHeaders, checked, request_id
from transcoder.status import Code

DoorName: TypeAlias = Literal["http", "websocket", "grpc"]
Identity: TypeAlias = Mapping[str, Sequence[bytes]]

CALL: Final = "transcoder.call"
"""The key of an ASGI scope under which the call's details are."""

_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})
_NAMES = "x509_subject_alternative_name"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who makes a call, once somebody has made sure of it.

    Args:
        subject: the name under which the issuer knows it.
        scheme: how it was found out: `jwt`, `oauth2`, `api-key`, `mtls`, or a policy's own word.
        issuer: who vouches for it; empty where there is only one that could.
        scopes: what it was granted.
        roles: what it is.
        claims: all that the issuer says of it.
    """

    subject: str
    scheme: str
    issuer: str = ""
    scopes: frozenset[str] = frozenset()
    roles: frozenset[str] = frozenset()
    claims: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


class CallDetails:
    """One call at the door.

    Args:
        door: which one it came through.
        method: the full name of the rpc, `package.Service.Method`; empty where no rpc answers.
        template: the path template of the route that matched, or the gRPC path; empty for none.
        http_method: as HTTP spells it; POST on the gRPC door.
        path: as the client sent it and the router read it, without the query.
        headers: names in lower case; on the gRPC door the metadata.
        peer: the client's address, behind trusted proxies; empty for a Unix socket.
        identity: what the client's certificate holds, as `auth_context()` of gRPC has it.
        secure: whether the connection is encrypted.
        streams: whether the method takes or returns a stream.
    """

    # What hardly any call changes stands here once, and costs a call nothing.
    principal: Principal | None = None
    """Who makes the call; None while nobody has made sure of it."""
    metadata: tuple[Metadatum, ...] = ()
    """What policies say to the servicer, and to whom the call is passed on."""
    answer_headers: Sequence[tuple[bytes, bytes]] = ()
    """What policies say to the client, whatever the answer is."""
    on_end: list[Callable[[], object]] | None = None
    """Called once the call is over, in whatever way."""
    http_status = 0
    """Of the answer; 0 on the gRPC door, and where the client was gone before it."""
    code: Code | None = None
    """Of the call; None where none was told."""
    denied_by = ""
    """The name of the policy that refused the call."""
    reason = ""
    """Why it was refused, or cut, in a word that is no value of the client's."""
    received = 0
    sent = 0
    """Bytes of bodies or messages."""
    received_messages = 0
    sent_messages = 0
    """Messages of streams."""
    called = 0.0
    """When the servicer, or the backend, got the call, as `started`; 0 for never."""
    upstream_seconds = 0.0
    """For how long the servicer had the call, or the backend."""
    query: bytes = b""
    """Of an HTTP request, as the client sent it."""
    trusted = False
    """Whether the client is a trusted peer; see `trusted_peers`."""
    ended = 0.0
    """When it was over, on the clock of `started`, which is `time.monotonic`."""
    _request_id = ""

    def __init__(  # noqa: PLR0917  by name they would take twice as long, for every request
        self,
        door: DoorName,
        method: str = "",
        template: str = "",
        http_method: str = "POST",
        path: str = "",
        headers: RawHeaders = (),
        peer: str = "",
        identity: Identity = _NOTHING,
        secure: bool = False,  # noqa: FBT001, FBT002  as above
        streams: bool = False,  # noqa: FBT001, FBT002  as above
    ) -> None:
        self.door: DoorName = door
        self.method = method
        self.template = template
        self.http_method = http_method
        self.path = path
        self.headers = headers
        self.peer = peer
        self.identity = identity
        self.secure = secure
        self.streams = streams
        self.started = time.monotonic()
        self.wall = time.time()

    @property
    def request_id(self) -> str:
        """The id that names the call: the client's when it is well-formed, else a new one."""
        if not self._request_id:
            self._request_id = request_id(self.all(b"x-request-id"))
        return self._request_id

    def name_anew(self) -> None:
        """Give the call a new id, whatever the client says."""
        self._request_id = request_id(())

    @property
    def service(self) -> str:
        """The full name of the service; empty where no rpc answers."""
        return self.method.rpartition(".")[0]

    @property
    def names(self) -> tuple[str, ...]:
        """The subject alternative names of the client's certificate; none without one."""
        return tuple(name.decode("utf-8", "replace") for name in self.identity.get(_NAMES, ()))

    def all(self, name: bytes) -> list[bytes]:
        """Return the values of all headers of that name, which is in lower case."""
        found = []
        # A comprehension is a call of its own, and this is asked several times of each request.
        for key, value in self.headers:
            if key == name:
                found.append(value)
        return found

    def one(self, name: bytes) -> bytes | None:
        """Return the value of the one header of that name; None for none, and for several."""
        found = self.all(name)
        return found[0] if len(found) == 1 else None

    def tell_servicer(self, key: str, value: str | bytes) -> None:
        """Say something to the servicer, in metadata.

        Args:
            key: one of those that the policy's `writes` names; the client cannot say it then.
            value: bytes under a key that ends in `-bin`.

        Raises:
            ValueError: gRPC cannot carry it.
        """
        self.metadata += checked([(key, value)])

    def tell_client(self, name: str, value: str) -> None:
        """Say something to the client, in a header of the answer, or in trailing metadata.

        Args:
            name: in lower case.
            value: printable ASCII.

        Raises:
            ValueError: one of the doors cannot carry it.
        """
        checked([(name, value)])
        self.answer_headers = (*self.answer_headers, (name.encode(), value.encode()))

    def at_end(self, callback: Callable[[], object]) -> None:
        """Have something called once the call is over, in whatever way."""
        if self.on_end is None:
            self.on_end = []
        self.on_end.append(callback)

    def answered(self) -> None:
        """Note that the servicer, or the backend, has done its part."""
        self.upstream_seconds = time.monotonic() - (self.called or self.started)

    def fail(self, error: StatusError) -> None:
        """Note what the client is told."""
        self.code = error.status.code
        self.http_status = 0 if self.door == "grpc" else error.http
