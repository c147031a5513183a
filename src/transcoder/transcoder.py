"""The pure core: requests to messages, replies to bytes. No sockets, no `await`."""

from __future__ import annotations

import gc
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from google.api.http_pb2 import HttpRule
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import (
    ConfigError,
    InvalidRequest,
    MethodNotAllowed,
    NotAcceptable,
    NotFound,
)
from transcoder.event_stream import Events, EventStream
from transcoder.framing import Framing, Framings, Raw
from transcoder.hosts import Hosts, listed
from transcoder.http_rule import Binding, bindings, unbound
from transcoder.marshaler import PROTOBUF, accept_of
from transcoder.metadata import RawHeaders
from transcoder.profile import GOOGLE, Profile
from transcoder.protojson import Precompiled
from transcoder.request import RequestDecoder
from transcoder.response import Payload, error_payload
from transcoder.response_encoder import Presentation, ResponseEncoder
from transcoder.route import Match, Miss, Route
from transcoder.routing import Router
from transcoder.values import suggestion

if TYPE_CHECKING:
    from transcoder.multipart import FormLimits
    from transcoder.service_config import ServiceConfig

_log = logging.getLogger(__name__)

NO_EVENTS: Final[Mapping[str, EventStream]] = {}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """What stands behind a route: one binding of a method, compiled."""

    method: str
    """The gRPC path, `/package.Service/Method`."""
    binding: Binding
    decode: RequestDecoder
    encode: ResponseEncoder
    response_class: type[Message]
    streams: bool
    """Whether the method takes or returns a stream."""
    reads: bool
    """Whether more than path and query may make a request: a body, or the id of an event."""
    framings: Framings | None = None
    """Of a method with a stream of replies."""
    events: Events | None = None

    def framing(self, headers: RawHeaders, presentation: Presentation | None = None) -> Framing:
        """Return the framing of one answer, by the Accept of its request.

        Raises:
            NotAcceptable: none that is accepted.
            InvalidRequest: fields are selected where no JSON is printed.
        """
        if self.framings is None:
            return Raw("")
        framing = self.framings(_accept(headers, presentation))
        _check_selection(presentation, framing.payload)
        return framing

    def media_type(self, headers: RawHeaders, presentation: Presentation | None = None) -> str:
        """Return the media type of an answer without a stream, by the Accept of its request.

        Raises:
            NotAcceptable: none that is accepted.
            InvalidRequest: fields are selected where no JSON is printed.
        """
        offers = self.encode.offers
        if presentation is None:
            chosen = offers.choose(accept_of(headers))
        else:
            chosen = offers.choose(presentation.accept or accept_of(headers))
            _check_selection(presentation, chosen)
        if chosen is None:
            raise NotAcceptable(offers.types)
        return chosen

    def presentation(self, query: bytes, form: bytes = b"") -> Presentation | None:
        """Return how the client wants its answer printed; None when the query does not say.

        Args:
            query: as the client sent it.
            form: more of it.
        """
        system = self.decode.system_parameters(query, form)
        return None if system is None else self.encode.presentation(system)


def _accept(headers: RawHeaders, presentation: Presentation | None) -> str:
    said = "" if presentation is None else presentation.accept
    return said or accept_of(headers)


def _check_selection(presentation: Presentation | None, media_type: str | None) -> None:
    if presentation is not None and presentation.selection and media_type in PROTOBUF:
        raise InvalidRequest("fields are selected of JSON only", "fields")


