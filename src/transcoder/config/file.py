"""A file of YAML as models, and where in it something is wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import yaml
from pydantic import BaseModel, ValidationError

from transcoder.config.models import Config
from transcoder.config.versions import wrong_choices
from transcoder.errors import ConfigError
from transcoder.values import suggestion
from transcoder.yaml_nodes import DEPTH, VALUES, Constructor, Excess, compose

Keys: TypeAlias = "tuple[str | int, ...]"
"""The way to a value: keys of mappings, and places in lists."""

Placing: TypeAlias = "Callable[[Keys, str], Mistake]"
"""Returns something that is wrong with a value, given the way to it and what it is."""

_LIMIT = 1 << 20


class Mistake(NamedTuple):
    """Something that is wrong, and where: line and column begin at 1."""

    name: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.name}:{self.line}:{self.column}: {self.message}"


def load(path: str | Path) -> Config:
    """Return what a file says.

    Raises:
        ConfigError: it cannot be read, or is wrong; with the first place, and how many more
            there are.
    """
    return load_placed(path)[0]


def load_placed(path: str | Path) -> tuple[Config, Placing]:
    """Return what a file says, and what tells where a part of it is; as `load`."""
    document = _Document(str(path))
    config, found = _models(read_text(path), document)
    if config is None:
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise ConfigError(f"{found[0]}{more}")
    return config, document.at


def mistakes(path: str | Path) -> list[Mistake]:
    """Return all that is wrong with a file.

    Raises:
        ConfigError: it cannot be read.
    """
    return read_models(read_text(path), str(path))[1]


def read_models(text: str, name: str) -> tuple[Config | None, list[Mistake]]:
    """Return what a text says, or all that is wrong with it.

    Args:
        text: YAML.
        name: of the file, for messages.

    >>> read_models("upstreams: {a: {target: 'a:1'}}", "gateway.yaml")[1][0]
    Mistake(name='gateway.yaml', line=1, column=1, message='services or routes are expected')
    """
    return _models(text, _Document(name))


def _models(text: str, document: _Document) -> tuple[Config | None, list[Mistake]]:
    try:
        config = Config.model_validate(document.read(text))
    except _Wrong as error:
        return None, [error.mistake]
    except ValidationError as error:
        found = [document.mistake(each) for each in error.errors(include_url=False)]
        return None, sorted(set(found), key=lambda mistake: mistake[1:])
    wrong = (*config.unknown(), *wrong_choices(config))
    unknown = [document.at(keys, f"{path_of(keys)}: {told}") for keys, told in wrong]
    return (None, unknown) if unknown else (config, [])


class _Wrong(Exception):
    def __init__(self, mistake: Mistake) -> None:
        self.mistake = mistake


class _Document:
    """A text of YAML, and the place of each of its values."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._places: dict[Keys, tuple[int, int]] = {(): (1, 1)}

    def read(self, text: str) -> Any:
        """Return what it says, in Python's own types."""
        try:
            node = compose(text)
            if node is None:
                raise self._wrong((), "the file is empty")
            return self._value(Constructor(), node, ())
        except yaml.reader.ReaderError as error:
            place = _place(text[: error.position])
            raise _Wrong(Mistake(self._name, *place, f"no YAML: {error.reason}")) from None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            problem = error.problem or error.context
            told = problem if isinstance(error, Excess) else f"no YAML: {problem}"
            raise _Wrong(Mistake(self._name, line, column, str(told))) from None

    def mistake(self, error: Mapping[str, Any]) -> Mistake:
        """Return what pydantic found wrong, with its place."""
        keys = tuple(error["loc"])
        message = _message(error, keys)
        return self.at(keys, message)

    def at(self, keys: Keys, message: str) -> Mistake:
        """Return something that is wrong with a value."""
        # What is missing, or is of one kind of several, has no place of its own.
        while keys not in self._places:
            keys = keys[:-1]
        return Mistake(self._name, *self._places[keys], message)

    def _value(self, scalars: Constructor, node: Any, keys: Keys) -> Any:
        # Aliases of aliases are few bytes, and more values than there is memory for.
        if len(keys) > DEPTH or len(self._places) > VALUES:
            problem = f"over {VALUES} values" if len(keys) <= DEPTH else "it is nested too deep"
            raise self._wrong(keys[:1], f"{problem}, each alias counted as what it is")
        if isinstance(node, yaml.MappingNode):
            return dict(self._pairs(scalars, node, keys))
        if isinstance(node, yaml.SequenceNode):
            items = []
            for index, item in enumerate(node.value):
                below = (*keys, index)
                self._places[below] = item.start_mark.line + 1, item.start_mark.column + 1
                items.append(self._value(scalars, item, below))
            return items
        return scalars.construct_object(node, deep=True)

    def _pairs(self, scalars: Constructor, node: Any, keys: Keys) -> Iterator[tuple[str, Any]]:
        seen = set()
        for key_node, item in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            mark = key_node.start_mark
            below = (*keys, str(key))
            self._places[below] = mark.line + 1, mark.column + 1
            if key is None:
                raise self._wrong(below, "a key is a text")
            if key in seen:
                raise self._wrong(below, f"{path_of(below)}: is there twice")
            seen.add(key)
            yield key, self._value(scalars, item, below)

    def _wrong(self, keys: Keys, message: str) -> _Wrong:
        return _Wrong(Mistake(self._name, *self._places[keys], message))


