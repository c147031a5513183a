"""What a servicer is handed when it is called in process.

Two faces of one call: `LocalContext` for `async def` methods, answering to
`grpc.aio.ServicerContext`, and `BlockingContext` for plain ones, answering to
`grpc.ServicerContext`. Both are registered with those classes rather than derived from them, for
a context is made for every request.
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

import grpc
import grpc.aio
from google.protobuf.message import DecodeError
from google.rpc import status_pb2

from transcoder.errors import StatusError
from transcoder.metadata import Metadatum, checked
from transcoder.status import code_of
from transcoder.upstream import Call
from transcoder.upstream.codes import number_of, to_abort

_log = logging.getLogger(__name__)

_DETAILS = "grpc-status-details-bin"


class _Context:
    __slots__ = ("_aborted", "_call", "_callbacks", "_code", "_details", "_sent")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._code: grpc.StatusCode | int | None = None
        self._details = ""
        self._aborted = False
        self._sent = False
        self._callbacks: list[Callable[[], None]] = []

    def failure(self) -> StatusError | None:
        """Return the error that the servicer set or aborted with, or None for OK."""
        number = number_of(self._code)
        if number == 0:
            return None
        return StatusError(code_of(number), self._details, self._packed_details())

    def finish(self) -> None:
        """Run the callbacks that wait for the end of the call; one that fails stops no other."""
        for callback in self._callbacks:
            try:
                callback()
            except Exception:  # noqa: BLE001  whatever a stranger's callback raises
                _log.exception("a callback at the end of %s failed", self._call.method)

    def invocation_metadata(self) -> tuple[Metadatum, ...]:
        return self._call.metadata

    def set_trailing_metadata(self, trailing_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._call.trailing_metadata = checked(trailing_metadata)

    def trailing_metadata(self) -> tuple[Metadatum, ...]:
        return self._call.trailing_metadata

    def set_code(self, code: grpc.StatusCode | int) -> None:
        self._code = code

    def set_details(self, details: str) -> None:
        self._details = details

    def code(self) -> grpc.StatusCode | int | None:
        return self._code

    def details(self) -> str:
        return self._details

    def peer(self) -> str:
        if self._call.peer is None:
            return "unix:"
        host, port = self._call.peer
        return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"

    def peer_identities(self) -> None:
        return None

    def peer_identity_key(self) -> None:
        return None

    def auth_context(self) -> Mapping[str, Iterable[bytes]]:
        return dict(self._call.identity)

    def time_remaining(self) -> float | None:
        return self._call.time_remaining()

    def set_compression(self, compression: grpc.Compression) -> None:
        """Do nothing: compression of HTTP answers is not the servicer's to choose."""

    def disable_next_message_compression(self) -> None:
        """Do nothing, as `set_compression`."""

    def _send_initial(self, metadata: Iterable[tuple[str, str | bytes]]) -> None:
        if self._sent:
            raise grpc.aio.UsageError("initial metadata was sent before")
        self._call.initial_metadata = checked(metadata)
        self._sent = True

    def _abort(
        self,
        code: grpc.StatusCode | int,
        details: str,
        trailing_metadata: Iterable[tuple[str, str | bytes]],
    ) -> NoReturn:
        if self._aborted:
            raise grpc.aio.UsageError("abort() was called before")
        number = to_abort(code)
        trailing = checked(trailing_metadata)
        self._aborted = True
        self._code = number
        self._details = details
        if trailing:
            self._call.trailing_metadata = trailing
        raise grpc.aio.AbortError(details)

    def _packed_details(self) -> tuple[Any, ...]:
        for key, value in self._call.trailing_metadata:
            if key == _DETAILS and isinstance(value, bytes):
                try:
                    return tuple(status_pb2.Status.FromString(value).details)
                except DecodeError:
                    return ()
        return ()


class LocalContext(_Context):
    """`grpc.aio.ServicerContext` for a call in process."""

    __slots__ = ()

    async def abort(
        self,
        code: grpc.StatusCode | int,
        details: str = "",
        trailing_metadata: Iterable[tuple[str, str | bytes]] = (),
    ) -> NoReturn:
        self._abort(code, details, trailing_metadata)

    async def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self._abort(status.code, status.details, status.trailing_metadata or ())

    async def send_initial_metadata(
        self, initial_metadata: Iterable[tuple[str, str | bytes]]
    ) -> None:
        self._send_initial(initial_metadata)

    async def read(self) -> NoReturn:
        raise grpc.aio.UsageError("read() is for methods that take a stream")

    async def write(self, message: Any) -> NoReturn:
        raise grpc.aio.UsageError("write() is for methods that return a stream")

    def cancelled(self) -> bool:
        return False

    def done(self) -> bool:
        return self._aborted

    def add_done_callback(self, callback: Callable[[Any], None]) -> None:
        self._callbacks.append(functools.partial(callback, self))


class BlockingContext(_Context):
    """`grpc.ServicerContext` for a call in process, on a thread of the pool."""

    __slots__ = ()

    def abort(self, code: grpc.StatusCode | int, details: str) -> NoReturn:
        self._abort(code, details, ())

    def abort_with_status(self, status: grpc.Status) -> NoReturn:
        self._abort(status.code, status.details, status.trailing_metadata or ())

    def send_initial_metadata(self, initial_metadata: Iterable[tuple[str, str | bytes]]) -> None:
        self._send_initial(initial_metadata)

    def is_active(self) -> bool:
        return not self._aborted

    def cancel(self) -> bool:
        return False

    def add_callback(self, callback: Callable[[], None]) -> bool:
        self._callbacks.append(callback)
        return True


grpc.aio.ServicerContext.register(LocalContext)
grpc.ServicerContext.register(BlockingContext)
