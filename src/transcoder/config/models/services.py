"""Services and their versions, as a file says them."""

from __future__ import annotations

from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from transcoder.config.models.listeners import Host
from transcoder.config.models.model import Model, Texts
from transcoder.upstream.choice import problem_of_weight


def _weight(given: int) -> int:
    if problem := problem_of_weight(given):
        raise ValueError(problem)
    return given


Weight = Annotated[
    int, AfterValidator(_weight), Field(json_schema_extra={"minimum": 1, "maximum": 100})
]


class Version(Model):
    """One version of a service; see `transcoder.Version`."""

    name: str
    upstream: str
    weight: Weight | None = None


class Condition(Model):
    """Something that a call says; see `transcoder.Condition`."""

    header: str = ""
    claim: str = ""
    query: str = ""
    cookie: str = ""
    method: str = ""
    path: str = ""
    exact: str | None = None
    prefix: str | None = None


class Match(Condition):
    """Which calls a version gets; see `transcoder.VersionMatch`."""

    to: str
    all: Annotated[list[Condition], Field(description="all of these, in place of one")] = []

    @model_validator(mode="after")
    def _one_or_all(self) -> Self:
        if bool(self.all) == bool(self.told("to", "all")):
            raise ValueError("one condition is expected, or all with several")
        return self

    @property
    def conditions(self) -> list[Condition]:
        """What a call must say."""
        return self.all or [Condition(**self.told("to", "all"))]


class Sticky(Model):
    """What calls stick by; see `transcoder.Sticky`."""

    header: str = ""
    claim: str = ""
    cookie: str = ""


def _by_header(given: object) -> object:
    return {"header": given} if isinstance(given, str) else given


class Versioned(Model):
    """Who answers: an upstream, or one of several versions."""

    answering: ClassVar[tuple[str, ...]] = ("upstream", "versions")
    """The keys that tell who answers, of which there is one."""

    upstream: str | None = None
    versions: list[Version] = []
    matches: list[Match] = []
    sticky: Annotated[
        Sticky | None, BeforeValidator(_by_header, json_schema_input_type=str | Sticky | None)
    ] = None

    @model_validator(mode="after")
    def _one_answers(self) -> Self:
        if sum(bool(getattr(self, name)) for name in self.answering) != 1:
            *others, last = self.answering
            raise ValueError(f"one of {', '.join(others)} and {last} is expected")
        if (self.matches or self.sticky) and not self.versions:
            raise ValueError("matches and sticky choose among versions")
        return self


class Service(Versioned):
    """Services, where their descriptors come from, and who answers."""

    descriptor_set: str | None = None
    image: str | None = None
    module: str | None = None
    reflection: str | None = None
    refresh: Annotated[
        float | None, Field(ge=1, description="seconds until reflection is asked again")
    ] = None
    names: Texts = []
    hosts: list[Host] = []

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        sources = "descriptor_set", "image", "module", "reflection"
        given = [name for name in sources if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of {', '.join(sources)} is expected")
        if self.refresh is not None and self.reflection is None:
            raise ValueError("refresh goes with reflection")
        return self
