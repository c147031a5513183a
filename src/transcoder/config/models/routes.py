"""Routes of paths that no method has, as a file says them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from transcoder.config.models.listeners import Host
from transcoder.config.models.model import Model
from transcoder.config.models.upstreams import Upstream
from transcoder.errors import TemplateError
from transcoder.path_template import PathTemplate
from transcoder.values import suggestion

Keys: TypeAlias = "tuple[str | int, ...]"
Method: TypeAlias = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]


class Operation(Model):
    """An operation of GraphQL that answers a route; see `transcoder.GraphQl.operation`."""

    upstream: str
    document: Annotated[str, Field(description="a file, or the document itself")]
    operation: Annotated[str, Field(description="which one, where there are several")] = ""
    variables: dict[str, str] = {}
    answer: str = ""
    partial: bool = False


class Route(Model):
    """Paths, and who answers there."""

    path: str
    methods: list[Method] = []
    hosts: list[Host] = []
    graphql: Operation | None = None

    @model_validator(mode="after")
    def _one_answers(self) -> Self:
        given = [name for name in ANSWERING if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of {', '.join(ANSWERING)} is expected")
        return self

    def unknown(self, upstreams: Mapping[str, Upstream]) -> Iterator[tuple[Keys, str]]:
        """Yield what does not hold, with the place of it in the route.

        Args:
            upstreams: of the file.
        """
        try:
            PathTemplate.parse(self.path)
        except TemplateError as error:
            yield ("path",), str(error)
        if self.graphql is not None:
            problem = problem_of(self.graphql.upstream, upstreams, "graphql")
            if problem:
                yield ("graphql", "upstream"), problem


ANSWERING: Final = ("graphql",)
"""The keys of a route that tell who answers, of which it has one."""


def problem_of(name: str, upstreams: Mapping[str, Upstream], kind: str) -> str:
    """Return why a name is of no upstream of that kind; empty where it is."""
    if name not in upstreams:
        return f"no upstream is named {name!r}{suggestion(name, upstreams)}"
    found = upstreams[name].kind
    return "" if found == kind else f"upstream {name!r} has {found}: one with {kind} is expected"