class Transcoder:
    """Matches HTTP requests to methods and converts both ways.

    Args:
        services: their methods' `google.api.http` rules become routes.
        profile: which compatible system to follow where they differ.
        rules: taken in place of the `google.api.http` option: by the method's full name, or a
            service configuration, which may also change how the profile decodes paths.
        unbound: give methods without a rule the route `POST /package.Service/Method`.
        forms: take form bodies too, within these limits; None to answer them 415.
        conflicts: whether a route that never answers because another one does is an error, or a
            warning in the log. Of two that answer the same requests the first to be added does,
            or the last if the profile's order is "last-wins".
        events: how replies are told as Server-Sent Events, by the method's full name.
        hosts: which are served; none for all. See `transcoder.hosts`.
        withholds: says which methods have no routes here.

    Raises:
        ConfigError: a rule is wrong; or, at the first match, two routes conflict or one of
            `rules` is for no method of the services.

    >>> from google.longrunning import operations_pb2
    >>> service = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
    >>> transcoder = Transcoder([service])
    >>> match = transcoder.match("GET", "/v1/operations/7")
    >>> transcoder.request(match).name
    'operations/7'
    """

    def __init__(
        self,
        services: Iterable[ServiceDescriptor] = (),
        *,
        profile: Profile = GOOGLE,
        rules: Mapping[str, HttpRule] | ServiceConfig | None = None,
        unbound: bool = False,
        forms: FormLimits | None = None,
        conflicts: Literal["refuse", "warn"] = "refuse",
        events: Mapping[str, EventStream] = NO_EVENTS,
        hosts: Iterable[str] = (),
        withholds: Callable[[MethodDescriptor], bool] | None = None,
    ) -> None:
        self._hosts = listed(hosts)
        self._withholds = withholds
        self._withheld: list[Route[None]] = []
        self._config = None if rules is None or isinstance(rules, Mapping) else rules
        self._rules = dict(rules) if isinstance(rules, Mapping) else {}
        if not isinstance(profile, Profile):
            raise ConfigError(f"profile {profile!r}: a Profile is expected, as transcoder.GOOGLE")
        self.profile = self._config.adapt(profile) if self._config else profile
        self._forms = forms
        self._unbound = unbound
        self._refuse = conflicts == "refuse"
        self._events = dict(events)
        self._services: list[ServiceDescriptor] = []
        self._routes: list[Route[Any]] = []
        self._routers: Hosts[Any] | None = None
        self._ahead = Precompiled()
        with _uncollected():
            for service in services:
                self.add(service)

    @property
    def routes(self) -> tuple[Route[Any], ...]:
        """All routes, in the order in which they were added."""
        return tuple(self._routes)

    @property
    def withheld(self) -> tuple[Route[None], ...]:
        """The routes that methods would have which have none here."""
        return tuple(self._withheld)

    def add(self, service: ServiceDescriptor, hosts: Sequence[str] = ()) -> None:
        """Add the routes of a service's methods.

        Args:
            service: its descriptor.
            hosts: where they answer; none for everywhere.
        """
        at = listed(hosts)
        self._services.append(service)
        for rpc in service.methods:
            found = bindings(rpc, self._rule(rpc))
            if not found and self._unbound:
                found = (unbound(rpc),)
            for binding in found:
                method, template = binding.method, binding.template
                if self._withholds is not None and self._withholds(rpc):
                    self._withheld.append(Route(method, template, rpc.full_name, None, hosts=at))
                    continue
                endpoint = self._endpoint(binding)
                self.add_route(Route(method, template, rpc.full_name, endpoint, hosts=at))

    def add_route(self, route: Route[Any]) -> None:
        """Add one route; its endpoint need not be an Endpoint."""
        self._routes.append(route)
        self._routers = None

    def compile(self) -> Hosts[Any]:
        """Return the routers, built on first use.

        Raises:
            ConfigError: two routes conflict, a rule is for no method, or a host is none.
        """
        if self._routers is None:
            self._check_rules()
            with _uncollected():
                self._routers = Hosts(self._routes, self._router, self._hosts)
            for conflict in self._routers.conflicts:
                _log.warning("%s", conflict.outcome)
        return self._routers

    def _router(self, routes: Iterable[Route[Any]]) -> Router[Any]:
        return Router(
            routes,
            order=self.profile.order,
            unescape=self.profile.unescape,
            trailing_slash=self.profile.trailing_slash,
            refuse=self._refuse,
        )

    def precompile(self) -> None:
        """Compile what the JSON of all routes needs, so that no request has to wait for it."""
        lenient = self.profile.unknown_body == "ignore"
        with _uncollected():
            for route in self._routes:
                endpoint = route.endpoint
                if not isinstance(endpoint, Endpoint):
                    continue
                endpoint.encode.precompile(self._ahead)
                if endpoint.binding.body:
                    request = endpoint.binding.rpc.input_type
                    pool = request.file.pool
                    self._ahead.decoder(
                        GetMessageClass(request),
                        ignore_unknown=lenient,
                        pool=None if pool is Default() else pool,
                    )

    def match(self, method: str, path: str, host: str = "") -> Match[Any]:
        """Return the route that answers, with the values of its variables.

        Args:
            method: the HTTP method.
            path: as the client sent it, percent-encoded, without the query.
            host: that is asked for.

        Raises:
            NotFound: no route fits the path.
            MethodNotAllowed: one does, under another method.
            InvalidRequest: the path is malformed.
        """
        found = self.compile().of(host).match(method, path)
        if isinstance(found, Miss):
            raise self.refusal(found)
        return found

    def refusal(self, miss: Miss) -> NotFound | MethodNotAllowed:
        """Return the error for a path that no route answers, as the profile has it."""
        if not miss.allow or self.profile.wrong_method == NotFound().http:
            return NotFound()
        return MethodNotAllowed(miss.allow, self.profile.wrong_method)

    def request(
        self,
        match: Match[Any],
        query: bytes = b"",
        body: bytes = b"",
        content_type: str = "",
    ) -> Message:
        """Return the request message that path, query and body make.

        Raises:
            InvalidRequest: a value does not fit its field; names the field.
            UnsupportedMedia: the body is of a type that is not taken.
        """
        endpoint: Endpoint = match.route.endpoint
        return endpoint.decode(match.values, query, body, content_type)

    def presentation(self, match: Match[Any], query: bytes) -> Presentation | None:
        """Return how the client wants its answer printed, by its system parameters.

        Ask before the method is called, for what it asks may not be there.

        Raises:
            InvalidRequest: a system parameter is wrong; names it.
        """
        endpoint: Endpoint = match.route.endpoint
        return endpoint.presentation(query)

    def response(
        self, match: Match[Any], reply: Message, presentation: Presentation | None = None
    ) -> Payload:
        """Return the answer that carries the method's reply.

        Raises:
            ValueError: the reply has no JSON form.
        """
        endpoint: Endpoint = match.route.endpoint
        return endpoint.encode(reply, presentation)

    def error(self, error: BaseException, accept: str = "") -> Payload:
        """Return the answer that tells the client of an error.

        Args:
            error: what went wrong.
            accept: what the client takes; `application/problem+json` is told as such.
        """
        return error_payload(error, accept)

    def _rule(self, rpc: MethodDescriptor) -> HttpRule | None:
        if self._config is None:
            return self._rules.get(rpc.full_name)
        selected = self._config.rule(rpc)
        return None if selected is None else selected.rule

    def check_names(self, option: str, names: Iterable[str]) -> None:
        """Check what an option says by the full names of methods.

        Raises:
            ConfigError: no service here has a method of that name.
        """
        methods = {rpc.full_name for service in self._services for rpc in service.methods}
        for name in names:
            if name not in methods:
                near = suggestion(name, methods)
                raise ConfigError(f"{option}: no service here has a method {name}{near}")

    def _check_rules(self) -> None:
        if self._config is not None:
            self._config.check(self._services)
        self.check_names("rules", self._rules)
        self.check_names("events", self._events)

    def _endpoint(self, binding: Binding) -> Endpoint:
        rpc = binding.rpc
        request_class = GetMessageClass(rpc.input_type)
        encode = ResponseEncoder(binding, self.profile)
        framings = events = None
        if rpc.server_streaming and encode.prints_json:
            events = Events(binding, self._events.get(rpc.full_name))
            framings = Framings(
                self.profile.stream,
                events,
                protobuf=encode.serializes,
                refuse=self.profile.not_acceptable == "reject",
            )
        return Endpoint(
            method=method_path(rpc),
            binding=binding,
            decode=RequestDecoder(binding, request_class, self.profile, forms=self._forms),
            encode=encode,
            response_class=GetMessageClass(rpc.output_type),
            streams=bool(rpc.client_streaming or rpc.server_streaming),
            reads=bool(binding.body) or events is not None,
            framings=framings,
            events=events,
        )


@contextmanager
def _uncollected() -> Iterator[None]:
    """Pause the garbage collector: it would walk over all that is built here many times."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def method_path(rpc: MethodDescriptor) -> str:
    """Return the path of a method on the gRPC wire: `/package.Service/Method`."""
    return f"/{rpc.containing_service.full_name}/{rpc.name}"
