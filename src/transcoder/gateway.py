"""The gateway as an ASGI application: match, call, answer.

`Gateway` is a Starlette application: routes, mounts, middleware and lifespan work as Starlette
documents them. Paths of transcoded methods are answered before Starlette's router is asked, and
with no middleware configured they do not pass through Starlette at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, Literal

import grpc
from google.api.http_pb2 import HttpRule
from google.protobuf import descriptor_pool
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute
from starlette.routing import Match as Fit
from starlette.types import Lifespan, Receive, Scope, Send

from transcoder import reflection
from transcoder.asgi import connection, note_gone, send_left, send_now
from transcoder.body import Disconnected
from transcoder.call_details import CALL, CallDetails
from transcoder.calls import Calls
from transcoder.errors import SHUTTING_DOWN, ConfigError, NotFound, StatusError
from transcoder.event_stream import EventStream
from transcoder.events import Auditor, Follower, Observer
from transcoder.forward_split import ForwardSplit
from transcoder.forwarded import NO_PROXIES, TrustedProxies
from transcoder.forwarding import (
    TERMS,
    Forwarder,
    Forwarding,
    Particular,
    Terms,
    check_prefix,
)
from transcoder.grpc_door import GrpcDoor
from transcoder.handshake import NO_TOKEN, Handshakes, Token
from transcoder.header_names import HeaderNames
from transcoder.health import DEFAULT_HEALTH, Health, HealthPages
from transcoder.hosts import listed
from transcoder.http_door import HttpDoor
from transcoder.inbound import STRIPPED, Inbound
from transcoder.internal_methods import InternalMethods
from transcoder.limits import limits_of
from transcoder.matching import Matching
from transcoder.measured import Measured, Readings
from transcoder.metadata import Matcher
from transcoder.offload import Offload
from transcoder.outbound import Outbound
from transcoder.own_pages import DEFAULT_OPENAPI, YAML, OpenApi, OwnPages
from transcoder.pace import DEFAULT_PACE, Pace
from transcoder.path_template import PathTemplate
from transcoder.policies.chain import HEALTH_SERVICE, Chain, Overrides, done_before
from transcoder.policies.internal import Internal
from transcoder.policies.policy import Named, Policy, Resource, check_policy, check_texts, load
from transcoder.profile import GOOGLE, Profile
from transcoder.readiness import Readiness
from transcoder.reading import Reader
from transcoder.refusal import POOL, SHAPE, refuse
from transcoder.registry import Calling, Registry
from transcoder.response import JSON, ErrorShape, Payload
from transcoder.rest import Rest
from transcoder.route import Match, Miss, Route
from transcoder.security import Security
from transcoder.status import Code
from transcoder.stream_limits import DEFAULT_STREAM_LIMITS, StreamLimits
from transcoder.streaming import Streaming
from transcoder.timeouts import DEFAULT_TIMEOUTS, Timeouts
from transcoder.transcoder import NO_EVENTS, Endpoint, Transcoder
from transcoder.trusted_peers import IDENTITY_HEADERS, Role, TrustedPeers
from transcoder.upstream import backend_calls
from transcoder.upstream.behaviours import Handler, is_cancelled
from transcoder.upstream.proxy import Reachable, Remote
from transcoder.upstream.split import Split
from transcoder.websocket import NO_STREAM, Sockets

if TYPE_CHECKING:
    from transcoder.multipart import FormLimits
    from transcoder.service_config import ServiceConfig
    from transcoder.validation import Validation

_log = logging.getLogger(__name__)
_DEFAULT_POOL: Final[DescriptorPool] = descriptor_pool.Default()

BuiltIn = Callable[[Scope], Awaitable[Payload]]


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
        role: what the gateway is to others, see `trusted_peers`: at the `edge` it marks all calls
            with `X-Internal: true` and serves no internal methods; an `internal` one keeps what the
            edge says of a call, and does not ask again what the edge has asked. None for neither.
        skip_for_trusted: names of policies that calls of trusted peers pass over; None for what the
            role says: at an internal gateway all that find out who calls, from where and how often,
            but by certificate.
        internal: methods (`pkg.Service.Method`) and services (`pkg.Service.*`) that are for other
            services alone, beside those that their protos restrict to INTERNAL by `google.api`
            visibility: to clients of an edge gateway they are not there.
        strip: headers that only trusted peers may send, by name or by how their names begin, as
            `x-acme-*`; at an edge `x-internal` too, and at an internal gateway all of
            `trusted_peers.IDENTITY_HEADERS`.
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
        self._given_lifespan = self.router.lifespan_context
        self.router.lifespan_context = self._running
        self.router.redirect_slashes = False
        self.router.default = self._not_found
        self.router.routes.insert(0, _Transcoded(self))
        self.executor = ThreadPoolExecutor(threads, thread_name_prefix="servicer")
        self.draining = False
        self._internal = InternalMethods(internal)
        self.withholds = self._internal if role == "edge" else None
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
        profile = self.transcoder.profile
        self._match = Matching(self.transcoder)
        self._errors = errors
        self._timeouts = timeouts
        self._validation = _validation() if validate else None
        options = Health.of(health)
        self._peers = peers = TrustedPeers(trusted_peers, internal=role == "internal")
        given = _policies_of(role, policies)
        self.chain = Chain(
            given,
            public=public,
            overrides=overrides,
            observers=observers,
            own=options.paths,
            skip_for_trusted=_skipped(role, given, skip_for_trusted),
        )
        self.readiness = _readiness(options, lambda: self.draining, self.chain)
        self._measured: list[Measured] = []
        self._forwarders: list[Forwarder] = []
        self._proxies = proxies = _proxies(trusted_proxies)
        strip = _stripped(role, strip)
        self._stripped = HeaderNames((*strip, *self.chain.writes))
        inbound = Inbound(
            profile,
            matcher=incoming,
            strip=strip,
            proxies=proxies,
            owned=self.chain.writes,
        )
        self._door = HttpDoor(self.chain, proxies, self._enter, peers) if self.chain else None
        self.grpc_door = GrpcDoor(self.chain, proxies, peers)
        self._calls = calls = Calls(inbound, timeouts, peers)
        offload = Offload()
        calling = Calling(
            self.executor,
            ThreadPoolExecutor(threads, thread_name_prefix="stream"),
            offload,
            tuple(interceptors),
            calls.admitted,
            self._validation,
            timeouts,
            self.grpc_door,
            self.withholds,
        )
        self._registry = Registry(self.transcoder, pool or _DEFAULT_POOL, calling)
        self._tells = errors is not None or self.pool is not _DEFAULT_POOL
        read = Reader(
            body_limit,
            bodies_limit=bodies_limit,
            form_posts=self._match.form_posts,
            pace=pace,
            offload=offload,
            validation=self._validation,
        )
        answering = self._registry.upstream_of, calls, read
        self._rest = Rest(*answering, offload, Outbound(profile, matcher=outgoing))
        self._limits = limits_of(
            body=body_limit, pace=pace, timeouts=timeouts, streams=streams, threads=threads
        )
        self._streaming = Streaming(*answering, self._rest, streams)
        self._terms = Terms(
            calls=calls,
            read=read,
            offload=offload,
            pace=pace,
            streams=streams,
            counted=self._streaming.counted,
        )
        self._sockets = Sockets(
            self._match,
            streaming=self._streaming,
            calls=calls,
            read=read,
            rest=self._rest,
            handshakes=Handshakes(origins, websocket_token),
            terms=self._terms,
        )
        for route in HealthPages(
            options, self.readiness, lambda name: name in self.services
        ).routes:
            self.transcoder.add_route(route)
        self._keeper: Resource = _Own(self.chain, self._registry, self._forwarders)
        self._compiled = (-1, -1)
        self._pages: OwnPages | None = None
        if openapi is not None:
            serving = {
                "body_limit": body_limit,
                "message_limit": streams.message,
                "timeouts": timeouts,
                "own_errors": errors is not None,
                "websockets": True,
            }
            self._pages = OwnPages(self.transcoder, openapi, serving, self._security)
            for route in self._pages.routes:
                self.transcoder.add_route(route)

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
        self._keeper = keeper

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
        return self._streaming.limits

    @property
    def limits(self) -> Mapping[str, str]:
        """What bounds requests, in words; what policies bound is told by their names."""
        return {**self._limits, **self.chain.limits}

    def observe(self, observer: Observer) -> None:
        """Tell somebody of calls too, who was not given at first; before anything is served."""
        self.chain.observe(observer)
        self._stand_at_the_door()

    def _stand_at_the_door(self) -> None:
        """Have the details of requests noted, whether there are policies or not."""
        if self._door is None:
            self._door = HttpDoor(self.chain, self._proxies, self._enter, self._peers)

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
        self._streaming.end()

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
        self.transcoder.check_names("timeouts", self._timeouts.methods)
        self.transcoder.compile()
        methods = self.methods()
        self._internal.check(methods)
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
                    await self._answer(fits, scope, receive, send)
                return
        elif kind == "lifespan":
            await self._live(scope, receive, send)
            return
        elif kind == "websocket":
            self._sockets.adopt(scope)
        if self._door is not None:
            found = self._match(scope) if kind == "http" else self._sockets.find(scope)
            await self._door(found, scope, receive, send)
        else:
            await super().__call__(scope, receive, send)

    def _enter(
        self, found: Match[Any] | Miss | StatusError, scope: Scope, receive: Receive, send: Send
    ) -> Coroutine[Any, Any, None]:
        """Return what answers a request that is let in."""
        if self.user_middleware or isinstance(found, Miss) or scope["type"] != "http":
            return super().__call__(scope, receive, send)
        return self._answer(found, scope, receive, send)

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
        return self.chain.security(self.methods())

    @contextlib.asynccontextmanager
    async def _running(self, app: Any) -> AsyncIterator[Any]:
        """Run the lifespan, for a server or, by Starlette's router, for who mounts the gateway."""
        self.compile()
        await self._keeper.start()
        for each in self.chain.observers:
            if isinstance(each, Follower):
                each.follow(self)
        try:
            async with self._given_lifespan(app) as state:
                yield state
        finally:
            await self._keeper.close()

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the lifespan for a server, and tell it why there is no start, in one line."""
        refused = False

        async def sending(message: Any) -> None:
            nonlocal refused
            error = sys.exception()
            if message["type"] == "lifespan.startup.failed" and isinstance(error, ConfigError):
                refused = True
                message = {**message, "message": str(error)}
            await send(message)

        try:
            await super().__call__(scope, receive, sending)
        except ConfigError:
            if not refused:
                raise

    async def _answer(
        self, found: Match[Any] | Miss | StatusError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if self._tells:
            self._tell_how(scope)
        try:
            payload = await self._payload(found, scope, receive, send)
        except Disconnected:
            note_gone(scope)
            return
        except BaseException as error:
            if not is_cancelled(error):
                payload = refuse(error, scope)
            elif self.draining:
                gone = StatusError(Code.UNAVAILABLE, SHUTTING_DOWN)
                payload = refuse(gone, scope)
            elif connection(scope) is None or "app" in scope:
                # Another server, or an application around this one, may have cancelled.
                raise
            else:
                # Our server does so after a drain only: it was the servicer itself.
                _uncancel()
                payload = refuse(error, scope)
        left = None if payload is None else send_now(payload, scope, send)
        if left is not None:
            await send_left(left, scope, send)

    def _payload(
        self, found: Match[Any] | Miss | StatusError, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[Payload | None]:
        """Return what makes the answer; None for one that is sent."""
        if not isinstance(found, Match):
            return self._without_route(found, scope)
        route = found.route
        if self._door is not None and "app" in scope:
            # Starlette's stack has seen the request, and a middleware may have changed it.
            _check_same(route, scope)
        scope["route"] = route
        endpoint = route.endpoint
        if not isinstance(endpoint, Endpoint):
            if isinstance(endpoint, Forwarding):
                scope[TERMS] = self._terms
                return endpoint.to.forward(found, scope, receive, send)
            built_in: BuiltIn = endpoint
            return built_in(scope)
        if endpoint.streams:
            return self._streaming(found, scope, receive, send)
        return self._rest(found, scope, receive)

    async def _without_route(self, found: Miss | StatusError, scope: Scope) -> Payload:
        if isinstance(found, StatusError):
            raise found
        if scope["method"] == "OPTIONS" and found.allow:
            return Payload(204, b"", b"", [(b"allow", ", ".join(found.allow).encode())])
        raise self.transcoder.refusal(found)

    def _tell_how(self, scope: Scope) -> None:
        """Say in a scope how its errors are told."""
        if self._errors is not None:
            scope[SHAPE] = self._errors
        if self.pool is not _DEFAULT_POOL:
            scope[POOL] = self.pool

    async def _shake_hands(
        self, found: Match[Any] | StatusError, scope: Scope, receive: Receive, send: Send
    ) -> None:
        self._tell_how(scope)
        await self._sockets(found, scope, receive, send)

    async def _not_found(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._shake_hands(NotFound(), scope, receive, send)
        else:
            await self._answer(Miss(()), scope, receive, send)


class _Transcoded(BaseRoute):
    """All transcoded paths as one Starlette route, the first that its router asks."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    def matches(self, scope: Scope) -> tuple[Fit, Scope]:
        if scope["type"] == "websocket":
            return self._matches_socket(scope)
        if scope["type"] != "http":
            return Fit.NONE, {}
        found = self._gateway._match(scope)  # noqa: SLF001  two halves of one class
        if not isinstance(found, Miss):
            return Fit.FULL, {"transcoder": found}
        return (Fit.PARTIAL, {"transcoder": found}) if found.allow else (Fit.NONE, {})

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = scope.pop("transcoder")
        # Starlette's key for itself; ours is the method's route, and there only when one matched.
        scope.pop("route", None)
        gateway = self._gateway
        answer = gateway._answer if scope["type"] == "http" else gateway._shake_hands  # noqa: SLF001
        await answer(found, scope, receive, send)

    def _matches_socket(self, scope: Scope) -> tuple[Fit, Scope]:
        found = self._gateway._sockets.find(scope)  # noqa: SLF001  as above
        if isinstance(found, Miss):
            return Fit.NONE, {}
        # An application may have a WebSocket of its own where a method has none.
        return Fit.PARTIAL if found is NO_STREAM else Fit.FULL, {"transcoder": found}


