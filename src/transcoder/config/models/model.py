"""What all models are."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

from transcoder.header_names import problem_of_name

Texts = list[str]


def _pattern(given: str) -> str:
    if problem := problem_of_name(given):
        raise ValueError(problem)
    return given


HeaderPattern = Annotated[str, AfterValidator(_pattern)]
"""The name of a header, or of several by how they begin, as `x-user-*`."""


class Model(BaseModel):
    """What all models are: no key that is not known, and no value of another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    def told(self, *left_out: str) -> dict[str, Any]:
        """Return what the file says, as keyword arguments.

        Args:
            left_out: fields that are none.
        """
        names = type(self).model_fields.keys() & self.model_fields_set
        return {name: getattr(self, name) for name in names if name not in left_out}


class Nothing(Model):
    """What has no options."""
