"""The endpoints of backends, as a file says them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Self

from pydantic import ConfigDict, Field, model_validator

from transcoder.config.models.model import Model
from transcoder.discovery import records, source
from transcoder.errors import ConfigError


@contextmanager
def _with_its_place() -> Iterator[None]:
    """Have pydantic say where it is that something is wrong."""
    try:
        yield
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _or_text(schema: dict[str, Any]) -> None:
    alone = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string", "description": "HOST:PORT"}, alone]


class Endpoint(Model):
    """See `transcoder.discovery.Endpoint`; an address alone may stand for it."""

    model_config = ConfigDict(json_schema_extra=_or_text)

    address: str
    weight: int = 1

    @model_validator(mode="before")
    @classmethod
    def _of_text(cls, given: Any) -> Any:
        return {"address": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _is_one(self) -> Self:
        with _with_its_place():
            source.Endpoint(self.address, self.weight)
        return self


class Refresh(Model):
    """See `transcoder.discovery.records.Refresh`."""

    minimum: float = 5.0
    maximum: float = 60.0

    @model_validator(mode="after")
    def _are_bounds(self) -> Self:
        with _with_its_place():
            records.Refresh(self.minimum, self.maximum)
        return self


class Discovery(Model):
    """Where endpoints are found; see `transcoder.discovery`."""

    file: Annotated[str | None, Field(description="a file that lists them")] = None
    dns: Annotated[str | None, Field(description="HOST:PORT, all addresses of the host")] = None
    srv: Annotated[str | None, Field(description="as _grpc._tcp.users.internal")] = None
    nameserver: str = ""
    refresh: Refresh | None = None

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        kinds = [self.file, self.dns, self.srv]
        if len([each for each in kinds if each is not None]) != 1:
            raise ValueError("one of file, dns and srv is expected")
        if self.file is not None and (self.nameserver or self.refresh):
            raise ValueError("nameserver and refresh are of dns and srv")
        with _with_its_place():
            if self.dns is not None:
                source.split_address(self.dns)
            if self.nameserver:
                records.name_server(self.nameserver)
        return self


class Outliers(Model):
    """See `transcoder.OutlierDetection`."""

    consecutive: Annotated[int, Field(ge=1)] = 5
    base: Annotated[float, Field(gt=0, description="seconds")] = 1.0
    maximum_percent: Annotated[int, Field(ge=1, le=100)] = 50
    deadline: bool = False