class _Own:
    """Opens and closes what a gateway has for itself."""

    def __init__(self, chain: Chain, registry: Registry, forwarders: list[Forwarder]) -> None:
        self._chain = chain
        self._registry = registry
        self._forwarders = forwarders

    async def start(self) -> None:
        await self._chain.start()

    async def close(self) -> None:
        await self._registry.close()
        for forwarder in self._forwarders:
            await forwarder.close()
        await self._chain.close()


def _check_same(route: Route[Any], scope: Scope) -> None:
    """Refuse a request that a middleware sent to another route than the policies saw."""
    call: CallDetails | None = scope.get(CALL)
    if call is None:
        return
    method = route.name if isinstance(route.endpoint, Endpoint) else ""
    # At another host the same path may be another method's.
    if (call.template, call.method) != (route.template.text, method):
        raise RuntimeError(
            f"{route} was let in as {call.template or 'no route'}: {call.path[:256]!a}"
        )


def _uncancel() -> None:
    task = asyncio.current_task()
    while task is not None and task.cancelling():
        task.uncancel()


def _policies_of(role: Role | None, policies: Iterable[Policy | str]) -> list[Policy]:
    """Return the policies of a gateway, with what its role adds."""
    given = [load(each) if isinstance(each, str) else check_policy(each) for each in policies]
    if role not in {None, "edge", "internal"}:
        raise ConfigError(f"role {role!r}: 'edge' or 'internal' is expected")
    marks = any(each.name == Internal.name for each in given)
    if role == "internal" and marks:
        problem = "an internal gateway keeps what trusted peers say, and marks none"
        raise ConfigError(f"policies: {Internal.name}: {problem}")
    return [*given, Internal()] if role == "edge" and not marks else given


def _skipped(
    role: Role | None, policies: Iterable[Policy], names: Iterable[str] | None
) -> Iterable[str]:
    """Return the names of policies that calls of trusted peers pass over."""
    if names is not None:
        return names
    return done_before(policies) if role == "internal" else ()


def _stripped(role: Role | None, names: Iterable[str]) -> tuple[str, ...]:
    """Return what only trusted peers may send, with what a role adds."""
    given = names if isinstance(names, str) else tuple(names)
    check_texts("strip", given)
    ours = {"edge": STRIPPED, "internal": IDENTITY_HEADERS}
    return (*given, *(ours[role] if role else ()))


def _proxies(trusted: Iterable[str] | TrustedProxies) -> TrustedProxies:
    return trusted if isinstance(trusted, TrustedProxies) else TrustedProxies(trusted)


def _readiness(options: Health, is_draining: Callable[[], bool], chain: Chain) -> Readiness:
    readiness = Readiness(is_draining, timeout=options.timeout, tolerates=options.tolerates)
    for check in (*options.checks, *chain.checks):
        readiness.add(check)
    return readiness


def _validation() -> Validation:
    # Not every installation has what it needs.
    from transcoder.validation import Validation  # noqa: PLC0415

    return Validation()
