"""Routes of paths that no method has, as a file says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Self, TypeAlias

from pydantic import AfterValidator, Field, model_validator

from transcoder.config.models.listeners import Host
from transcoder.config.models.model import Model
from transcoder.config.models.services import Versioned
from transcoder.config.models.upstreams import Upstream
from transcoder.errors import ConfigError
from transcoder.forwarding import check_prefix
from transcoder.path_template import PathTemplate
from transcoder.values import suggestion

Keys: TypeAlias = "tuple[str | int, ...]"


def _method(given: str) -> str:
    if not (given.isascii() and given.isalpha() and given.isupper()):
        raise ValueError("a method as HTTP spells it is expected, as GET")
    return given


Method: TypeAlias = Annotated[str, AfterValidator(_method)]


class Operation(Model):
    """An operation of GraphQL that answers a route; see `transcoder.GraphQl.operation`."""

    upstream: str
    document: Annotated[str, Field(description="a file, or the document itself")]
    operation: Annotated[str, Field(description="which one, where there are several")] = ""
    variables: dict[str, str] = {}
    answer: str = ""
    partial: bool = False


class Route(Versioned):
    """Paths, and who answers there; see `transcoder.Gateway.forward`."""

    answering: ClassVar = ("upstream", "versions", "graphql")

    path: Annotated[str, Field(description="a template, as /legacy/**")]
    methods: list[Method] = []
    hosts: list[Host] = []
    strip_prefix: Annotated[str, Field(description="of paths; the upstream does not see it")] = ""
    graphql: Operation | None = None

    @model_validator(mode="after")
    def _has_prefix(self) -> Self:
        if self.strip_prefix and self.graphql is not None:
            raise ValueError("strip_prefix: an operation of GraphQL sees no path")
        return self

    def unknown(self, upstreams: Mapping[str, Upstream]) -> Iterator[tuple[Keys, str]]:
        """Yield what does not hold, with the place of it in the route.

        Args:
            upstreams: of the file.
        """
        try:
            PathTemplate.parse(self.path)
            check_prefix(self.path, self.strip_prefix)
        except ConfigError as error:
            yield ("path",), str(error)
        named: list[tuple[Keys, str | None, str]] = [(("upstream",), self.upstream, "url")]
        for number, version in enumerate(self.versions):
            named.append((("versions", number, "upstream"), version.upstream, "url"))
        if self.graphql is not None:
            named.append((("graphql", "upstream"), self.graphql.upstream, "graphql"))
        for keys, name, kind in named:
            problem = "" if name is None else problem_of(name, upstreams, kind)
            if problem:
                yield keys, problem


def problem_of(name: str, upstreams: Mapping[str, Upstream], kind: str) -> str:
    """Return why a name is of no upstream of that kind; empty where it is."""
    if name not in upstreams:
        return f"no upstream is named {name!r}{suggestion(name, upstreams)}"
    found = upstreams[name].kind
    return "" if found == kind else f"upstream {name!r} has {found}: one with {kind} is expected"
