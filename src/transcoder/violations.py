"""Broken validation rules: where in a request they are, whom they concern, how a client is told.

A place is a path of fields. A client of the gRPC port is told it in proto names, a client over HTTP
in the names that it used itself: of the path template, of the query, or of its JSON.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from google.protobuf import any_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from transcoder.errors import StatusError
from transcoder.http_rule import Binding
from transcoder.status import Code, shortened
from transcoder.update_mask import mask_field
from transcoder.well_known import well_known

TOLD = 20
"""Violations that one answer lists, as far as they fit into BODY_LIMIT."""

BODY_LIMIT = 2048
"""Bytes of the answer in JSON."""

_AROUND = 160
"""Bytes of it besides the message and the violations."""

_FIELD_LIMIT = 128
_PROBLEM_LIMIT = 256
_REASON = re.compile(r"[A-Z][A-Z0-9_]{0,61}[A-Z0-9]")

Paths = frozenset[tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """One field on the way to a value, or at its end a oneof.

    Args:
        field: None for a oneof.
        name: in the proto.
        members: the names of the fields of a oneof.
        subscript: which item of a list, or which key of a map; None for all of it.
    """

    field: FieldDescriptor | None
    name: str
    members: frozenset[str] = frozenset()
    subscript: str = ""

    def is_named(self, name: str) -> bool:
        """Say whether a path that goes through `name` goes through this."""
        return name == self.name or name in self.members


@dataclass(frozen=True, slots=True)
class Violation:
    """A rule that a message breaks.

    Args:
        steps: where; none for the message itself.
        problem: what is wrong, for the client.
        rule: its id, as `string.min_len`.
    """

    steps: tuple[Step, ...]
    problem: str
    rule: str


Name = Callable[[Violation], str]
"""Says how a client calls the place of a violation."""


def steps_of(message: Descriptor, path: Iterable[tuple[str, str]]) -> tuple[Step, ...]:
    """Return the steps of a path.

    Args:
        message: where it begins.
        path: proto names, each with its subscript, or without one.

    >>> from google.protobuf.descriptor_pb2 import FileDescriptorProto
    >>> steps = steps_of(FileDescriptorProto.DESCRIPTOR, [("message_type", "[2]"), ("name", "")])
    >>> proto_name(Violation(steps, "", ""))
    'message_type[2].name'
    """
    steps = []
    inside: Descriptor | None = message
    for name, subscript in path:
        field = None if inside is None else inside.fields_by_name.get(name)
        oneof = None if inside is None else inside.oneofs_by_name.get(name)
        members = frozenset(each.name for each in oneof.fields) if oneof else frozenset()
        steps.append(Step(field, name, members, subscript))
        inside = None if field is None else field.message_type
        if inside is not None and inside.GetOptions().map_entry:
            inside = inside.fields_by_name["value"].message_type
    return tuple(steps)


def proto_name(violation: Violation) -> str:
    """Return the place in proto names."""
    return _joined(violation.steps, lambda step: step.name)


def client_name(binding: Binding, query: bytes, body: bytes) -> Name:
    """Return what names places as the client of one HTTP request did.

    Args:
        binding: which fields the path and the body hold.
        query: as the client sent it.
        body: the JSON that it sent; empty for a body that is none.
    """
    in_path = {variable.field_path for variable in binding.template.variables}
    above = tuple(binding.body.split(".")) if binding.body not in {"", "*"} else ()

    def name(violation: Violation) -> str:
        steps = violation.steps
        names = tuple(step.name for step in steps)
        if names in in_path:
            return proto_name(violation)
        if above and names[: len(above)] == above:
            # A body that is one field has no name: what is within it is named from there on.
            return _from_body(steps, len(above) - 1, body)
        said, quote = (body, b'"') if binding.body == "*" else (query, b"")
        return _joined(steps, lambda step: _spelled(step, said, quote))

    return name


def _from_body(steps: Sequence[Step], whole: int, body: bytes) -> str:
    """Return the place within the field that is the body, or the field's when that is all.

    Args:
        steps: of the place.
        whole: which of them is the field.
        body: the JSON.
    """

    def spelled(step: Step) -> str:
        return _spelled(step, body, b'"')

    within = _joined(steps[whole:], spelled).removeprefix(spelled(steps[whole]))
    return within.removeprefix(".") or _joined(steps, spelled)


def _joined(steps: Iterable[Step], name: Callable[[Step], str]) -> str:
    return ".".join(f"{name(step)}{step.subscript}" for step in steps)


def _spelled(step: Step, said: bytes, quote: bytes) -> str:
    """Return the JSON name, unless the client wrote the proto's and not that."""
    if step.field is None:
        return step.name
    written = [quote + name.encode() + quote for name in (step.name, step.field.json_name)]
    return step.name if written[0] in said and written[1] not in said else step.field.json_name


