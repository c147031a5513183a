"""What requests may be, and where a gateway tells of itself, as a file says it."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from transcoder.config.models.model import Model, Texts
from transcoder.errors import ConfigError
from transcoder.path_template import PathTemplate


def _path(text: str) -> str:
    try:
        PathTemplate.parse(text)
    except ConfigError as error:
        raise ValueError(error) from None
    return text


OwnPath = Annotated[str, AfterValidator(_path)]
"""A path of the gateway itself."""


class Streams(Model):
    """See `transcoder.stream_limits`."""

    message: int = 1 << 20
    count: int = 1000
    idle: float | None = 300.0
    stall: float = 30.0
    life: float | None = None
    heartbeat: float = 15.0


class Pace(Model):
    """See `transcoder.Pace`."""

    grace: float = 30.0
    rate: float = 240.0


class Forms(Model):
    """See `transcoder.multipart`."""

    size: int = 1 << 20
    fields: int = 1000
    field_size: int = 1 << 16
    files: int = 16
    memory: int = 1 << 16
    nodes: int = 10_000


class Events(Model):
    """See `transcoder.EventStream`."""

    id: str = ""
    resume: str = ""
    retry: float | None = None


class Token(Model):
    """See `transcoder.handshake`."""

    cookie: str = ""
    query: str = ""


class Health(Model):
    """See `transcoder.Health`."""

    path: OwnPath | None = "/healthz"
    liveness: OwnPath | None = "/livez"
    readiness: OwnPath | None = "/readyz"
    tolerates: Texts = []
    timeout: float = 1.0


class OpenApi(Model):
    """See `transcoder.OpenApi`."""

    path: OwnPath = "/openapi"
    docs: OwnPath | None = "/docs"
    title: str = ""
    version: str = ""
    description: str = ""
    servers: Texts = []
    labels: Texts = []
