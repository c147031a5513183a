"""What `gateway.yaml` may say: pydantic models, in the words of the library's keyword arguments.

A policy is on when its name is there, `request_id: {}`; one that is there with nothing has its
defaults.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from transcoder.values import suggestion

Texts = list[str]
Claim = str | int | bool | list[str | int | bool]
Port = Annotated[str, Field(description="HOST:PORT, :PORT or unix:/path")]


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


class Listen(Model):
    """Where the gateway listens."""

    http: Port = ":8080"
    grpc: Port = ":50051"
    admin: Port | None = None


class ServerTls(Model):
    """What it shows there; see `transcoder.ServerTls`."""

    certificate: str
    key: str
    client_ca: str | None = None
    client_certificates: Literal["required", "optional"] | None = None
    min_version: Literal["1.2", "1.3"] = "1.2"
    handshake_timeout: float = 10.0


class Tls(Model):
    """Whom a backend must be, and who we are; see `transcoder.Tls`."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    server_name: str | None = None


class Breaker(Model):
    """See `transcoder.CircuitBreaker` and `transcoder.Thresholds`."""

    consecutive: int = 5
    ratio: float = 0.5
    least: int = 20
    window: float = 10.0
    pause: float = 1.0
    probes: int = 1
    by: Literal["backend", "method"] = "backend"
    slow: float = 1.0


class Upstream(Model):
    """A backend; see `transcoder.Channel`."""

    target: str
    tls: Tls | None = None
    service_config: dict[str, Any] | None = None
    load_balancing: Literal["round_robin", "pick_first"] = "round_robin"
    max_message: int = 4 << 20
    identity: Texts = ["authorization"]
    breaker: Breaker | None = None


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
        if (self.matches or self.sticky) and not self.versions:
            raise ValueError("matches and sticky choose among versions")
        return self


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


class Nothing(Model):
    """A policy without options."""


class Policies(Model):
    """What stands before every call."""

    request_id: Nothing | None = None
    internal: Nothing | None = None
    ip_filter: IpFilter | None = None
    concurrency: ConcurrencyLimit | None = None
    rate_limits: list[RateLimit] = []
    cors: Cors | None = None
    jwt: Jwt | None = None
    api_keys: ApiKeys | None = None
    mutual_tls: MutualTls | None = None
    authorization: Authorization | None = None
    compression: Compression | None = None
    security_headers: SecurityHeaders | None = None


class AccessLog(Model):
    """See `transcoder.observers.AccessLog`."""

    path: str = "-"
    headers: Texts = []
    queue: int = 10_000


class AuditLog(Model):
    """See `transcoder.observers.AuditLog`."""

    path: str
    when_full: Literal["closed", "spool"] = "closed"
    spool: str | None = None


class Observers(Model):
    """Who is told of calls."""

    access_log: AccessLog | None = None
    audit_log: AuditLog | None = None
    metrics: Nothing | None = None
    traces: Nothing | None = None


class Timeout(Model):
    """See `transcoder.Timeout`."""

    default: float | None = None
    maximum: float | None = None


class Timeouts(Model):
    """See `transcoder.Timeouts`."""

    default: float | None = 30.0
    maximum: float = 300.0
    methods: dict[str, Timeout] = {}


class Config(Model):
    """A whole file."""

    listen: Listen = Listen()
    tls: ServerTls | None = None
    profile: Literal["google", "grpc-gateway", "envoy", "strict"] = "google"
    rules: Annotated[str | None, Field(description="a service configuration")] = None
    unbound: bool = False
    validate_requests: bool = False
    trusted_proxies: Texts = []
    trusted_peers: Texts = []
    timeouts: Timeouts = Timeouts()
    upstreams: dict[str, Upstream]
    services: Annotated[list[Service], Field(min_length=1)]
    policies: Policies = Policies()
    public: Texts = []
    observers: Observers = Observers()

    def unknown(self) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Yield where a name is that nothing has, and what it should name."""
        for index, service in enumerate(self.services):
            at = ("services", index)
            named: list[tuple[tuple[str | int, ...], str | None]] = [
                ((*at, "upstream"), service.upstream),
                ((*at, "reflection"), service.reflection),
            ]
            for number, version in enumerate(service.versions):
                named.append(((*at, "versions", number, "upstream"), version.upstream))
            for keys, name in named:
                if name is not None and name not in self.upstreams:
                    yield keys, f"no upstream is named {name!r}{suggestion(name, self.upstreams)}"
            versions = [version.name for version in service.versions]
            for number, match in enumerate(service.matches):
                if match.to not in versions:
                    problem = f"no version is named {match.to!r}{suggestion(match.to, versions)}"
                    yield (*at, "matches", number, "to"), problem