class Mask:
    """What of a type's violations concerns a request that names the fields it is about (AIP-134).

    Args:
        message: a type with one `FieldMask` beside one message, the resource.
        mask: the name of the FieldMask's field.
        resource: the name of the resource's field.
        always: paths from the request's top that concern it whatever the mask says: those that
            say which resource it is.
    """

    __slots__ = ("_always", "_mask", "_resource")

    def __init__(self, mask: str, resource: str, always: Paths) -> None:
        self._mask = mask
        self._resource = resource
        self._always = always

    @classmethod
    def of(cls, message: Descriptor, always: Paths = frozenset()) -> Mask | None:
        """Return the mask of a type; None for one that is not of this form."""
        mask = mask_field(message)
        resources = [
            field.name
            for field in message.fields
            if not field.is_repeated
            and field.message_type is not None
            and well_known(field.message_type) is None
        ]
        if mask is None or len(resources) != 1:
            return None
        return cls(mask.name, resources[0], always)

    def concerning(self, message: Message, found: Sequence[Violation]) -> Sequence[Violation]:
        """Return the violations that are about what the mask of a message names.

        A mask that is empty or `*` names all. A rule on a message as a whole is about fields that
        a partial message need not hold: only where the mask names all of that message it counts.
        """
        said = [tuple(path.split(".")) for path in getattr(message, self._mask).paths]
        if not said or ("*",) in said:
            return found
        return [each for each in found if self._is_about(each, said)]

    def _is_about(self, violation: Violation, said: Iterable[tuple[str, ...]]) -> bool:
        steps = violation.steps
        if not steps or steps[0].name != self._resource:
            return True
        if tuple(step.name for step in steps) in self._always:
            return True
        if len(steps) == 1:
            return violation.rule == "required"
        return any(_covers(path, steps[1:]) for path in said)


def _covers(path: tuple[str, ...], steps: tuple[Step, ...]) -> bool:
    """Say whether a mask's path names a place, or something that holds it."""
    if not all(step.is_named(name) for name, step in zip(path, steps, strict=False)):
        return False
    if len(path) <= len(steps):
        return True
    # Below a list or a map a path names items, and these steps end at all of them or at others.
    last = steps[-1].field
    return last is not None and last.is_repeated


def refusal(found: Sequence[Violation], name: Name, index: int | None = None) -> StatusError:
    """Return what a client is told of a message that breaks rules: INVALID_ARGUMENT.

    Args:
        found: what is wrong, at least one thing.
        name: see `Name`.
        index: which message of a stream it is, counted from 0.

    >>> refusal([Violation((), "must have a name", "named")], proto_name, 2).status.message
    '[2]: must have a name'
    """
    prefix = "" if index is None else f"[{index}]"
    told = [
        error_details_pb2.BadRequest.FieldViolation(
            field=shortened(".".join(filter(None, (prefix, name(violation)))), _FIELD_LIMIT),
            description=shortened(violation.problem, _PROBLEM_LIMIT),
            reason=_reason(violation.rule),
        )
        for violation in found[:TOLD]
    ]
    first = told[0]
    message = f"{first.field}: {first.description}" if first.field else first.description
    if len(found) > 1:
        message = f"{shortened(message, 480)}; {len(found) - 1} more"
    room = BODY_LIMIT - _AROUND - _printed(message)
    sizes = itertools.accumulate(
        _printed(each.field, each.description, each.reason) for each in told
    )
    fitting = [each for each, size in zip(told, sizes, strict=True) if size <= room]
    details = any_pb2.Any()
    details.Pack(error_details_pb2.BadRequest(field_violations=fitting))
    return StatusError(Code.INVALID_ARGUMENT, shortened(message), [details])


def _printed(*texts: str) -> int:
    """Return how many bytes of JSON a violation of these texts takes at most."""
    keys = len('{"field":,"description":,"reason":},')
    return keys + sum(len(json.dumps(text, ensure_ascii=False).encode()) for text in texts)


def _reason(rule: str) -> str:
    """Return a rule's id as a reason of `google.rpc`; empty for one that makes none."""
    reason = re.sub(r"[^A-Z0-9]+", "_", rule.upper()).strip("_")
    return reason if _REASON.fullmatch(reason) else ""
