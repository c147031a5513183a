"""Requests checked by the rules of protovalidate that their protos hold.

Needs the extra `validate`. The rules of a type are compiled once, and a type that reaches none is
passed by.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.descriptor import Descriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

from transcoder.errors import ConfigError, StatusError
from transcoder.http_rule import Binding
from transcoder.route import Route
from transcoder.status import Code
from transcoder.transcoder import Endpoint
from transcoder.violations import (
    Mask,
    Name,
    Paths,
    Violation,
    client_name,
    proto_name,
    refusal,
    steps_of,
)

try:
    from protovalidate import CompilationError, EvaluationError, Validator
except ImportError as error:
    raise ImportError("protovalidate is missing: install transcoder[validate]") from error

MANY = 1000
"""Items in the lists and maps of a message; of one that has more, one violation is told.

All violations of a thousand items are found in some hundredths of a second.
"""

_OPTION = 1159
"""The number of `buf.validate.field`, `.message` and `.oneof` among the options."""

_FAILED = re.compile(
    r"(?:failed to compile expression|error evaluating|expression) (.+?)(?:: | out)"
)
_NEVER = re.compile(r"no_such_field|Applying SELECT|outputs an unexpected type")
"""How a rule fails that is wrong whatever the message holds; CEL tells of it only when it runs."""


class _Rules(NamedTuple):
    validator: Validator
    mask: Mask | None


class Validation:
    """Checks messages of any types.

    Raises (on call):
        StatusError: INVALID_ARGUMENT, a message breaks rules.
        ConfigError: the rules of its type are wrong, and `compile` was not asked before.
        EvaluationError: a rule failed, which is a defect of the rule.
    """

    def __init__(self) -> None:
        self._rules: dict[type[Message], _Rules | None] = {}
        # A validator knows types by name, which are unique in a pool.
        self._validators: dict[DescriptorPool, Validator] = {}
        self._identifying: dict[Descriptor, Paths] = {}

    def add(self, service: ServiceDescriptor, routes: Iterable[Route[Any]]) -> None:
        """Learn a service's requests, and which of their fields are said in paths of its routes."""
        for rpc in service.methods:
            self._identifying.setdefault(rpc.input_type, frozenset())
        for route in routes:
            if isinstance(route.endpoint, Endpoint):
                binding = route.endpoint.binding
                paths = frozenset(variable.field_path for variable in binding.template.variables)
                self._identifying[binding.rpc.input_type] |= paths

    def compile(self) -> None:
        """Compile the rules of all requests that were learnt, instead of at the first of each.

        Raises:
            ConfigError: a rule is wrong; names the field.
        """
        for request in self._identifying:
            self._rules[GetMessageClass(request)] = self._compiled(request)

    def __call__(self, message: Any, index: int | None = None) -> None:
        """Check a message of the gRPC port.

        Args:
            message: what the deserializer made.
            index: which message of a stream it is, counted from 0.
        """
        if found := self._violations(message):
            raise refusal(found, proto_name, index)

    def over_http(
        self,
        message: Message,
        binding: Binding,
        query: bytes,
        body: bytes,
        index: int | None = None,
    ) -> None:
        """Check a message that an HTTP request made; see `client_name`."""
        if found := self._violations(message):
            name: Name = client_name(binding, query, body)
            raise refusal(found, name, index)

    def _violations(self, message: Any) -> Sequence[Violation]:
        kind = type(message)
        try:
            rules = self._rules[kind]
        except KeyError:
            if not isinstance(message, Message):
                return ()
            rules = self._rules[kind] = self._compiled(message.DESCRIPTOR)
        if rules is None:
            return ()
        collect = rules.validator.collect_violations
        found: Sequence[Any] = collect(message, fail_fast=True)
        if not found:
            return ()
        is_small = _items(message, MANY) <= MANY
        if is_small:
            found = collect(message)
        violations = _read(message.DESCRIPTOR, found)
        if rules.mask is None:
            return violations
        concerning = rules.mask.concerning(message, violations)
        if not concerning and not is_small:
            problem = f"has more than {MANY} items, too many to be checked in part"
            raise StatusError(Code.INVALID_ARGUMENT, f"the request {problem}")
        return concerning

    def _compiled(self, message: Any) -> _Rules | None:
        reached = _reached(message)
        if not any(_holds_rules(each) for each in reached):
            return None
        pool = message.file.pool
        if pool not in self._validators:
            self._validators[pool] = Validator()
        validator = self._validators[pool]
        for each in reached:
            _try(validator, each)
        return _Rules(validator, Mask.of(message, self._identifying.get(message, frozenset())))


