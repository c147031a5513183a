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
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import ServiceDescriptor

from transcoder.descriptors import Place
from transcoder.errors import ConfigError
from transcoder.profile import Profile
from transcoder.values import suggestion

try:
    import yaml
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
_DEPTH = 64
# The C parser is ten times as fast, and left out of some builds of PyYAML.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceConfig:
    """What a service configuration says about HTTP.

    Args:
        rules: in their order.
        fully_decode_reserved_expansion: in a variable of several segments, decode all but `/`.
    """

    rules: tuple[SelectedRule, ...]
    fully_decode_reserved_expansion: bool = False

    def select(self, services: Iterable[ServiceDescriptor]) -> dict[str, SelectedRule]:
        """Return the rules that count, by the full name of their method."""
        scopes = _scopes(services)
        selected: dict[str, SelectedRule] = {}
        for rule in self.rules:
            for pattern in rule.patterns():
                selected.update(dict.fromkeys(scopes.get(pattern, ()), rule))
        return selected

    def unmatched(self, services: Iterable[ServiceDescriptor]) -> Iterator[tuple[Place, str]]:
        """Yield what is wrong with selectors that select no method, and where."""
        scopes = _scopes(services)
        for rule in self.rules:
            for pattern in rule.patterns():
                if pattern not in scopes:
                    near = suggestion(pattern, scopes)
                    yield rule.place, f"selector {pattern!r} matches no method{near}"

    def http_rules(self, services: Iterable[ServiceDescriptor]) -> dict[str, HttpRule]:
        """Return the rules as `Transcoder` and `Gateway` take them.

        Raises:
            ConfigError: a selector matches no method of the services.
        """
        services = tuple(services)
        for place, problem in self.unmatched(services):
            raise ConfigError(f"{place}: {problem}")
        return {name: selected.rule for name, selected in self.select(services).items()}

    def adapt(self, profile: Profile) -> Profile:
        """Return the profile with what `fully_decode_reserved_expansion` changes."""
        if self.fully_decode_reserved_expansion and profile.unescape == "except-reserved":
            return dataclasses.replace(profile, unescape="except-slash")
        return profile


def _scopes(services: Iterable[ServiceDescriptor]) -> Mapping[str, list[str]]:
    """Return the methods that each possible pattern of a selector means."""
    scopes: dict[str, list[str]] = {}
    for service in services:
        parts = service.full_name.split(".")
        wildcards = ["*", *(".".join(parts[:end]) + ".*" for end in range(1, len(parts) + 1))]
        for rpc in service.methods:
            for pattern in (*wildcards, rpc.full_name):
                scopes.setdefault(pattern, []).append(rpc.full_name)
    return scopes


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
    return _Reader(name).config(_composed(text, name))


def _composed(text: str, name: str) -> yaml.Node:
    try:
        _check_depth(text)
        node: yaml.Node | None = yaml.compose(text, _LOADER)
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


def _check_depth(text: str) -> None:
    """Refuse what is nested so deeply that the C parser's recursion would end the process."""
    depth = 0
    for event in yaml.parse(text, _LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEPTH:
            raise yaml.YAMLError("it is nested too deeply")


class _Reader:
    """Reads the nodes of one file."""

    def __init__(self, name: str) -> None:
        self._name = name

    def config(self, root: yaml.Node) -> ServiceConfig:
        top = self._mapping(root, None)
        if "type" not in top or self._text(top["type"]) != _TYPE:
            raise self._error(top.get("type", root), f"expected type: {_TYPE}")
        http = self._mapping(top["http"], _HTTP) if "http" in top else {}
        decode = http.get("fully_decode_reserved_expansion")
        return ServiceConfig(
            rules=tuple(self._selected(node) for node in self._list(http.get("rules"))),
            fully_decode_reserved_expansion=decode is not None and self._flag(decode),
        )

    def _selected(self, node: yaml.Node) -> SelectedRule:
        fields = self._mapping(node, _RULE)
        if "selector" not in fields:
            raise self._error(node, "the rule has no selector")
        rule, places = self._rule(node)
        for additional in self._list(fields.get("additional_bindings")):
            binding, place = self._rule(additional)
            if "additional_bindings" in self._mapping(additional, _RULE):
                raise self._error(additional, "additional_bindings may not be nested")
            rule.additional_bindings.append(binding)
            places += place
        selector = fields["selector"]
        return SelectedRule(
            selector=self._text(selector), place=self._place(selector), rule=rule, places=places
        )

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
            raise self._error(node, f"one rule has one pattern, not {' and '.join(patterns)}")
        return rule, (place,)

    def _mapping(self, node: yaml.Node, known: frozenset[str] | None) -> dict[str, yaml.Node]:
        """Return the values of a mapping by the proto names of their keys."""
        if not isinstance(node, yaml.MappingNode):
            raise self._error(node, "expected a mapping, key: value")
        fields: dict[str, yaml.Node] = {}
        for key, value in node.value:
            written = self._text(key)
            name = _JSON_NAMES.get(written, written)
            if known is not None and name not in known:
                raise self._error(key, f"{written}: no such field{suggestion(written, known)}")
            if name in fields:
                raise self._error(key, f"{written} is there twice")
            fields[name] = value
        return fields

    def _list(self, node: yaml.Node | None) -> list[yaml.Node]:
        if node is None:
            return []
        if not isinstance(node, yaml.SequenceNode):
            raise self._error(node, "expected a list, - item")
        return list(node.value)

    def _text(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or not node.tag.endswith(":str"):
            raise self._error(node, "expected text")
        return str(node.value)

    def _flag(self, node: yaml.Node) -> bool:
        if not isinstance(node, yaml.ScalarNode) or not node.tag.endswith(":bool"):
            raise self._error(node, "expected true or false")
        return str(node.value).lower() in {"true", "yes", "on"}

    def _place(self, node: yaml.Node) -> Place:
        return Place(self._name, node.start_mark.line + 1, node.start_mark.column + 1)

    def _error(self, node: yaml.Node, problem: str) -> ConfigError:
        return ConfigError(f"{self._place(node)}: {problem}")
