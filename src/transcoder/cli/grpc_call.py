"""A call over gRPC, of any of the four kinds."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click
import grpc
from google.protobuf.message_factory import GetMessageClass

from transcoder.cli.failure import details_of, tell
from transcoder.errors import ConfigError, Unprintable

if TYPE_CHECKING:
    from google.protobuf.descriptor import MethodDescriptor
    from google.protobuf.message import Message

    from transcoder.cli.call_requests import Requests
    from transcoder.cli.message_types import Types


def call_over_grpc(
    channel: grpc.Channel, rpc: MethodDescriptor, requests: Requests, types: Types, **options: Any
) -> None:
    """Make a call and print its replies, each as it comes.

    Raises:
        ConfigError: what the user gives is no request; a call that has begun is cancelled.
        SystemExit: with 1 if the status is not OK, and is told.
    """
    sent = _Sent(iter(requests)) if rpc.client_streaming else None
    call = _method(channel, rpc)(sent or requests.one(), **options)
    if sent is not None:
        sent.call(call)
    try:
        for reply in call if rpc.server_streaming else _only(call):
            click.echo(types.to_json(reply))
    except (grpc.RpcError, grpc.FutureCancelledError) as error:
        if sent is not None and sent.failure is not None:
            raise sent.failure from None
        _tell(error, types)
        raise SystemExit(1) from None
    except Unprintable as error:
        tell("the reply", str(error))
        raise SystemExit(1) from None
    finally:
        call.cancel()


def _method(channel: grpc.Channel, rpc: MethodDescriptor) -> Any:
    """Return what begins a call, and hands it back to be cancelled."""
    takes = "stream" if rpc.client_streaming else "unary"
    returns = "stream" if rpc.server_streaming else "unary"
    method = getattr(channel, f"{takes}_{returns}")(
        f"/{rpc.containing_service.full_name}/{rpc.name}",
        GetMessageClass(rpc.input_type).SerializeToString,
        GetMessageClass(rpc.output_type).FromString,
    )
    return method if rpc.server_streaming else method.future


def _tell(error: Any, types: Types) -> None:
    trailers = [(each.key, each.value) for each in error.trailing_metadata() or ()]
    tell(error.code().name, error.details() or "", details_of(trailers, types))


def _only(call: Any) -> Iterator[Message]:
    yield call.result()


class _Sent:
    """A stream of requests, which gRPC takes on a thread of its own.

    What is wrong with one must not look like the end of the stream: the server would go on with
    half of it. The call is cancelled, and the thread that waits for it says why.
    """

    def __init__(self, requests: Iterator[Message]) -> None:
        self.failure: ConfigError | None = None
        self._requests = requests
        self._begun = threading.Event()
        self._call: Any = None

    def call(self, call: Any) -> None:
        """Say which call is sent."""
        self._call = call
        self._begun.set()

    def __iter__(self) -> Iterator[Message]:
        return self

    def __next__(self) -> Message:
        try:
            return next(self._requests)
        except ConfigError as error:
            self.failure = error
            self._begun.wait()
            self._call.cancel()
            raise StopIteration from None
