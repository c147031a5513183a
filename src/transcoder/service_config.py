"""Rules from a service configuration, the YAML form of `google.api.Service`.

    type: google.api.Service
    http:
      rules:
        - selector: example.v1.Books.GetBook
          get: /v1/{name=books/*}

A selector is a method's full name, `package.Service.*` or `package.*` for all that is in there, `*`
for all, or several of these with commas between. Where two rules select one method, the last one
counts; it takes the place of the `google.api.http` option, and without a pattern it leaves the
method without a route. Names of fields are those of `google/api/http.proto` or their JSON names.
What else the file configures is passed over.

The source is `google/api/service.proto`, with the comments of `google/api/http.proto`.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from transcoder.descriptors import Place
from transcoder.errors import ConfigError
from transcoder.profile import Profile
from transcoder.values import suggestion

try:
    import yaml

    from transcoder.yaml_nodes import compose
except ImportError as missing:
    raise ImportError("service configurations need PyYAML: install transcoder[cli]") from missing

_TYPE = "google.api.Service"
_PATTERNS = ("get", "put", "post", "delete", "patch", "custom")
_RULE = frozenset({"selector", "body", "response_body", "additional_bindings", *_PATTERNS})
_HTTP = frozenset({"rules", "fully_decode_reserved_expansion"})
_JSON_NAMES = {
    "additionalBindings": "additional_bindings",
    "fullyDecodeReservedExpansion": "fully_decode_reserved_expansion",
    "responseBody": "response_body",
}
_SELECTOR = re.compile(r"\*|\w+(\.\w+)*(\.\*)?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectedRule:
    """One rule of a service configuration.

    Args:
        selector: which methods it is for, as it was written.
        place: of the selector.
        rule: what it says.
        places: of its bindings, the rule itself and then each additional one.
    """

    selector: str
    place: Place
    rule: HttpRule
    places: tuple[Place, ...]

    def patterns(self) -> list[str]:
        """Return the names and wildcards that the selector consists of."""
        return [pattern.strip() for pattern in self.selector.split(",")]


class Unmatched(NamedTuple):
    """A selector that selects no method, and where it is written.

    `fatal` says that it cannot be meant for a service that is served elsewhere: it is of none, or
    of one that is here.
    """

    place: Place
    message: str
    fatal: bool


class Mistake(NamedTuple):
    """Something wrong in a service configuration itself, and where."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """What a service configuration says about HTTP.

    Args:
        rules: in their order.
        fully_decode_reserved_expansion: in a variable of several segments, decode all but `/`.
    """

    rules: tuple[SelectedRule, ...]
    fully_decode_reserved_expansion: bool = False
    _last: dict[str, int] = field(init=False, repr=False, compare=False)
    """The last rule that has a pattern, by its place in `rules`."""

    def __post_init__(self) -> None:
        last = {
            pattern: number for number, rule in enumerate(self.rules) for pattern in rule.patterns()
        }
        object.__setattr__(self, "_last", last)

    def rule(self, rpc: MethodDescriptor) -> SelectedRule | None:
        """Return the rule that counts for a method; None to leave it to its option."""
        patterns = (*_wildcards(rpc.containing_service), rpc.full_name)
        last = max(self._last.get(pattern, -1) for pattern in patterns)
        return None if last < 0 else self.rules[last]

    def select(self, services: Iterable[ServiceDescriptor]) -> dict[str, SelectedRule]:
        """Return the rules that count, by the full name of their method."""
        found = ((rpc, self.rule(rpc)) for service in services for rpc in service.methods)
        return {rpc.full_name: rule for rpc, rule in found if rule is not None}

    def unmatched(self, services: Iterable[ServiceDescriptor]) -> Iterator[Unmatched]:
        """Yield what selects no method; it is no mistake if its service is served elsewhere."""
        services = tuple(services)
        here = {service.full_name for service in services}
        patterns = _patterns(services)
        for rule in self.rules:
            for pattern in rule.patterns():
                if pattern not in patterns:
                    near = suggestion(pattern, patterns)
                    message = f"selector {pattern!r} matches no method{near}"
                    fatal = not _SELECTOR.fullmatch(pattern) or _is_of(pattern, here)
                    yield Unmatched(rule.place, message, fatal)

    def check(self, services: Iterable[ServiceDescriptor]) -> None:
        """Refuse a selector that matches no method, unless its service is none of these.

        Raises:
            ConfigError: there is one; names its place, and the nearest name.
        """
        for place, message, fatal in self.unmatched(services):
            if fatal:
                raise ConfigError(f"{place}: {message}")

    def http_rules(self, services: Iterable[ServiceDescriptor]) -> dict[str, HttpRule]:
        """Return the rules that count by the full name of their method, for programs to change.

        `Transcoder` and `Gateway` take them, and the configuration itself, too.

        Raises:
            ConfigError: as `check` does.
        """
        services = tuple(services)
        self.check(services)
        return {name: selected.rule for name, selected in self.select(services).items()}

    def adapt(self, profile: Profile) -> Profile:
        """Return the profile with what `fully_decode_reserved_expansion` changes."""
        if self.fully_decode_reserved_expansion and profile.unescape == "except-reserved":
            return dataclasses.replace(profile, unescape="except-slash")
        return profile


def _wildcards(service: ServiceDescriptor) -> list[str]:
    """Return the patterns that select all methods of a service."""
    parts = service.full_name.split(".")
    return ["*", *(".".join(parts[:end]) + ".*" for end in range(1, len(parts) + 1))]


def _patterns(services: Iterable[ServiceDescriptor]) -> set[str]:
    """Return the patterns that select a method."""
    found: set[str] = set()
    for service in services:
        names = [rpc.full_name for rpc in service.methods]
        found.update(names, _wildcards(service) if names else ())
    return found


def _is_of(pattern: str, services: Collection[str]) -> bool:
    """Say whether a pattern is for one of the services, or something within."""
    parts = pattern.split(".")
    return any(".".join(parts[:end]) in services for end in range(1, len(parts) + 1))


def read_service_config(text: str, name: str) -> ServiceConfig:
    """Return what a service configuration says about HTTP.

    Args:
        text: the YAML document; JSON is YAML too.
        name: of the file, for messages.

    Raises:
        ConfigError: it is none; names file, line and column.

    >>> config = read_service_config('''
    ... type: google.api.Service
    ... http:
    ...   rules:
    ...     - selector: example.v1.Books.GetBook
    ...       get: /v1/{name=books/*}
    ... ''', "books.yaml")
    >>> config.rules[0].selector, str(config.rules[0].place), config.rules[0].rule.get
    ('example.v1.Books.GetBook', 'books.yaml:5:17', '/v1/{name=books/*}')
    """
    config, mistakes = check_service_config(text, name)
    if mistakes:
        raise ConfigError(str(mistakes[0]))
    return config


def check_service_config(text: str, name: str) -> tuple[ServiceConfig, tuple[Mistake, ...]]:
    r"""Return what is right in a service configuration, and all that is wrong, by its place.

    Args:
        text: the YAML document.
        name: of the file.

    Raises:
        ConfigError: it is not YAML, or of another type.

    >>> config, mistakes = check_service_config('''
    ... type: google.api.Service
    ... http:
    ...   rules:
    ...     - selector: a.B
    ...       gett: /v1/b
    ...       bdy: "*"
    ... ''', "books.yaml")
    >>> print(*mistakes, sep="\n")
    books.yaml:6:7: gett: no such field; did you mean get?
    books.yaml:7:7: bdy: no such field; did you mean body?
    """
    reader = _Reader(name)
    config = reader.config(_composed(text, name))
    return config, reader.found()


def _composed(text: str, name: str) -> yaml.Node:
    try:
        node = compose(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = Place(name, mark.line + 1, mark.column + 1) if mark else Place(name)
        # YAML takes a bare star for an alias, and `body: "*"` is the most usual of bodies.
        hint = '; a star stands in quotes: "*"' if "alias" in (error.context or "") else ""
        raise ConfigError(f"{place}: not YAML: {error.problem}{hint}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {' '.join(str(error).split())}") from None
    if node is None:
        raise ConfigError(f"{name}: expected type: {_TYPE}, found nothing")
    return node


class _Reader:
    """Reads the nodes of one file; what is wrong is kept, and read as if it were not there."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._wrong_at: dict[Place, str] = {}

    def found(self) -> tuple[Mistake, ...]:
        """Return what is wrong so far, by its place."""
        return tuple(sorted(Mistake(*each) for each in self._wrong_at.items()))

    def config(self, root: yaml.Node) -> ServiceConfig:
        top = self._mapping(root, None)
        if "type" not in top or self._text(top["type"]) != _TYPE:
            self._wrong(top.get("type", root), f"expected type: {_TYPE}")
            # It is another file, in which all else would be wrong.
            raise ConfigError(str(self.found()[0]))
        http = self._mapping(top["http"], _HTTP) if "http" in top else {}
        decode = http.get("fully_decode_reserved_expansion")
        rules = (self._selected(node) for node in self._list(http.get("rules")))
        return ServiceConfig(
            rules=tuple(rule for rule in rules if rule is not None),
            fully_decode_reserved_expansion=decode is not None and self._flag(decode),
        )

    def _selected(self, node: yaml.Node) -> SelectedRule | None:
        """Return a rule; None for a wrong one."""
        before = len(self._wrong_at)
        fields = self._mapping(node, _RULE)
        selector = fields.get("selector")
        if selector is None:
            self._wrong(node, "the rule has no selector")
        rule, places = self._rule(node)
        for additional in self._list(fields.get("additional_bindings")):
            binding, place = self._rule(additional)
            if "additional_bindings" in self._mapping(additional, _RULE):
                self._wrong(additional, "additional_bindings may not be nested")
            rule.additional_bindings.append(binding)
            places += place
        said = "" if selector is None else self._text(selector)
        if selector is None or len(self._wrong_at) > before:
            return None
        return SelectedRule(selector=said, place=self._place(selector), rule=rule, places=places)

    def _rule(self, node: yaml.Node) -> tuple[HttpRule, tuple[Place, ...]]:
        """Return a rule without its additional bindings, and where its pattern stands."""
        fields = self._mapping(node, _RULE)
        rule = HttpRule()
        place = self._place(node)
        for name in fields.keys() & {"body", "response_body"}:
            setattr(rule, name, self._text(fields[name]))
        patterns = [name for name in fields if name in _PATTERNS]
        for name in patterns:
            place = self._place(fields[name])
            if name == "custom":
                custom = self._mapping(fields[name], frozenset({"kind", "path"}))
                rule.custom.SetInParent()
                for part, value in custom.items():
                    setattr(rule.custom, part, self._text(value))
            else:
                setattr(rule, name, self._text(fields[name]))
        if len(patterns) > 1:
            self._wrong(node, f"one rule has one pattern, not {' and '.join(patterns)}")
        return rule, (place,)

    def _mapping(self, node: yaml.Node, known: frozenset[str] | None) -> dict[str, yaml.Node]:
        """Return the values of a mapping by the proto names of their keys."""
        if not isinstance(node, yaml.MappingNode):
            self._wrong(node, "expected a mapping, key: value")
            return {}
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            written = self._text(key)
            name = _JSON_NAMES.get(written, written)
            if known is not None and name not in known:
                self._wrong(key, f"{written}: no such field{suggestion(written, known)}")
            elif name in fields:
                self._wrong(key, f"{written} is there twice")
            else:
                fields[name] = value
        return fields

    def _list(self, node: yaml.Node | None) -> list[yaml.Node]:
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self._wrong(node, "expected a list, - item")
            return []
        return list(node.value)

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.tag.endswith(":str"):
            self._wrong(node, "expected text")
            return ""
        return str(node.value)

    def _flag(self, node: yaml.Node) -> bool:
        if not isinstance(node, yaml.ScalarNode) or not node.tag.endswith(":bool"):
            self._wrong(node, "expected true or false")
            return False
        return str(node.value).lower() in {"true", "yes", "on"}

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._name, node.start_mark.line + 1, node.start_mark.column + 1)

    def _wrong(self, node: yaml.Node, problem: str) -> None:
        # What else is wrong with a node follows from what was found first.
        self._wrong_at.setdefault(self._place(node), problem)
