"""Paths that are passed on over HTTP, as a file says them."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from transcoder.config.models.model import Model, Texts
from transcoder.errors import ConfigError
from transcoder.forwarding import check_prefix
from transcoder.path_template import PathTemplate


class Route(Model):
    """Which requests go to which upstream; see `transcoder.Gateway.forward`."""

    path: Annotated[str, Field(description="a template, as /legacy/**")]
    methods: Annotated[Texts, Field(description="all, where there are none")] = []
    upstream: str
    strip_prefix: str = ""

    @model_validator(mode="after")
    def _is_path(self) -> Self:
        try:
            PathTemplate.parse(self.path)
            check_prefix(self.path, self.strip_prefix)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        for method in self.methods:
            if not (method.isascii() and method.isalpha() and method.isupper()):
                raise ValueError(f"methods: {method!r}: a method as HTTP spells it is expected")
        return self