def _place(before: str) -> tuple[int, int]:
    """Return the line and the column behind a text."""
    return before.count("\n") + 1, len(before) - before.rfind("\n")


def _message(error: Mapping[str, Any], keys: Keys) -> str:
    kind = error["type"]
    path = path_of(keys)
    if kind == "extra_forbidden":
        return f"{path}: no such key{suggestion(str(keys[-1]), _siblings(keys[:-1]))}"
    if kind == "missing":
        return f"{path}: is required"
    if kind == "value_error":
        problem = error["msg"].removeprefix("Value error, ")
    else:
        told = _EXPECTED.get(kind) or _bound(error) or _plain(error)
        problem = f"{told} is expected"
    return f"{path}: {problem}" if path else problem


def _bound(error: Mapping[str, Any]) -> str:
    """Return what a number may be, where it is out of its bounds."""
    for name, words in _BOUNDS.items():
        if name in error.get("ctx", {}):
            return words.format(error["ctx"][name])
    return ""


def _plain(error: Mapping[str, Any]) -> str:
    told: str = error["msg"]
    return told.removeprefix("Input should be ")


_BOUNDS = {"ge": "{} or more", "gt": "more than {}", "le": "{} or less", "lt": "less than {}"}
"""What pydantic wants of a number, by the name of its bound."""

_EXPECTED = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "float_type": "a number",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "string_type": "a text",
    "too_short": "at least one",
}
"""What pydantic wants, by the kind of its error."""


def _siblings(keys: Keys) -> Sequence[str]:
    """Return the keys that may be in the mapping at some place."""
    model: Any = Config
    for key in keys:
        if isinstance(model, type) and issubclass(model, BaseModel) and key in model.model_fields:
            model = _inner(model.model_fields[str(key)].annotation)
    known = isinstance(model, type) and issubclass(model, BaseModel)
    return list(model.model_fields) if known else []


def _inner(annotation: Any) -> Any:
    """Return the model within a list, a mapping or an option."""
    arguments = getattr(annotation, "__args__", ())
    models = [_inner(each) for each in arguments]
    found = [each for each in models if isinstance(each, type) and issubclass(each, BaseModel)]
    return found[0] if found else annotation


def path_of(keys: Keys) -> str:
    """Return the way to a value as messages have it, `services[0].names`."""
    text = ""
    for key in keys:
        text += f"[{key}]" if isinstance(key, int) else f".{key}" if text else key
    return text


def noted(text: str, name: str, keys: Keys, message: str) -> Mistake:
    """Return something to say of a value, with its place.

    Args:
        text: of the file, which is right.
        name: of the file.
        keys: the way to the value.
        message: what is to be said.
    """
    document = _Document(name)
    document.read(text)
    return document.at(keys, message)


def read_bytes(path: str | Path) -> bytes:
    """Return what a file holds.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None


def read_text(path: str | Path) -> str:
    """Return what a file of text says.

    Raises:
        ConfigError: it cannot be read, is over a megabyte, or no UTF-8; tells the place then.
    """
    data = read_bytes(path)
    if len(data) > _LIMIT:
        raise ConfigError(f"{path}: over {_LIMIT} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line, column = _place(data[: error.start].decode())
        raise ConfigError(f"{path}:{line}:{column}: it is not UTF-8") from None
