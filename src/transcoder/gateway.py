"""The gateway as an ASGI application: match, call, answer.

`Gateway` is a Starlette application: routes, mounts, middleware and lifespan work as Starlette
documents them. Paths of transcoded methods are answered before Starlette's router is asked, and
with no middleware configured they do not pass through Starlette at all.
"""

from __future__ import annotations

from collections.abc import (
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Literal

import grpc
from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.types import Lifespan, Receive, Scope, Send

from transcoder import reflection
from transcoder.answering import DEFAULT_POOL, Answering
from transcoder.calls import Calls
from transcoder.errors import ConfigError
from transcoder.event_stream import EventStream
from transcoder.events import Auditor, Observer
from transcoder.forward_split import ForwardSplit
from transcoder.forwarded import NO_PROXIES, TrustedProxies
from transcoder.forwarding import (
    Forwarder,
    Forwarding,
    Particular,
    check_prefix,
)
from transcoder.grpc_door import GrpcDoor
from transcoder.handshake import NO_TOKEN, Handshakes, Token
from transcoder.header_names import HeaderNames
from transcoder.health import DEFAULT_HEALTH, Health, HealthPages
from transcoder.hosts import listed
from transcoder.http_door import HttpDoor
from transcoder.inbound import STRIPPED
from transcoder.limits import Limits
from transcoder.matching import Found, Matching
from transcoder.measured import Measured, Readings
from transcoder.metadata import Matcher
from transcoder.offload import Offload
from transcoder.outbound import Outbound
from transcoder.own_pages import DEFAULT_OPENAPI, YAML, OpenApi, OwnPages
from transcoder.pace import DEFAULT_PACE, Pace
from transcoder.path_template import PathTemplate
from transcoder.policies.chain import Chain
from transcoder.policies.policy import Named, Policy, Resource
from transcoder.policies.policy_set import HEALTH_SERVICE, Overrides, PolicySet
from transcoder.profile import GOOGLE, Profile
from transcoder.readiness import Readiness
from transcoder.registry import Calling, Registry
from transcoder.response import JSON, ErrorShape
from transcoder.roles import Role, Trust
from transcoder.route import Miss, Route
from transcoder.running import Own, Running, live
from transcoder.security import Security
from transcoder.starlette_route import StarletteRoute
from transcoder.stream_limits import DEFAULT_STREAM_LIMITS, StreamLimits
from transcoder.timeouts import DEFAULT_TIMEOUTS, Timeouts
from transcoder.transcoder import NO_EVENTS, Endpoint, Transcoder
from transcoder.upstream import backend_calls
from transcoder.upstream.behaviours import Handler
from transcoder.upstream.proxy import Reachable, Remote
from transcoder.upstream.split import Split

if TYPE_CHECKING:
    from transcoder.multipart import FormLimits
    from transcoder.service_config import ServiceConfig
    from transcoder.validation import Validation


class Gateway(Starlette):
    """Serves the methods of registered servicers over HTTP, by their `google.api.http` rules.

    Args:
        profile: which compatible system to follow where they differ.
        rules: taken in place of the `google.api.http` option: by the method's full name, or a
            service configuration, see `transcoder.service_config`.
        unbound: give methods without a rule the route `POST /package.Service/Method`.
        forms: take form bodies too, within these limits; None to answer them 415.
        conflicts: whether a route that never answers because another one does is an error, or a
            warning in the log.
        hosts: that are served over HTTP, as `user.example.com`, `*.example.com` or with a port; at
            others a request is answered 421. None for all; see `transcoder.hosts`.
        events: how replies are told as Server-Sent Events, by the method's full name.
        streams: the limits of streams over HTTP.
        interceptors: run before every method, of servicers and of backends, over HTTP and gRPC; the
            first of them first.
        incoming: names the metadata that a header becomes, or None for none, in the profile's
            place; see `transcoder.inbound`.
        outgoing: names the header that metadata become, or None, likewise; see
            `transcoder.outbound`.
        role: what the gateway is to others, see `transcoder.roles`: at the `edge` it marks all
            calls with `X-Internal: true` and serves no internal methods; an `internal` one keeps
            what the edge says of a call, and does not ask again what the edge has asked. None for
            neither.
        skip_for_trusted: names of policies that calls of trusted peers pass over; None for what the
            role says: at an internal gateway all that find out who calls, from where and how often,
            but by certificate.
        internal: methods (`pkg.Service.Method`) and services (`pkg.Service.*`) that are for other
            services alone, beside those that their protos restrict to INTERNAL by `google.api`
            visibility: to clients of an edge gateway they are not there.
        strip: headers that only trusted peers may send, by name or by how their names begin, as
            `x-acme-*`; at a gateway with a role all of `trusted_peers.IDENTITY_HEADERS` too, but at
            an edge `x-request-id`.
        keep: those of them that anybody may send nevertheless, likewise.
        trusted_proxies: whose `X-Forwarded-*` are believed, as networks; see
            `transcoder.forwarded`.
        trusted_peers: names in the certificates of clients that may send what is stripped.
        timeouts: how long calls may take.
        validate: check requests on both ports by the rules of protovalidate in their protos; needs
            the extra `validate`.
        errors: makes the answer to an error, of its status and HTTP status; None for the usual
            one.
        origins: whose pages may connect by WebSocket, beside those of the same origin, as
            `https://app.example`.
        websocket_token: where a WebSocket may hold its token that can have no header.
        policies: decide which calls come in, on both ports; see `transcoder.policies`.
        public: the calls that need no credentials: methods (`pkg.Service.Method`), services
            (`pkg.Service.*`) or paths (`/docs`); see `transcoder.policies.selectors`.
        overrides: for some calls, by such a selector: what stands in the place of the policy of
            a name, or None.
        observers: are told of calls, and of what policies decide; see `transcoder.events`.
        body_limit: bytes of a request's body; a larger one is answered 413 before it is read.
        bodies_limit: bytes of all bodies that are held at once; what comes beyond is answered 503.
        pace: at which a body must arrive; a slower one is answered 408.
        health: where the gateway tells of its health, and what that depends on; a path stands for
            `Health(path=…)`, None for nowhere.
        openapi: where and how the gateway describes itself, at `/openapi.json` and `/docs`; None
            for nowhere.
        threads: how many plain (not `async`) servicer methods may run at once; as many again may
            run as streams, on the gRPC port.
        pool: where services are looked up by name; the default pool holds generated code.
        routes, middleware, lifespan: as Starlette takes them. An application that mounts the
            gateway runs its lifespan by `gateway.router.lifespan_context(gateway)`.

    >>> from google.longrunning import operations_pb2_grpc
    >>> gateway = Gateway()
    >>> operations = operations_pb2_grpc.OperationsServicer()
    >>> operations_pb2_grpc.add_OperationsServicer_to_server(operations, gateway)
    >>> gateway.services
    ('google.longrunning.Operations',)
    """

    def __init__(
        self,
        *,
        profile: Profile = GOOGLE,
        rules: Mapping[str, HttpRule] | ServiceConfig | None = None,
        unbound: bool = False,
        forms: FormLimits | None = None,
        conflicts: Literal["refuse", "warn"] = "refuse",
        hosts: Sequence[str] = (),
        events: Mapping[str, EventStream] = NO_EVENTS,
        streams: StreamLimits = DEFAULT_STREAM_LIMITS,
        interceptors: Sequence[grpc.aio.ServerInterceptor] = (),
        incoming: Matcher | None = None,
        outgoing: Matcher | None = None,
        role: Role | None = None,
        skip_for_trusted: Iterable[str] | None = None,
        internal: Iterable[str] = (),
        strip: Iterable[str] = STRIPPED,
        keep: Iterable[str] = (),
        trusted_proxies: Iterable[str] | TrustedProxies = NO_PROXIES,
        trusted_peers: Iterable[str] = (),
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        validate: bool = False,
        errors: ErrorShape | None = None,
        origins: Iterable[str] = (),
        websocket_token: Token = NO_TOKEN,
        policies: Iterable[Policy | str] = (),
        public: Iterable[str] = (),
        overrides: Overrides | None = None,
        observers: Iterable[Observer | Auditor] = (),
        body_limit: int = 1 << 20,
        bodies_limit: int = 64 << 20,
        pace: Pace = DEFAULT_PACE,
        health: Health | str | None = DEFAULT_HEALTH,
        openapi: OpenApi | None = DEFAULT_OPENAPI,
        threads: int = 32,
        pool: DescriptorPool | None = None,
        routes: Sequence[BaseRoute] | None = None,
        middleware: Sequence[Middleware] | None = None,
        lifespan: Lifespan[Any] | None = None,
    ) -> None:
        super().__init__(routes=routes, middleware=middleware, lifespan=lifespan)
        self.draining = False
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="servicer")
        self._limits = Limits(
            body=body_limit,
            bodies=bodies_limit,
            pace=pace,
            timeouts=timeouts,
            streams=streams,
            threads=threads,
        )
        self._trust = trust = Trust(
            role,
            policies=policies,
            skip_for_trusted=skip_for_trusted,
            strip=strip,
            keep=keep,
            trusted_proxies=trusted_proxies,
            trusted_peers=trusted_peers,
            internal=internal,
        )
        self.withholds = trust.withholds
        """Says which methods are not there for clients; None for none."""
        self.transcoder = Transcoder(
            profile=profile,
            rules=rules,
            unbound=unbound,
            forms=forms,
            conflicts=conflicts,
            events=events,
            hosts=hosts,
            withholds=self.withholds,
        )
        options = Health.of(health)
        standing = PolicySet(
            trust.policies,
            public=public,
            overrides=overrides,
            own=options.paths,
            skip_for_trusted=trust.skipped,
        )
        self.chain = Chain(standing, observers)
        self.grpc_door = GrpcDoor(self.chain, trust.proxies, trust.peers)
        inbound = trust.inbound(self.transcoder.profile, incoming, self.chain.writes)
        self._stripped = inbound.stripped
        self._calls = Calls(inbound, timeouts, trust.peers)
        self._validation = _validation() if validate else None
        offload = Offload()
        self._registry = self._services_of(pool or DEFAULT_POOL, tuple(interceptors), offload)
        self._match = Matching(self.transcoder)
        self._answering = Answering(
            self.transcoder,
            self._match,
            self._registry.upstream_of,
            self._calls,
            limits=self._limits,
            offload=offload,
            validation=self._validation,
            outbound=Outbound(self.transcoder.profile, matcher=outgoing),
            handshakes=Handshakes(origins, websocket_token),
            errors=errors,
            pool=self.pool,
            is_draining=lambda: self.draining,
        )
        self._measured: list[Measured] = []
        self._forwarders: list[Forwarder] = []
        self._compiled = (-1, -1)
        self._door: HttpDoor | None = None
        if self.chain:
            self._stand_at_the_door()
        self._enter_starlette()
        self.readiness = self._add_health(options)
        self._pages = None if openapi is None else self._add_pages(openapi, errors)

    def _services_of(
        self,
        pool: DescriptorPool,
        interceptors: Sequence[grpc.aio.ServerInterceptor],
        offload: Offload,
    ) -> Registry:
        calling = Calling(
            self.executor,
            ThreadPoolExecutor(self._limits.threads, thread_name_prefix="stream"),
            offload,
            interceptors,
            self._calls.admitted,
            self._validation,
            self._limits.timeouts,
            self.grpc_door,
            self.withholds,
        )
        return Registry(self.transcoder, pool, calling)

    def _enter_starlette(self) -> None:
        """Take the first place in Starlette's router, and the last, and its lifespan."""
        router = self.router
        route = StarletteRoute(self._match, self._answering, lambda: self._door is not None)
        router.routes.insert(0, route)
        router.redirect_slashes = False
        router.default = route.not_found
        router.lifespan_context = self._running = Running(
            router.lifespan_context,
            Own(self.chain, self._registry, self._forwarders),
            chain=self.chain,
            compile=self.compile,
            measured=self,
        )

    def _add_health(self, options: Health) -> Readiness:
        checks = *options.checks, *self.chain.checks
        readiness = Readiness(
            lambda: self.draining, checks, timeout=options.timeout, tolerates=options.tolerates
        )
        for route in HealthPages(options, readiness, lambda name: name in self.services).routes:
            self.transcoder.add_route(route)
        return readiness

    def _add_pages(self, options: OpenApi, errors: ErrorShape | None) -> OwnPages:
        serving = {
            "body_limit": self._limits.body,
            "message_limit": self._limits.streams.message,
            "timeouts": self._limits.timeouts,
            "own_errors": errors is not None,
            "websockets": True,
        }
        pages = OwnPages(self.transcoder, options, serving, self._security)
        for route in pages.routes:
            self.transcoder.add_route(route)
        return pages

    @property
    def services(self) -> tuple[str, ...]:
        """Full names of the registered services that clients can call."""
        return self._registry.names

    @property
    def stripped(self) -> HeaderNames:
        """What clients that are no trusted peers cannot say."""
        return self._stripped

    @property
    def unlisted(self) -> tuple[str, ...]:
        """Full names of the registered services of internal methods alone, at an edge gateway."""
        return self._registry.unlisted

    @property
    def own_services(self) -> tuple[str, ...]:
        """Full names of those whose calls are not passed on."""
        return self._registry.own

    @property
    def pool(self) -> DescriptorPool:
        """Where the services' descriptors are."""
        return self._registry.pool

    def add_generic_rpc_handlers(self, generic_rpc_handlers: Iterable[Any]) -> None:
        """Register servicers; generated `add_…Servicer_to_server` functions call this.

        A service whose descriptor is not known, or which has no rules, is served on gRPC only.

        Raises:
            ConfigError: a rule is wrong, or the service is registered already.
        """
        for handler in generic_rpc_handlers:
            self._registry.add(handler)

    def add_registered_method_handlers(
        self, service_name: str, method_handlers: Mapping[str, Handler]
    ) -> None:
        """Register a servicer, unless `add_generic_rpc_handlers` did; generated code calls both."""
        if service_name not in self._registry:
            handlers = dict(method_handlers)
            generic = grpc.method_handlers_generic_handler(service_name, handlers)
            self.add_generic_rpc_handlers([generic])

    def route(
        self, service: ServiceDescriptor, upstream: Remote, *, hosts: Sequence[str] = ()
    ) -> None:
        """Pass the calls of a service on, on both ports, instead of to a servicer of this process.

        The upstream is closed when the application stops.

        Args:
            service: its descriptor, as `users_pb2.DESCRIPTOR.services_by_name["UserService"]`.
            upstream: who answers, as `Channel("users:50051")`.
            hosts: where its paths answer over HTTP, as `user.example.com`; none for everywhere.

        Raises:
            ConfigError: a rule is wrong, or the service is registered already.
        """
        self._registry.route(service, upstream, hosts)
        if isinstance(upstream, Split) and upstream.needs_details:
            self._stand_at_the_door()
        if isinstance(upstream, Reachable):
            name = service.full_name
            self.readiness.add(Named(f"upstream:{name}", upstream.check), (name,))

    def forward(
        self,
        template: str,
        forwarder: Forwarder,
        *,
        method: str = "*",
        hosts: Sequence[str] = (),
        strip_prefix: str = "",
    ) -> None:
        """Pass the requests of paths on over HTTP, where no method answers.

        Policies stand before them as before all others. The forwarder is closed when the
        application stops.

        Args:
            template: of the paths, as `/legacy/**`.
            forwarder: who answers.
            method: as HTTP spells it; `*` for any.
            hosts: where they answer, as `legacy.example.com`; none for everywhere.
            strip_prefix: with which the template begins, as `/legacy`; the backend sees paths
                without it.

        Raises:
            TemplateError: the template is none.
            ConfigError: it does not begin with the prefix, or the forwarder is not for such a
                route.
        """
        parsed = PathTemplate.parse(template)
        check_prefix(template, strip_prefix)
        if isinstance(forwarder, Particular):
            forwarder.check_route(parsed, method)
        endpoint = Forwarding(forwarder, strip_prefix)
        self.transcoder.add_route(Route(method, parsed, template, endpoint, hosts=listed(hosts)))
        if forwarder not in self._forwarders:
            self._forwarders.append(forwarder)
            if isinstance(forwarder, ForwardSplit):
                forwarder.read_by(self._calls.asked)
                if forwarder.needs_details:
                    self._stand_at_the_door()
            if isinstance(forwarder, Reachable):
                self.readiness.add(Named(f"upstream:{template}", forwarder.check))
            if isinstance(forwarder, Measured):
                self.measure(forwarder)

    def leave_to(self, keeper: Resource) -> None:
        """Leave it to somebody else to open and close policies, observers and upstreams.

        Args:
            keeper: who starts with the application, and is closed with it.
        """
        self._running.keeper = keeper

    @property
    def handlers(self) -> tuple[grpc.GenericRpcHandler, ...]:
        """What answers the methods of the registered services on a gRPC port, guarded."""
        return self._registry.handlers

    def register_into(self, server: grpc.aio.Server) -> None:
        """Add the registered services to a gRPC server, guarded.

        An exception in a servicer, a deserializer or a serializer tells the client INTERNAL and
        a request id; grpc.aio alone would send the exception's text.
        """
        server.add_generic_rpc_handlers(self.handlers)

    @property
    def streams(self) -> StreamLimits:
        """The limits of streams."""
        return self._limits.streams

    @property
    def limits(self) -> Mapping[str, str]:
        """What bounds requests, in words; what policies bound is told by their names."""
        return {**self._limits.told, **self.chain.policies.limits}

    def observe(self, observer: Observer) -> None:
        """Tell somebody of calls too, who was not given at first; before anything is served."""
        self.chain.observe(observer)
        self._stand_at_the_door()

    def _stand_at_the_door(self) -> None:
        """Have the details of requests noted, whether there are policies or not."""
        if self._door is None:
            self._door = HttpDoor(self.chain, self._trust.proxies, self._enter, self._trust.peers)

    def measure(self, measured: Measured) -> None:
        """Tell what somebody counts, beside what the gateway does."""
        self._measured = [*self._measured, measured]

    def unmeasure(self, measured: Measured) -> None:
        """Tell it no longer."""
        self._measured = [each for each in self._measured if each is not measured]

    def readings(self) -> Readings:
        """Tell what the gateway's parts count; see `Measured`."""
        own = self.readiness, self.chain, self._registry, backend_calls.CALLS
        parts: list[Measured] = [*own, *self._measured]
        for each in parts:
            yield from each.readings()

    def end_streams(self) -> None:
        """End the streams that are open over HTTP, with UNAVAILABLE; the server calls this."""
        self._answering.streaming.end()

    def document(self, *, yaml: bool = False) -> bytes:
        """Return the OpenAPI document as it is served, where the gateway is not mounted.

        Args:
            yaml: whether as YAML, rather than JSON.

        Raises:
            ConfigError: the gateway serves none, or two routes conflict.
            ImportError: YAML needs the extra `openapi`.
        """
        if self._pages is None:
            raise ConfigError("the gateway has no OpenAPI document: its openapi is None")
        return self._pages.document(YAML if yaml else JSON)

    def compile(self) -> None:
        """Build the router and the JSON codecs now, instead of at the first requests.

        Raises:
            ConfigError: two routes conflict, there are timeouts of no method, or the validation
                rules of a request are wrong.
        """
        known = len(self.transcoder.routes), len(self._registry.names)
        if known == self._compiled:
            return
        if self._validation is not None:
            self._validation.compile()
        self.transcoder.check_names("timeouts", self._limits.timeouts.methods)
        self.transcoder.compile()
        methods = self.methods()
        self._trust.internal.check(methods)
        self.chain.compile(methods)
        self.readiness.compile()
        self.transcoder.precompile()
        self._compiled = known

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one connection, as ASGI has it."""
        kind = scope["type"]
        if kind == "http":
            if self._match.form_posts and scope["method"] == "POST":
                self._match.decide_method(scope)
            if self._door is None and not self.user_middleware:
                fits = self._match(scope)
                if isinstance(fits, Miss):
                    await super().__call__(scope, receive, send)
                else:
                    await self._answering.answer(fits, scope, receive, send)
                return
        elif kind == "lifespan":
            await live(super().__call__, scope, receive, send)
            return
        elif kind == "websocket":
            self._answering.sockets.adopt(scope)
        if self._door is not None:
            find = self._match if kind == "http" else self._answering.sockets.find
            found = find(scope)
            await self._door(found, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _enter(
        self, found: Found, scope: Scope, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        """Return what answers a request that is let in."""
        if self.user_middleware or isinstance(found, Miss) or scope["type"] != "http":
            return super().__call__(scope, receive, send)
        return self._answering.answer(found, scope, receive, send)

    def methods(self) -> dict[str, list[PathTemplate]]:
        """Return the full names of all methods, with the templates of their paths."""
        names = [f"{HEALTH_SERVICE}.Check", f"{HEALTH_SERVICE}.Watch"]
        names += [f"{name}.ServerReflectionInfo" for name in reflection.NAMES]
        methods: dict[str, list[PathTemplate]] = {name: [] for name in names}
        for name in self._registry.methods:
            methods[name] = []
        for route in self.transcoder.routes:
            if isinstance(route.endpoint, Endpoint):
                methods.setdefault(route.name, []).append(route.template)
        return methods

    def _security(self) -> Security:
        """Return what clients must show, as the policies say."""
        return self.chain.policies.security(self.methods())


def _validation() -> Validation:
    # Not every installation has what it needs.
    from transcoder.validation import Validation  # noqa: PLC0415

    return Validation()
