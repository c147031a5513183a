"""Replies as payloads: printed as JSON, serialized, or the raw bytes of an HttpBody."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, TypedDict

import orjson
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import InvalidRequest, Unprintable
from transcoder.fields import is_map
from transcoder.http_rule import Binding
from transcoder.marshaler import PROTOBUF, Offers, offers
from transcoder.metadata import RawHeaders
from transcoder.profile import Profile
from transcoder.protojson import Precompiled, to_json
from transcoder.protojson.encode import Print, printer
from transcoder.protojson.weight import LIMIT, ON_LOOP, weigher, weight
from transcoder.request_body import is_http_body
from transcoder.response import JSON, Payload, content_type
from transcoder.selection import Selection
from transcoder.system_parameters import SystemParameters

REPLY_ON_LOOP = 16_384
"""Bytes of a reply that is printed on the event loop."""

REPLY_LIMIT = 4 << 20
"""Bytes of a reply that is printed as JSON at all; a larger one is the servicer's defect."""

NUMBERS_COUNT = 1 << 20
"""Bytes of a reply over which the numbers in its lists count too."""

_JSON = JSON.decode()
ALT = {"json": _JSON, "proto": PROTOBUF[0], "sse": "text/event-stream"}
"""What the system parameter `$alt` accepts."""
_VARY: RawHeaders = ((b"vary", b"Accept"),)

_METHODS: Any = Empty
"""Has the methods of all messages; theirs may be hidden by fields of the same names."""


@dataclass(frozen=True, slots=True)
class Presentation:
    """How a client wants its answer printed.

    Args:
        enum_numbers: enum values as numbers; None is as the profile has it.
        indent: whether to print for human eyes.
        selection: what of the answer to print; None is all of it.
        accept: media types that go before those of Accept; empty for none.
    """

    enum_numbers: bool | None
    indent: bool
    selection: Selection | None
    accept: str = ""


class _Printing(TypedDict):
    """How replies are printed, in `to_json`'s words."""

    print_defaults: bool
    proto_names: bool
    enum_numbers: bool


