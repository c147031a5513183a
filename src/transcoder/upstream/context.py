"""What a servicer is handed when it is called in process.

`LocalContext` answers to `grpc.aio.ServicerContext`. It is registered with that class rather than
derived from it, for a context is made for every request.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable, Mapping
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from google.rpc import status_pb2

from transcoder.call_details import CallDetails
from transcoder.errors import StatusError
from transcoder.metadata import Metadatum, checked
from transcoder.status import code_of
from transcoder.upstream import Call, check_reply
from transcoder.upstream.codes import number_of, status_code, to_abort
from transcoder.upstream.handoff import Handoff
from transcoder.upstream.requests import Requests

_log = logging.getLogger(__name__)

_DETAILS = "grpc-status-details-bin"
_ENDS = (asyncio.CancelledError, GeneratorExit)
_NAMES = ("x509_subject_alternative_name", "x509_common_name")


class LocalContext:
    """`grpc.aio.ServicerContext` for a call in process.

    Args:
        call: what came with the call, and takes what is sent.
        requests: what `read()` reads; None where the method takes one request.
        reply: the type of what `write()` takes; None where there is one reply, which is returned.
    """

    __slots__ = (
        "_call",
        "_callbacks",
        "_code",
        "_details",
        "_ended",
        "_handoff",
        "_reply",
        "_requests",
        "_sent",
        "aborted",
    )

    def __init__(
        self,
        call: Call,
        requests: Requests | None = None,
        reply: type[Message] | None = None,
    ) -> None:
        self.aborted = False
        self._call = call
        self._requests = requests
        self._reply = reply
        self._handoff: Handoff | None = None
        self._code: grpc.StatusCode | int | None = None
        self._details = ""
        self._sent = False
        self._ended = False
        self._callbacks: list[Callable[[], None]] | None = None

    @property
    def call(self) -> CallDetails | None:
        """What the door knows of the call."""
        return self._call.details

    def failure(self) -> StatusError | None:
        """Return the error that the servicer set or aborted with, or None for OK."""
        if self._code is None:
            return None
        number = number_of(self._code)
        if number == 0:
            return None
        return StatusError(code_of(number), self._details, self._packed_details())

    def raise_failure(self) -> None:
        """Raise `failure()`, if there is one."""
        if self._code is not None:
            failure = self.failure()
            if failure is not None:
                raise failure

    def finish(self, error: BaseException | None = None) -> None:
        """Run the callbacks that wait for the end of the call; one that fails stops no other.

        Args:
            error: what the call ended with.
        """
        self._ended = True
        if isinstance(error, _ENDS):
            self._call.cancelled = self.cancelled()
        elif self._code is None and error is not None:
            self._code = _code_of(error)
        for callback in self._callbacks or ():
            try:
                callback()
            except Exception:  # noqa: BLE001  whatever a stranger's callback raises
                _log.exception("a callback at the end of %s failed", self._call.method)

    def begin(self) -> None:
        """Have the initial metadata sent, as the first reply has."""
        self._sent = True

    def cancel(self) -> None:
        """Have the servicer see that the call is given up."""
        self._call.cancelled = True

    def written(self, behaviour: Coroutine[Any, Any, object]) -> AsyncGenerator[Any, None]:
        """Run a coroutine of the servicer; return the stream of what it writes."""
        self._handoff = Handoff()
        return self._handoff.replies(behaviour, self.cancel)

    async def read(self) -> Any:
        self.raise_if_aborted()
        return grpc.aio.EOF if self._requests is None else await self._requests.read()

    async def write(self, message: Any) -> None:
        self.raise_if_aborted()
        if self._handoff is None:
            raise grpc.aio.UsageError("write() is for methods that neither return nor yield")
        if self._reply is not None:
            check_reply(message, self._reply)
        await self._handoff.write(message)
        self._sent = True

    def invocation_metadata(self) -> tuple[Metadatum, ...]:
        return self._call.metadata

    def set_trailing_metadata(self, trailing_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._call.trailing_metadata = checked(trailing_metadata)

    def trailing_metadata(self) -> tuple[Metadatum, ...]:
        return self._call.trailing_metadata

    def set_code(self, code: grpc.StatusCode | int) -> None:
        self._code = code

    def set_details(self, details: str | None) -> None:
        if not isinstance(details, str | None):
            raise TypeError(f"details are text, not {type(details).__name__}")
        self._details = details or ""

    def code(self) -> grpc.StatusCode | int | None:
        return self._code

    def details(self) -> str:
        return self._details

    def peer(self) -> str:
        if self._call.peer is None:
            return "unix:"
        host, port = self._call.peer
        # gRPC has an address as a URI, whose path keeps no brackets.
        return f"ipv6:%5B{host}%5D:{port}" if ":" in host else f"ipv4:{host}:{port}"

    def peer_identities(self) -> Iterable[bytes] | None:
        key = self.peer_identity_key()
        return None if key is None else tuple(self._call.identity[key])

    def peer_identity_key(self) -> str | None:
        return next((key for key in _NAMES if self._call.identity.get(key)), None)

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return dict(self._call.identity)

    def time_remaining(self) -> float | None:
        return self._call.time_remaining()

    def cancelled(self) -> bool:
        return self._call.cancelled or is_being_cancelled()

    def done(self) -> bool:
        return self._ended or self.aborted

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        if self._callbacks is None:
            self._callbacks = []
        self._callbacks.append(functools.partial(callback, self))

    def set_compression(self, compression: grpc.Compression) -> None:
        """Do nothing: compression of HTTP answers is not the servicer's to choose."""
        if self._sent:
            raise RuntimeError("compression is set before initial metadata are sent")

    def disable_next_message_compression(self) -> None:
        """Do nothing, as `set_compression`."""

    async def send_initial_metadata(
        self, initial_metadata: Iterable[tuple[str, str | bytes]]
    ) -> None:
        self.raise_if_aborted()
        if self._sent:
            raise grpc.aio.UsageError("initial metadata was sent before")
        self._call.open(checked(initial_metadata))
        self._sent = True

    async def abort(
        self,
        code: grpc.StatusCode | int,
        details: str = "",
        trailing_metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> NoReturn:
        if self.aborted:
            raise grpc.aio.UsageError("abort() was called before")
        code = to_abort(code)
        trailing = checked(trailing_metadata)
        self.aborted = True
        self._code = code
        # What was set before stands, unless there is something in its place.
        self._details = details or self._details
        if trailing:
            self._call.trailing_metadata = trailing
        raise grpc.aio.AbortError(self._details)

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        await self.abort(status.code, status.details, status.trailing_metadata or ())

    def raise_if_aborted(self) -> None:
        """Refuse to go on, as gRPC does when a servicer swallows its abort."""
        if self.aborted:
            raise grpc.aio.AbortError(self._details)

    def _packed_details(self) -> tuple[Any, ...]:
        for key, value in self._call.trailing_metadata:
            if key == _DETAILS and isinstance(value, bytes):
                try:
                    return tuple(status_pb2.Status.FromString(value).details)
                except DecodeError:
                    return ()
        return ()


grpc.aio.ServicerContext.register(LocalContext)


def _code_of(error: BaseException) -> grpc.StatusCode:
    if isinstance(error, StatusError):
        return status_code(int(error.status.code))
    return grpc.StatusCode.INTERNAL


def is_being_cancelled() -> bool:
    """Say whether the running task, if any, was told to end."""
    try:
        task = asyncio.current_task()
    except RuntimeError:
        return False
    return task is not None and task.cancelling() > 0
