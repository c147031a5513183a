"""Partial responses: the fields of an answer that a client asks for with `$fields`.

    selection = path *( "," path )
    path      = name *( ( "/" | "." ) name ) [ "(" selection ")" ]
    name      = "*" | field | key

A field goes by its proto or its JSON name; below a map, a Struct or an Any a name is a key of
the JSON. Lists are passed through: `items/id` is the `id` of each item. The grammar is that of
Google's APIs (cloud.google.com/apis/docs/system-parameters), with the dot of a FieldMask.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NoReturn, TypeAlias

from google.protobuf.descriptor import Descriptor, FieldDescriptor

from transcoder.errors import InvalidRequest
from transcoder.fields import FieldPath, FieldPathError, is_map
from transcoder.well_known import well_known

DEPTH_LIMIT = 32
"""Levels that a selection may have."""

_TOKEN = re.compile(r"[^/.,()\s]+|.", re.DOTALL)
_FREE_FORM = frozenset(
    f"google.protobuf.{name}" for name in ("Any", "ListValue", "Struct", "Value")
)

_Tree: TypeAlias = "dict[str, _Tree | None]"
"""JSON keys with what is selected below each; None is all of it. `*` stands alone."""
_Step: TypeAlias = "Callable[[str], tuple[str, _Step | None]]"
"""From a name to its JSON key and the way on; None where nothing is below."""
_Key: TypeAlias = "Callable[[FieldDescriptor], str]"
"""From a field to its JSON key."""

_JSON_NAME: _Key = attrgetter("json_name")
_PROTO_NAME: _Key = attrgetter("name")


@dataclass(frozen=True, slots=True)
class Selection:
    """What a client selected of an answer; compiled from text."""

    tree: _Tree

    @classmethod
    def parse(
        cls, text: str, answer: Descriptor | FieldDescriptor, *, proto_names: bool = False
    ) -> Selection:
        """Return the selection that a text says.

        Args:
            text: of the grammar above, not empty.
            answer: what the answer is: a message, or the field that `response_body` names.
            proto_names: whether the keys of the answer are proto names.

        Raises:
            InvalidRequest: not of the grammar, or a name is no field's; tells the column.
        """
        key = _PROTO_NAME if proto_names else _JSON_NAME
        below = _below if isinstance(answer, FieldDescriptor) else _inside
        return cls(_Reader(text).read(below(answer, key)))

    def of(self, value: Any) -> Any:
        """Return what is selected of a JSON value.

        >>> from google.protobuf.descriptor_pb2 import FileDescriptorProto
        >>> selection = Selection.parse("name,messageType(name)", FileDescriptorProto.DESCRIPTOR)
        >>> selection.of({"name": "a", "syntax": "b", "messageType": [{"name": "c", "field": []}]})
        {'name': 'a', 'messageType': [{'name': 'c'}]}
        """
        return _pruned(value, self.tree) if isinstance(value, list | dict) else value


def _pruned(value: Any, tree: _Tree) -> Any:
    if isinstance(value, list):
        return [_pruned(item, tree) for item in value if isinstance(item, list | dict)]
    found = {}
    for key, item in value.items():
        selected = key if key in tree else "*"
        if selected in tree:
            below = tree[selected]
            if below is None:
                found[key] = item
            elif isinstance(item, list | dict):
                found[key] = _pruned(item, below)
    return found


class _Reader:
    """Reads one text, from left to right."""

    def __init__(self, text: str) -> None:
        self._tokens = [(found.group(), found.start() + 1) for found in _TOKEN.finditer(text)]
        self._tokens.append(("", len(text) + 1))
        self._next = 0

    def read(self, step: _Step | None) -> _Tree:
        tree: _Tree = {}
        self._selection(tree, step, 1)
        if self._here:
            self._fail("expected a comma")
        return tree

    @property
    def _here(self) -> str:
        return self._tokens[self._next][0]

    def _fail(self, problem: str) -> NoReturn:
        raise InvalidRequest(f"column {self._tokens[self._next][1]}: {problem}", "fields")

    def _selection(self, tree: _Tree, step: _Step | None, depth: int) -> None:
        self._path(tree, step, depth)
        while self._here == ",":
            self._next += 1
            self._path(tree, step, depth)

    def _path(self, tree: _Tree, step: _Step | None, depth: int) -> None:
        if depth > DEPTH_LIMIT:
            self._fail(f"over {DEPTH_LIMIT} levels")
        key, below = self._name(step)
        if tree and ("*" in tree) != (key == "*"):
            self._fail("* stands alone")
        self._next += 1
        if self._here not in {"/", ".", "("}:
            tree[key] = None
        elif below is None:
            self._fail("nothing is below this field")
        else:
            # A field that was selected as a whole stays so, whatever else is said below it.
            whole = key in tree and tree[key] is None
            inner = tree.get(key) or {}
            self._below(inner, below, depth + 1)
            tree[key] = None if whole else inner

    def _below(self, tree: _Tree, step: _Step, depth: int) -> None:
        grouped = self._here == "("
        self._next += 1
        if not grouped:
            self._path(tree, step, depth)
            return
        self._selection(tree, step, depth)
        if self._here != ")":
            self._fail("expected a comma or a closing parenthesis")
        self._next += 1

    def _name(self, step: _Step | None) -> tuple[str, _Step | None]:
        name = self._here
        if name in {"", "/", ".", ",", "(", ")"} or name.isspace():
            self._fail("expected the name of a field")
        if step is None:
            self._fail("this answer has no fields")
        if name == "*":
            return "*", _any_key
        try:
            return step(name)
        except FieldPathError as error:
            self._fail(str(error))


def _inside(message: Any, key: _Key) -> _Step | None:
    if message.full_name in _FREE_FORM:
        return _any_key
    return None if well_known(message) is not None else functools.partial(_field, message, key)


def _field(message: Descriptor, key: _Key, name: str) -> tuple[str, _Step | None]:
    field = FieldPath.resolve(message, name).leaf
    return key(field), _below(field, key)


def _below(field: Any, key: _Key) -> _Step | None:
    message = field.message_type
    if message is None:
        return None
    if is_map(field):
        value = message.fields_by_name["value"]
        return lambda name: (name, _below(value, key))
    return _inside(message, key)


def _any_key(key: str) -> tuple[str, _Step | None]:
    return key, _any_key