class ResponseEncoder:
    """Turns the replies of one binding into payloads; compiled once.

    Args:
        binding: its `response_body` names the field that is the whole answer.
        profile: what is printed, and what happens to who accepts no answer.

    Raises (on call):
        Unprintable: the reply has no JSON form.
    """

    __slots__ = (
        "_answer",
        "_class",
        "_field",
        "_headers",
        "_is_http_body",
        "_pool",
        "_print",
        "_printing",
        "_weigh",
        "offers",
        "serializes",
    )

    def __init__(self, binding: Binding, profile: Profile) -> None:
        output = binding.rpc.output_type
        name = binding.response_body
        self._field: FieldDescriptor | None = output.fields_by_name[name] if name else None
        self._answer: Descriptor | FieldDescriptor = output if self._field is None else self._field
        repeated = self._field is not None and self._field.is_repeated
        body_type = output if self._field is None else self._field.message_type
        self._is_http_body = not repeated and is_http_body(body_type)
        self.serializes = body_type is not None and not repeated and not self._is_http_body
        """Whether an answer is a message, which may also be sent as its bytes."""
        self.offers = self._offers(refuse=profile.not_acceptable == "reject")
        """The media types of the answers."""
        self._headers = _VARY if len(self.offers.types) > 1 else ()
        self._printing = _Printing(
            print_defaults=profile.print_defaults,
            proto_names=profile.proto_names,
            enum_numbers=profile.enum_numbers,
        )
        self._class = GetMessageClass(output)
        pool = output.file.pool
        self._pool = None if pool is Default() else pool
        # Both are compiled when they are first needed.
        self._print: Callable[[Message], bytes] = self._first_print
        self._weigh: Callable[[Message], int] = self._first_weigh

    def _offers(self, *, refuse: bool) -> Offers:
        if self._is_http_body:
            return offers()
        types = (_JSON, *PROTOBUF) if self.serializes else (_JSON,)
        return offers(*types, refuse=refuse)

    def __call__(
        self, reply: Message, presentation: Presentation | None = None, media_type: str = _JSON
    ) -> Payload:
        """Return the answer that carries this reply.

        Args:
            reply: of the method.
            presentation: how to print JSON.
            media_type: one of `offers`; an HttpBody has its own.
        """
        if self._is_http_body:
            return self._http_body(reply)
        if media_type != _JSON:
            return self._serialized(reply, media_type)
        data = self._print(reply) if presentation is None else self._presented(reply, presentation)
        return Payload(200, JSON, data, self._headers)

    def _serialized(self, reply: Message, media_type: str) -> Payload:
        value = reply if self._field is None else getattr(reply, self._field.name)
        if weight(value, pool=self._pool) > LIMIT:
            raise self._too_large(f"over {LIMIT} messages")
        data: bytes = _METHODS.SerializePartialToString(value)
        if len(data) > REPLY_LIMIT:
            raise self._too_large(f"over {REPLY_LIMIT} bytes")
        return Payload(200, media_type.encode(), data, self._headers)

    def printed(
        self, reply: Message, presentation: Presentation | None = None, media_type: str = _JSON
    ) -> Payload | bytes:
        """Return the answer that carries this reply, or a large reply for a thread to print.

        A large one is returned as it is now, in bytes, for `from_snapshot`: a servicer may go on
        changing its message. To make them holds the event loop for the least time.

        Args:
            reply: of the method.
            presentation: how to print JSON.
            media_type: one of `offers`; an HttpBody has its own.

        Raises:
            Unprintable: the reply is over a limit.
        """
        if self._is_http_body or media_type in PROTOBUF:
            return self(reply, presentation, media_type)
        # First of all: only what holds few messages is serialized in no time.
        weighs = self._weigh(reply)
        if weighs > LIMIT:
            raise self._too_large(f"over {LIMIT} messages")
        data: bytes = _METHODS.SerializePartialToString(reply)
        if len(data) <= REPLY_ON_LOOP and weighs <= ON_LOOP:
            if presentation is None:
                return Payload(200, JSON, self._print(reply), self._headers)
            return self(reply, presentation)
        if len(data) > REPLY_LIMIT:
            raise self._too_large(f"over {REPLY_LIMIT} bytes")
        return data

    def _too_large(self, told: str) -> Unprintable:
        return Unprintable(self._class.DESCRIPTOR.full_name, f"{told}, the limit of a reply")

    def from_snapshot(self, data: bytes, presentation: Presentation | None = None) -> Payload:
        """Return the answer that carries the reply of a `snapshot`.

        Raises:
            Unprintable: it holds too many numbers.
        """
        reply = self._class.FromString(data)
        if len(data) > NUMBERS_COUNT:
            weighs = weight(
                reply,
                print_defaults=self._printing["print_defaults"],
                numbers=True,
                pool=self._pool,
            )
            if weighs > LIMIT:
                raise self._too_large(f"over {LIMIT} messages, a message for ten numbers of a list")
        return self(reply, presentation)

    @property
    def prints_json(self) -> bool:
        """Whether the answers are JSON, rather than the bytes of an HttpBody."""
        return not self._is_http_body

    def precompile(self, ahead: Precompiled) -> None:
        """Compile what the JSON of the answers needs, before the first of them."""
        if self._is_http_body:
            return
        ahead.weight(self._class, print_defaults=self._printing["print_defaults"], pool=self._pool)
        field, printing = self._field, self._printing
        if field is None:
            ahead.encoder(self._class, pool=self._pool, **printing)
        elif self.serializes:
            message: Any = field.message_type
            ahead.encoder(GetMessageClass(message), pool=self._pool, **printing)
        else:
            ahead.encoder(self._class, pool=self._pool, **_alone(field, printing))

    def presentation(self, system: SystemParameters) -> Presentation:
        """Return what a client's system parameters mean for this answer.

        Raises:
            InvalidRequest: they select fields that the answer does not have.
        """
        selection = None
        if system.fields:
            if self._is_http_body:
                raise InvalidRequest("this method answers with raw bytes, not fields", "fields")
            selection = Selection.parse(
                system.fields, self._answer, proto_names=self._printing["proto_names"]
            )
        accept = ALT.get(system.alt, "")
        return Presentation(system.enum_numbers, bool(system.pretty_print), selection, accept)

    def _http_body(self, reply: Message) -> Payload:
        body: Any = reply if self._field is None else getattr(reply, self._field.name)
        return Payload(200, content_type(body.content_type), body.data)

    def _presented(self, reply: Message, presentation: Presentation) -> bytes:
        data = self._json(reply, enum_numbers=presentation.enum_numbers)
        if presentation.selection is None and not presentation.indent:
            return data
        tree = _parsed(data)
        if presentation.selection is not None:
            tree = presentation.selection.of(tree)
        return _printed(tree, indent=presentation.indent)

    def _first_print(self, reply: Message) -> bytes:
        field = self._field
        if field is not None and not self.serializes:
            self._print = functools.partial(self._field_json, field=field, printing=self._printing)
        else:
            answer: Any = self._answer if field is None else field.message_type
            print_ = printer(answer, pool=self._pool, **self._printing)
            self._print = print_ if field is None else _within(attrgetter(field.name), print_)
        return self._print(reply)

    def _first_weigh(self, reply: Message) -> int:
        descriptor: Any = self._class.DESCRIPTOR
        self._weigh = weigher(
            descriptor, print_defaults=self._printing["print_defaults"], pool=self._pool
        )
        return self._weigh(reply)

    def _json(self, reply: Message, *, enum_numbers: bool | None) -> bytes:
        if enum_numbers is None or enum_numbers is self._printing["enum_numbers"]:
            return self._print(reply)
        printing: _Printing = {**self._printing, "enum_numbers": enum_numbers}
        if self._field is not None and not self.serializes:
            return self._field_json(reply, self._field, printing)
        value = reply if self._field is None else getattr(reply, self._field.name)
        return to_json(value, pool=self._pool, **printing)

    def _field_json(self, reply: Message, field: FieldDescriptor, printing: _Printing) -> bytes:
        """Print what is no message as the member of an object, and take it out of there."""
        value = getattr(reply, field.name)
        alone = type(reply)()
        if field.is_repeated:
            getattr(alone, field.name).MergeFrom(value)
        else:
            setattr(alone, field.name, value)
        tree = _parsed(to_json(alone, pool=self._pool, **_alone(field, printing)))
        key = field.name if printing["proto_names"] else field.json_name
        return _printed(tree.get(key, {} if is_map(field) else []))


def _alone(field: FieldDescriptor, printing: _Printing) -> _Printing:
    """Return how the message of a field is printed that is all of an answer.

    A scalar is printed whatever it is, but the messages of a list as the profile has it.
    """
    return {**printing, "print_defaults": printing["print_defaults"] or field.message_type is None}


def _within(get: Callable[[Message], Message], print_: Print) -> Print:
    return lambda reply: print_(get(reply))


def _parsed(data: bytes) -> Any:
    """Return the tree of JSON of ours; by `json`, which takes longer, when it is very deep."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


def _printed(tree: Any, *, indent: bool = False) -> bytes:
    try:
        return orjson.dumps(tree, option=orjson.OPT_INDENT_2 if indent else None)
    except orjson.JSONEncodeError:
        separators = None if indent else (",", ":")
        spaces = 2 if indent else None
        text = json.dumps(tree, ensure_ascii=False, indent=spaces, separators=separators)
        return text.encode()
