"""Server-Sent Events of a method: their ids, and how a client goes on where it was cut off.

A browser's `EventSource` connects again by itself. It then asks for the same URL and says the last
id it saw in `Last-Event-ID` (HTML, section 9.2). So the id becomes a field of the request, and it
goes before what the URL says of that field: the URL is still the one that the client began with.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from transcoder.errors import ConfigError, InvalidRequest
from transcoder.fields import FieldPath, FieldPathError, Setter, parent_of, setter
from transcoder.http_rule import Binding
from transcoder.metadata import RawHeaders
from transcoder.values import BadValue

LAST_EVENT_ID = "Last-Event-ID"
ID_LIMIT = 1024
"""Bytes of an id; a longer one is not sent, for it could not come back in a header."""

_INTEGERS = frozenset(
    {
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
        FieldDescriptor.CPPTYPE_UINT32,
        FieldDescriptor.CPPTYPE_UINT64,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventStream:
    """How the replies of a method are told as Server-Sent Events.

    Args:
        id: the field of the reply that says an event's id, by its dotted path; a string or an
            integer.
        resume: the field of the request that `Last-Event-ID` sets; a string or an integer, and no
            path variable.
        retry: seconds after which a client connects again; the default leaves it to the client.
    """

    id: str = ""
    resume: str = ""
    retry: float | None = None


class Events:
    """The event options of one binding; compiled once.

    Args:
        binding: of a method with a stream of replies.
        options: of the method.

    Raises:
        ConfigError: a field is not there or not of a kind that fits, or `retry` is negative.

    >>> from google.longrunning import operations_pb2
    >>> from transcoder.http_rule import bindings
    >>> service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    >>> rule, = bindings(service.methods_by_name["ListOperations"])
    >>> events = Events(rule, EventStream(id="next_page_token", resume="page_token"))
    >>> events.id_of(operations_pb2.ListOperationsResponse(next_page_token="7"))
    '7'
    >>> request = operations_pb2.ListOperationsRequest()
    >>> events.resume(request, [(b"last-event-id", b"7")])
    >>> request.page_token
    '7'
    """

    __slots__ = ("_set", "id_of", "options", "retry")

    def __init__(self, binding: Binding, options: EventStream | None = None) -> None:
        options = options or EventStream()
        self.options = options
        rpc = binding.rpc
        self.id_of: Callable[[Message], str] = _no_id
        """Returns the id of a reply's event; empty for none."""
        self._set: Setter | None = None
        self.retry = b""
        """The delay before a client connects again, in milliseconds; empty when nothing is said."""
        if options.id:
            self.id_of = _id_of(_scalar(rpc.full_name, "id", rpc.output_type, options.id))
        if options.resume:
            path = _scalar(rpc.full_name, "resume", rpc.input_type, options.resume)
            if path.names in {variable.field_path for variable in binding.template.variables}:
                raise ConfigError(f"{rpc.full_name}: events resume: {path} is a path variable")
            self._set = setter(path)
        if options.retry is not None:
            if not 0 <= options.retry < 1e9:
                raise ConfigError(f"{rpc.full_name}: events retry: expected seconds, 0 or more")
            self.retry = b"%d" % round(options.retry * 1000)

    def resume(self, request: Message, headers: RawHeaders) -> None:
        """Set the field of the request that says where to go on, if the client was here before.

        Raises:
            InvalidRequest: the id does not fit the field.
        """
        if self._set is None:
            return
        for name, value in headers:
            if name == b"last-event-id" and value:
                try:
                    self._set(request, value.decode())
                except (BadValue, ValueError) as error:
                    problem = str(error) if isinstance(error, BadValue) else "expected UTF-8"
                    raise InvalidRequest(problem, LAST_EVENT_ID) from None


def _scalar(method: str, option: str, message: Descriptor, text: str) -> FieldPath:
    try:
        path = FieldPath.resolve(message, text)
    except FieldPathError as error:
        raise ConfigError(f"{method}: events {option} {text!r}: {error}") from None
    leaf = path.leaf
    is_text = leaf.type == FieldDescriptor.TYPE_STRING
    if leaf.is_repeated or not (is_text or leaf.cpp_type in _INTEGERS):
        raise ConfigError(f"{method}: events {option} {text!r}: expected a string or an integer")
    return path


def _no_id(_: Message) -> str:
    return ""


def _id_of(path: FieldPath) -> Callable[[Message], str]:
    parent, name, has_presence = parent_of(path), path.leaf.name, path.leaf.has_presence

    def id_of(reply: Message) -> str:
        inside: Any = parent(reply)
        if has_presence and not type(inside).HasField(inside, name):
            return ""
        return str(getattr(inside, name))

    return id_of
