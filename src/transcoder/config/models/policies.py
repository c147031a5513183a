"""Policies, as a file says them."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from transcoder.config.models.model import Model, Nothing, Texts

Claim = str | int | bool | list[str | int | bool]


class Requirement(Model):
    """See `transcoder.policies.Requirement`."""

    scopes: Texts = []
    claims: dict[str, Claim] = {}


class Grant(Requirement):
    """See `transcoder.policies.Grant`."""

    subjects: Texts = []
    roles: Texts = []
    names: Texts = []
    schemes: Texts = []


class Published(Model):
    """Keys that an issuer publishes; see `transcoder.policies.Published`."""

    url: str | None = None
    refresh: float = 300.0
    cool_down: float = 30.0
    stale: float = 86_400.0
    timeout: float = 3.0
    ca: str | None = None
    loopback: bool = False


class Issuer(Model):
    """See `transcoder.policies.Issuer`; keys are published, or in a file."""

    name: str
    audiences: Texts | None
    published: Published | None = None
    keys: Annotated[str | None, Field(description="a file of keys")] = None
    algorithms: Texts = []
    types: Texts = []

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if self.published is not None and self.keys is not None:
            raise ValueError("one of published and keys is expected")
        return self


class Jwt(Model):
    """See `transcoder.policies.Jwt`."""

    issuers: list[Issuer]
    require: dict[str, Requirement] = {}
    forward: dict[str, str] = {}
    forward_token: bool = False
    subject: str = "sub"
    roles: str = "roles"
    leeway: float = 30.0
    opaque: bool = False
    kept: int = 4096


class Shared(Model):
    """A limit that processes share; see `transcoder.policies.SharedLimiter`."""

    url: str
    window: Literal["fixed", "sliding", "moving"] = "sliding"
    when_down: Literal["local", "closed"] = "local"
    patience: float = 0.05
    connections: int = 50
    prefix: str = "transcoder"


class RateLimit(Model):
    """See `transcoder.policies.RateLimit`."""

    rate: str
    by: str | Texts = "address"
    burst: int = 0
    shared: Shared | None = None
    name: str = "rate-limit"


class ConcurrencyLimit(Model):
    """See `transcoder.policies.ConcurrencyLimit`."""

    limit: int = 256
    queue: int = 64
    patience: float = 0.5
    streams: int = 1000


class IpFilter(Model):
    """See `transcoder.policies.IpFilter`."""

    allow: Texts = []
    deny: Texts = []


class Cors(Model):
    """See `transcoder.policies.Cors`."""

    origins: Texts
    methods: Texts = []
    headers: Texts = []
    expose: Texts = []
    credentials: bool = False
    max_age: int = 600


class ApiKeys(Model):
    """See `transcoder.policies.ApiKeys`."""

    keys: str
    header: str = "x-api-key"
    forward: dict[str, str] = {}


class MutualTls(Model):
    """See `transcoder.policies.MutualTls`."""

    allow: Texts
    forward: str = ""


class Authorization(Model):
    """See `transcoder.policies.Authorization`."""

    allow: dict[str, Grant] = {}
    deny: dict[str, Grant] = {}
    default: Literal["allow", "deny"] = "deny"


class Compression(Model):
    """See `transcoder.policies.Compression`."""

    minimum: int = 1024
    level: int = 5


class SecurityHeaders(Model):
    """See `transcoder.policies.SecurityHeaders`."""

    hsts: int = 31_536_000
    subdomains: bool = False


class Kinds(Model):
    """What may stand before calls, in the order in which a file's are told."""

    request_id: Nothing | None = None
    internal: Nothing | None = None
    ip_filter: IpFilter | None = None
    concurrency: ConcurrencyLimit | None = None
    rate_limits: Any
    """The one kind of which there may be several."""
    cors: Cors | None = None
    jwt: Jwt | None = None
    api_keys: ApiKeys | None = None
    mutual_tls: MutualTls | None = None
    authorization: Authorization | None = None
    compression: Compression | None = None
    security_headers: SecurityHeaders | None = None


class Overrides(Kinds):
    """What stands before some calls in another's place; null for nothing.

    Rate limits are by their names.
    """

    rate_limits: dict[str, RateLimit | None] = {}


class Policies(Kinds):
    """What stands before every call."""

    rate_limits: list[RateLimit] = []