def _reached(message: Descriptor) -> list[Descriptor]:
    """Return a type and all types that its messages may hold."""
    reached, left = {message: None}, [message]
    while left:
        for field in left.pop().fields:
            inside = field.message_type
            if inside is not None and inside not in reached:
                reached[inside] = None
                left.append(inside)
    return list(reached)


def _holds_rules(message: Descriptor) -> bool:
    return any(_is_ruled(each.GetOptions()) for each in (message, *message.fields, *message.oneofs))


def _is_ruled(options: Message) -> bool:
    # A field that the pool of the options' own type knows, or does not.
    known = any(field.number == _OPTION for field, _ in options.ListFields())
    unknown = UnknownFieldSet(options)
    return known or _OPTION in (
        field.field_number for field in map(unknown.__getitem__, range(len(unknown)))
    )


def _try(validator: Validator, message: Descriptor) -> None:
    """Have the rules of one type compiled, by an empty message.

    Raises:
        ConfigError: they do not compile, or never run.
    """
    if message.GetOptions().map_entry:
        return
    try:
        validator.collect_violations(GetMessageClass(message)(), fail_fast=True)
    except (CompilationError, EvaluationError) as error:
        problem = str(error).partition("\n")[0]
        # Another rule may fail of an empty message only.
        if isinstance(error, EvaluationError) and not _NEVER.search(problem):
            return
        failed = _FAILED.match(problem)
        where = _with_rule(message, failed[1].encode()) if failed else ""
        told = f"{where or message.full_name}: its validation rules are wrong: {problem}"
        raise ConfigError(told) from error


def _with_rule(message: Descriptor, rule: bytes) -> str:
    """Return the first field with a rule of that id; empty when it is none of a field."""
    for field in message.fields:
        options = field.GetOptions()
        if _is_ruled(options) and rule in options.SerializeToString():
            return field.full_name
    return ""


def _items(message: Message, limit: int) -> int:
    """Count the items of all lists and maps, up to one more than a limit."""
    count, left = 0, [message]
    while left and count <= limit:
        for field, value in left.pop().ListFields():
            if field.is_repeated:
                count += len(value)
            if count > limit:
                break
            left += _messages(field, value)
    return count


def _messages(field: Any, value: Any) -> Iterable[Message]:
    if field.message_type is None:
        return ()
    if not field.is_repeated:
        return (value,)
    if not field.message_type.GetOptions().map_entry:
        return value  # type: ignore[no-any-return]  # a container of messages
    is_map_of_messages = field.message_type.fields_by_name["value"].message_type is not None
    return value.values() if is_map_of_messages else ()


def _read(message: Descriptor, found: Iterable[Any]) -> list[Violation]:
    violations = []
    for each in found:
        proto = each.proto
        problem = proto.message or f"breaks the rule {proto.rule_id}"
        if proto.for_key:
            problem = f"key {problem}"
        violations.append(Violation(steps_of(message, _path(proto.field)), problem, proto.rule_id))
    return violations


def _path(path: Any) -> Iterator[tuple[str, str]]:
    for element in () if path is None else path.elements:
        subscript = element.subscript
        if subscript is None:
            yield element.field_name, ""
        elif subscript.field == "index":
            yield element.field_name, f"[{subscript.value}]"
        else:
            key = subscript.value
            # As protobuf JSON has it.
            yield element.field_name, f".{str(key).lower() if isinstance(key, bool) else key}"
