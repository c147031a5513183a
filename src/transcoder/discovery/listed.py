"""Endpoints that somebody wrote down: in a program, or as the text of a file. Pure."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from typing import Any

from transcoder.discovery.source import LIMIT, Answer, Endpoint
from transcoder.errors import ConfigError


class Listed:
    """Endpoints that are always the same.

    Args:
        endpoints: addresses, as `HOST:PORT`, or endpoints with a weight.

    Raises:
        ConfigError: one is none, is there twice, or there are none.
    """

    def __init__(self, endpoints: Iterable[str | Endpoint]) -> None:
        made = [each if isinstance(each, Endpoint) else Endpoint(each) for each in endpoints]
        self.endpoints = _checked(made)

    @property
    def name(self) -> str:
        """What it is, for messages."""
        return ", ".join(endpoint.address for endpoint in self.endpoints)

    async def look(self) -> Answer:
        """Return the endpoints; see `Source`."""
        return Answer(self.endpoints, math.inf)


def read_endpoints(text: str, name: str) -> tuple[Endpoint, ...]:
    r"""Return the endpoints that a file lists.

    Each is `HOST:PORT`, or has an `address` and a `weight`. A file whose name ends with `.jsonl`
    has one on each line, as JSON; any other is a list in YAML, or in JSON.

    Args:
        text: of the file.
        name: of the file.

    Raises:
        ConfigError: it lists none, or something else.

    >>> read_endpoints('"a:1"\n{"address": "b:2", "weight": 3}', "endpoints.jsonl")[1].weight
    3
    """
    items = _lines(text) if name.endswith(".jsonl") else _items(text)
    return _checked([_endpoint(place, item) for place, item in items])


def _lines(text: str) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                yield f"line {number}", json.loads(line)
            except (ValueError, RecursionError) as error:
                raise ConfigError(f"line {number}: no JSON: {error}") from None


def _items(text: str) -> Iterator[tuple[str, Any]]:
    try:
        import yaml  # noqa: PLC0415  who lists endpoints elsewhere does without

        from transcoder.yaml_nodes import Constructor, compose  # noqa: PLC0415  as yaml
    except ImportError:
        problem = "YAML needs pyyaml: install transcoder[gateway], or name the file .jsonl"
        raise ConfigError(problem) from None
    try:
        node = compose(text)
        found = None if node is None else Constructor().construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise ConfigError(f"{place}no YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(found, list):
        raise ConfigError("a list of endpoints is expected")
    for number, item in enumerate(found):
        yield f"[{number}]", item


def _endpoint(place: str, item: Any) -> Endpoint:
    told = {"address": item} if isinstance(item, str) else item
    if not isinstance(told, dict) or "address" not in told or told.keys() - _KEYS:
        raise ConfigError(f"{place}: HOST:PORT is expected, or an address and a weight")
    try:
        return Endpoint(**told)
    except ConfigError as error:
        raise ConfigError(f"{place}: {error}") from None


_KEYS = {"address", "weight"}


def _checked(endpoints: list[Endpoint]) -> tuple[Endpoint, ...]:
    if not endpoints:
        raise ConfigError("at least one endpoint is expected")
    if len(endpoints) > LIMIT:
        raise ConfigError(f"{len(endpoints)} endpoints: at most {LIMIT} are expected")
    seen: set[str] = set()
    for endpoint in endpoints:
        if endpoint.address in seen:
            raise ConfigError(f"{endpoint.address} is there twice")
        seen.add(endpoint.address)
    return tuple(endpoints)
