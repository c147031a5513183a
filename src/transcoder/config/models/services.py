"""Services and their versions, as a file says them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from transcoder.config.models.model import Model, Texts


class Version(Model):
    """One version of a service; see `transcoder.Version`."""

    name: str
    upstream: str
    weight: int = 0


class Match(Model):
    """Which calls a version gets; see `transcoder.HeaderMatch`."""

    header: str
    to: str
    exact: str | None = None
    prefix: str | None = None


class Service(Model):
    """Services, where their descriptors come from, and who answers."""

    descriptor_set: str | None = None
    image: str | None = None
    module: str | None = None
    reflection: str | None = None
    refresh: Annotated[
        float | None, Field(ge=1, description="seconds until reflection is asked again")
    ] = None
    names: Texts = []
    upstream: str | None = None
    versions: list[Version] = []
    matches: list[Match] = []
    sticky: str = ""

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        sources = "descriptor_set", "image", "module", "reflection"
        given = [name for name in sources if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"one of {', '.join(sources)} is expected")
        if (self.upstream is None) == (not self.versions):
            raise ValueError("one of upstream and versions is expected")
        if self.refresh is not None and self.reflection is None:
            raise ValueError("refresh goes with reflection")
        if (self.matches or self.sticky) and not self.versions:
            raise ValueError("matches and sticky choose among versions")
        return self
