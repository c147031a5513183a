"""The services of a gateway: servicers of this process, and those whose calls are passed on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import grpc
from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from transcoder.errors import ConfigError
from transcoder.grpc_door import GrpcDoor
from transcoder.handlers import GuardedHandlers
from transcoder.measured import Measured, Readings, labelled
from transcoder.metadata import Metadatum
from transcoder.offload import Offload
from transcoder.timeouts import Timeouts
from transcoder.transcoder import Transcoder, method_path
from transcoder.upstream import RawCall, Upstream, proxy
from transcoder.upstream.behaviours import Handler
from transcoder.upstream.interceptors import HandlerDetails
from transcoder.upstream.local import Local
from transcoder.upstream.proxy import Remote

if TYPE_CHECKING:
    from transcoder.validation import Validation


@dataclass(frozen=True, slots=True)
class Calling:
    """What holds for the calls of all services.

    Args:
        executor: threads for plain servicer methods.
        stream_executor: for those with a stream; apart, for a stream may wait for its client as
            long as it likes.
        offload: where large messages are read.
        interceptors: run before every method.
        admitted: what of a gRPC client's metadata a servicer may see.
        validation: checks requests; None for none.
        timeouts: how long calls may take.
        door: lets calls of the gRPC port in; None where nothing stands there.
        withholds: says which methods are not there for clients; None for none.
    """

    executor: ThreadPoolExecutor
    stream_executor: ThreadPoolExecutor
    offload: Offload
    interceptors: Sequence[grpc.aio.ServerInterceptor]
    admitted: Callable[..., tuple[Metadatum, ...]]
    validation: Validation | None
    timeouts: Timeouts
    door: GrpcDoor | None = None
    withholds: Callable[[MethodDescriptor], bool] | None = None


class Registry:
    """Services by name, with their routes in the transcoder and their handlers for the gRPC port.

    Args:
        transcoder: gets their routes.
        pool: where their descriptors are.
        calling: how they are called.
    """

    def __init__(self, transcoder: Transcoder, pool: DescriptorPool, calling: Calling) -> None:
        self.pool = pool
        self._transcoder = transcoder
        self._calling = calling
        self._handlers: dict[str, GuardedHandlers] = {}
        self._upstreams: dict[str, Upstream] = {}
        self._remotes: dict[Remote, str] = {}
        self._passed_on: set[str] = set()
        self._withheld: set[str] = set()
        self._local = Local(calling.executor, calling.stream_executor, calling.interceptors)

    def __contains__(self, name: str) -> bool:
        """Say whether a service of that full name is registered."""
        return name in self._handlers

    @property
    def names(self) -> tuple[str, ...]:
        """Full names of the services that clients can call."""
        return tuple(name for name in self._named if name not in self._withheld)

    @property
    def unlisted(self) -> tuple[str, ...]:
        """Full names of the services that are here, and not for clients to call."""
        return tuple(self._withheld)

    @property
    def own(self) -> tuple[str, ...]:
        """Full names of the services that this process answers itself."""
        return tuple(name for name in self.names if name not in self._passed_on)

    @property
    def _named(self) -> tuple[str, ...]:
        return tuple(name for name in self._handlers if not name.startswith("/"))

    @property
    def methods(self) -> tuple[str, ...]:
        """Full names of the methods whose descriptors are known."""
        services = filter(None, map(self._service, self._named))
        return tuple(rpc.full_name for service in services for rpc in service.methods)

    @property
    def handlers(self) -> tuple[GuardedHandlers, ...]:
        """What answers their methods on a gRPC port."""
        return tuple(self._handlers.values())

    def add(self, handler: Any) -> None:
        """Register a servicer, by its generic handler.

        Raises:
            ConfigError: a rule is wrong, or the service is registered already.
        """
        # Handlers without a service's name answer on the gRPC port alone.
        name = getattr(handler, "service_name", lambda: "")() or f"/{len(self._handlers)}"
        self._check_new(name)
        service = self._service(name)
        replies = {} if service is None else self._add_methods(service, handler)
        self._handlers[name] = self._guarded(
            handler,
            replies,
            self._calling.interceptors,
            withheld=self._withhold(service),
        )

    def route(
        self, service: ServiceDescriptor, upstream: Remote, hosts: Sequence[str] = ()
    ) -> None:
        """Register a service whose calls are passed on.

        Raises:
            ConfigError: a rule is wrong, or the service is registered already.
        """
        self._check_new(service.full_name)
        interceptors = self._calling.interceptors
        if interceptors:
            # They stand before the handlers that pass the calls on, on both ports.
            handler = proxy.handlers(service, upstream)
            self._add_methods(service, handler, hosts)
        else:
            handler = proxy.handlers(service, upstream, RawCall)
            self._add_routes(service, hosts)
            self._upstreams.update((method_path(rpc), upstream) for rpc in service.methods)
        upstream.add(service)
        self._passed_on.add(service.full_name)
        self._remotes.setdefault(upstream, service.full_name)
        self._handlers[service.full_name] = self._guarded(
            handler,
            interceptors=interceptors,
            raw=not interceptors,
            withheld=self._withhold(service),
        )

    def upstream_of(self, method: str) -> Upstream:
        """Return who answers a method, by its gRPC path."""
        return self._upstreams.get(method, self._local)

    def readings(self) -> Readings:
        """Tell what upstreams count, by the first service that goes there; see `Measured`."""
        for upstream, service in self._remotes.items():
            if isinstance(upstream, Measured):
                yield from labelled(upstream.readings(), upstream=service)

    async def close(self) -> None:
        """Close what calls were passed on to."""
        for upstream in self._remotes:
            await upstream.close()

    def _guarded(
        self,
        handler: Any,
        replies: Mapping[str, type[Message]] | None = None,
        interceptors: Iterable[grpc.aio.ServerInterceptor] = (),
        *,
        raw: bool = False,
        withheld: frozenset[str] = frozenset(),
    ) -> GuardedHandlers:
        calling = self._calling
        return GuardedHandlers(
            handler,
            calling.executor,
            calling.stream_executor,
            replies or {},
            tuple(interceptors),
            admitted=calling.admitted,
            check=calling.validation,
            offload=calling.offload,
            door=calling.door,
            raw=raw,
            timeouts=calling.timeouts,
            withheld=withheld,
        )

    def _withhold(self, service: ServiceDescriptor | None) -> frozenset[str]:
        """Return the gRPC paths of the methods of a service that clients cannot call."""
        withholds = self._calling.withholds
        if service is None or withholds is None:
            return frozenset()
        found = frozenset(method_path(rpc) for rpc in service.methods if withholds(rpc))
        if found and len(found) == len(service.methods):
            self._withheld.add(service.full_name)
        return found

    def _check_new(self, name: str) -> None:
        if name in self._handlers:
            raise ConfigError(f"{name} is registered twice")

    def _service(self, name: str) -> ServiceDescriptor | None:
        try:
            return self.pool.FindServiceByName(name)
        except KeyError:
            return None

    def _add_methods(
        self, service: ServiceDescriptor, handler: Any, hosts: Sequence[str] = ()
    ) -> dict[str, type[Message]]:
        """Add a service's routes and methods; return what each of them replies, by path."""
        self._add_routes(service, hosts)
        replies = {method_path(rpc): GetMessageClass(rpc.output_type) for rpc in service.methods}
        for path, reply in replies.items():
            found: Handler | None = handler.service(HandlerDetails(path))
            if found is not None:
                self._local.add(path, found, reply)
        return replies

    def _add_routes(self, service: ServiceDescriptor, hosts: Sequence[str] = ()) -> None:
        self._transcoder.add(service, hosts)
        if self._calling.validation is not None:
            self._calling.validation.add(service, self._transcoder.routes)
