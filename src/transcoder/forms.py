"""Forms: `application/x-www-form-urlencoded` and `multipart/form-data` bodies to a message.

A field's name is a key of the query's grammar, and its text means what it means there. The parts
of a multipart body may be more than text:

    for a google.api.HttpBody field   any part: its bytes, and its Content-Type
    for a bytes field                 a file: its bytes
    for a field of any other kind     a part of type application/json: what `body: "field"` takes

A part of type application/json without a file name is no file, for a bytes field neither.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from transcoder.budget import Budget, nested_names, nodes
from transcoder.errors import NAME_LIMIT, InvalidRequest, PayloadTooLarge, UnsupportedMedia
from transcoder.fields import (
    FieldPath,
    FieldPathError,
    UnknownField,
    itself,
    oneof_guard,
    parent_of,
    refuse_any,
    value_of,
)
from transcoder.known_parts import known_path
from transcoder.marshaler import is_json, is_utf8, media_type
from transcoder.multipart import FormLimits, Multipart, Part
from transcoder.profile import Profile
from transcoder.query import QueryBinder
from transcoder.query_string import QueryLimits, parameters
from transcoder.request_body import body_reader, is_http_body
from transcoder.values import BadValue
from transcoder.well_known import well_known

URLENCODED = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


TargetOf = Callable[[Message], Any]


def form_binder(
    body: str, descriptor: Descriptor, profile: Profile, limits: FormLimits
) -> FormBinder | None:
    """Compile what binds forms to a rule's body; None for a body that has no fields.

    Args:
        body: `*`, or a field by its dotted path of proto names.
        descriptor: of the request.
        profile: what happens to names that are no field's.
        limits: of the form.
    """
    inside = descriptor
    target_of: TargetOf = itself
    if body != "*":
        path = FieldPath.resolve(descriptor, body, json_names=False)
        if path.leaf.message_type is None or path.leaf.is_repeated:
            return None
        inside, target_of = path.leaf.message_type, value_of(path)
    if is_http_body(inside) or well_known(inside) is not None:
        return None
    return FormBinder(inside, target_of, profile, limits)


class FormBinder:
    """Sets the fields of a message from a form.

    Args:
        descriptor: of the message that the form's fields are in.
        target_of: the way to it from the request.
        profile: what happens to names that are no field's.
        limits: of the form.

    Raises (on call):
        InvalidRequest: not such a form, over a limit, or a field does not fit; names the field.
        PayloadTooLarge: over the limit of all.
        StatusError: its values take too much time; 413.
        UnsupportedMedia: not in UTF-8, or parts are encoded.
    """

    __slots__ = (
        "_descriptor",
        "_ignore_unknown",
        "_limits",
        "_profile",
        "_query_limits",
        "_set",
        "_target_of",
    )

    def __init__(
        self,
        descriptor: Descriptor,
        target_of: TargetOf,
        profile: Profile,
        limits: FormLimits,
    ) -> None:
        self._descriptor = descriptor
        self._target_of = target_of
        self._profile = profile
        self._limits = limits
        self._ignore_unknown = profile.unknown_body == "ignore"
        self._query_limits = QueryLimits(size=limits.size, parameters=limits.fields)
        unknown = profile.unknown_body
        self._set = QueryBinder(descriptor, unknown=unknown, limits=self._query_limits)

    def takes(self, content_type: str) -> bool:
        """Say whether a body of this type is a form."""
        return media_type(content_type) in {URLENCODED, MULTIPART}

    def multipart(self, content_type: str) -> Multipart | None:
        """Return what a multipart body is fed to as it arrives; None for other types."""
        if media_type(content_type) != MULTIPART:
            return None
        return Multipart(content_type, self._limits)

    def __call__(self, request: Message, body: bytes | Multipart, content_type: str) -> list[str]:
        """Set what the form says; return the paths of the fields it names, sorted.

        Args:
            request: an empty one.
            body: all of it; a Multipart is closed.
            content_type: one that `takes` takes.
        """
        target = self._target_of(request)
        type(target).SetInParent(target)
        if isinstance(body, bytes) and media_type(content_type) == URLENCODED:
            return self._bind_urlencoded(target, body, content_type)
        form = Multipart(content_type, self._limits) if isinstance(body, bytes) else body
        with contextlib.closing(form):
            if isinstance(body, bytes):
                form.feed(body)
                form.end()
            return self._bind_parts(target, form.parts)

    def _bind_urlencoded(self, target: Message, body: bytes, content_type: str) -> list[str]:
        if not is_utf8(content_type):
            raise UnsupportedMedia("a form is taken in UTF-8 only")
        if len(body) > self._limits.size:
            raise PayloadTooLarge(self._limits.size)
        pairs = parameters(body, self._query_limits, "form")
        for key, _, value in pairs:
            if len(value.encode()) > self._limits.field_size:
                problem = f"over the limit of {self._limits.field_size} bytes"
                raise InvalidRequest(problem, key[:NAME_LIMIT])
        budget = self._budget(key for key, _, _ in pairs)
        self._set.bind(target, pairs, budget)
        return _sorted(self._path(key) for key, _, _ in pairs if key)

    def _budget(self, names: Iterable[str]) -> Budget:
        budget = Budget(self._limits.nodes)
        budget.spend(nested_names(names))
        return budget

    def _bind_parts(self, target: Message, parts: Sequence[Part]) -> list[str]:
        budget = self._budget(part.name for part in parts)
        known = [(part, path) for part in parts if (path := self._path(part.name)) is not None]
        texts, typed = [], []
        for part, path in known:
            if part.kind != "text" or is_http_body(path.leaf.message_type):
                typed.append((part, path))
            else:
                texts.append((part.name, "=", _text(part)))
        self._set.bind(target, texts, budget)
        said = Counter(str(path) for _, path in known)
        said.update({name for _, path in known for name in _above(path)})
        for part, path in typed:
            try:
                self._check_typed(target, part, path, count=said[str(path)])
                self._set_typed(target, part, path, budget)
            except (BadValue, FieldPathError) as error:
                raise InvalidRequest(str(error), part.name[:NAME_LIMIT]) from None
        return _sorted(path for _, path in known)

    def _path(self, name: str) -> FieldPath | None:
        """Return the field of a name, None where it is unknown and that is ignored."""
        dotted = name.partition("[")[0]
        depth = self._query_limits.depth
        if dotted.count(".") >= depth:
            raise InvalidRequest(f"over {depth} names in one path", name[:NAME_LIMIT])
        try:
            return FieldPath.resolve(self._descriptor, dotted)
        except FieldPathError as error:
            if self._ignore_unknown and isinstance(error, UnknownField):
                return None
            raise InvalidRequest(str(error), name[:NAME_LIMIT]) from None

    def _check_typed(self, target: Message, part: Part, path: FieldPath, *, count: int) -> None:
        if count > 1 and not path.leaf.is_repeated:
            raise BadValue("too many values: this field takes one")
        guard = oneof_guard(path)
        if guard is not None:
            guard(target)
        if "[" in part.name:
            raise BadValue("an entry of a map is taken as text only")
        refuse_any(path)
        if _above(path):
            raise BadValue("a part of a well-known value is taken as text only")

    def _set_typed(self, target: Message, part: Part, path: FieldPath, budget: Budget) -> None:
        leaf = path.leaf
        if is_http_body(leaf.message_type):
            body = _place(target, path)
            body.content_type = part.content_type
            body.data = part.read()
        elif leaf.type == FieldDescriptor.TYPE_BYTES and part.kind == "file":
            _put(target, path, part.read())
        elif is_json(part.content_type):
            data = part.read()
            budget.spend(nodes(data.decode("latin-1")))
            self._merge_json(target, part, data, path)
        else:
            raise BadValue("expected text, or a part of Content-Type: application/json")

    def _merge_json(self, target: Message, part: Part, data: bytes, path: FieldPath) -> None:
        read = body_reader(str(path), self._descriptor, type(target), self._profile)
        try:
            type(target).MergeFrom(target, read(data, part.content_type))
        except InvalidRequest as error:
            is_message = path.leaf.message_type is not None and not path.leaf.is_repeated
            inner = f".{error.field}" if error.field and is_message else ""
            raise InvalidRequest(error.problem, f"{part.name[:NAME_LIMIT]}{inner}") from None


def _place(target: Message, path: FieldPath) -> Any:
    """Return the message that a path names, or a new one at the end of the list."""
    value = value_of(path)(target)
    if path.leaf.is_repeated:
        return value.add()
    type(value).SetInParent(value)
    return value


def _put(target: Message, path: FieldPath, data: bytes) -> None:
    if path.leaf.is_repeated:
        value_of(path)(target).append(data)
    else:
        setattr(parent_of(path)(target), path.leaf.name, data)


def _text(part: Part) -> str:
    name = part.name[:NAME_LIMIT]
    try:
        text = part.read().decode()
    except UnicodeDecodeError:
        raise InvalidRequest("expected text in UTF-8", name) from None
    if not is_utf8(part.content_type):
        raise InvalidRequest("expected text in UTF-8", name)
    if "\0" in text:
        raise InvalidRequest("the text holds a NUL", name)
    return text


def _above(path: FieldPath) -> tuple[str, ...]:
    """Return the paths of the well-known values that a path goes into."""
    known = known_path(path)
    return () if known is None else known.above


def _sorted(paths: Iterable[FieldPath | None]) -> list[str]:
    return sorted({(*_above(path), str(path))[0] for path in paths if path is not None})
