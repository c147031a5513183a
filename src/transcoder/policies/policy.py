"""What a policy is.

A policy decides about a call at the door, before anything of its request is read: it lets the call
pass, or raises what the client is told instead. The same policy object stands at both doors, HTTP
(with WebSocket) and gRPC, so that there is one decision, one state and one budget; and no call
meets it twice.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import Any, Final, NamedTuple, Protocol, TypeAlias, runtime_checkable

from starlette.types import ASGIApp

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError, Headers, StatusError
from transcoder.path_template import PathTemplate
from transcoder.response import Payload
from transcoder.status import Code

GROUP: Final = "transcoder.policies"
"""The entry points under which installed packages offer policies."""

Methods: TypeAlias = Mapping[str, Sequence[PathTemplate]]
"""All methods by their full names, with the templates of their paths."""


class Stage(enum.IntEnum):
    """Where a policy stands on a call's way in; those of one stage in the order they are given."""

    REQUEST_ID = 10
    """Gives the call its name."""
    ADDRESS = 20
    """Knows only where the call comes from."""
    SIZE = 30
    """Looks at how large a thing comes."""
    CONCURRENCY = 40
    """Keeps away what is too much at once."""
    RATE_BY_ADDRESS = 50
    """Keeps away what comes too often, before anybody computes a signature."""
    CORS = 60
    """Answers browsers that ask whether they may ask."""
    AUTHENTICATION = 70
    """Finds out who calls. Of several policies here, one that knows the caller is enough."""
    AUTHORIZATION = 80
    """Says whether this caller may call this."""
    RATE_BY_IDENTITY = 90
    """Keeps away callers that come too often."""


class Now(NamedTuple):
    """The moment of a decision.

    Args:
        monotonic: for what lasts: limits, breakers, caches. Nobody sets this clock.
        wall: for dates that others wrote, in seconds since 1970.
    """

    monotonic: float
    wall: float


@runtime_checkable
class Policy(Protocol):
    """Decides about calls."""

    @property
    def name(self) -> str:
        """What logs, metrics and overrides call it, as `rate-limit`."""
        ...

    @property
    def stage(self) -> Stage:
        """Where it stands."""
        ...

    def decide(self, call: CallDetails, now: Now) -> Awaitable[None] | None:
        """Let a call pass, or refuse it.

        Args:
            call: what is known of it; a policy may write into it, see `CallDetails`.
            now: the moment.

        Returns:
            Nothing, or what is to be awaited before it is decided.

        Raises:
            StatusError: the call is refused. Anything else is a defect, and refuses it too.
        """
        ...


@runtime_checkable
class Writer(Protocol):
    """A policy that says something to servicers, in metadata."""

    @property
    def writes(self) -> Collection[str]:
        """The keys; whatever a client sends under them is removed, in every spelling."""
        ...


@runtime_checkable
class Authenticator(Protocol):
    """A policy of the stage AUTHENTICATION.

    It sets `call.principal` when it knows the caller, lets a call pass that brings nothing of its
    kind, and refuses one that brings something wrong.
    """

    @property
    def challenge(self) -> str:
        """What `WWW-Authenticate` tells a client that brings nothing (RFC 9110, 11.6.1)."""
        ...

    @property
    def security(self) -> Mapping[str, Mapping[str, Any]]:
        """OpenAPI security schemes by name, any of which is enough; see the OpenAPI 3.1 text."""
        ...


@runtime_checkable
class Resource(Protocol):
    """A policy that holds something open: connections, tasks."""

    async def start(self) -> None:
        """Open it; the application starts."""
        ...

    async def close(self) -> None:
        """Close it; the application stops."""
        ...


@runtime_checkable
class Selective(Protocol):
    """A policy with options that mean some calls only; see `selectors.Choices`."""

    def compile(self, methods: Methods) -> None:
        """Find out which methods they mean; the application starts.

        Raises:
            ConfigError: a selector means nothing, or a method by some of its paths only.
        """
        ...


@runtime_checkable
class Limiting(Protocol):
    """A policy that bounds something, which a server tells when it starts."""

    @property
    def limits(self) -> str:
        """How much, in a few words, as `256 calls at once`."""
        ...


@runtime_checkable
class Check(Protocol):
    """Something without which calls had better go elsewhere; readiness asks for it.

    One with an attribute `vital` that is False tells of what calls can live with.
    """

    @property
    def name(self) -> str:
        """What readiness calls it."""
        ...

    async def check(self) -> str:
        """Return what is amiss, for the operator; empty while all is well."""
        ...


@runtime_checkable
class Checking(Protocol):
    """A policy that holds what readiness is to ask for."""

    @property
    def checks(self) -> Sequence[Check]:
        """What it holds."""
        ...


@dataclass(frozen=True, slots=True)
class Named:
    """A check by what it asks.

    Args:
        name: what readiness calls it.
        ask: returns what is amiss; empty while all is well.
        vital: whether calls had better go elsewhere then.
    """

    name: str
    ask: Callable[[], Awaitable[str]]
    vital: bool = True

    async def check(self) -> str:
        """Return what is amiss; see `Check`."""
        return await self.ask()


@runtime_checkable
class Wrapper(Protocol):
    """A policy that is an ASGI middleware too, around everything that HTTP requests meet.

    Refusals of all policies pass through it; calls of the gRPC port do not.
    """

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Return an application around another; it is asked once, at start."""
        ...


class Answered(Exception):
    """A policy answers a request over HTTP itself, and the call goes no further.

    Args:
        payload: the answer.
    """

    def __init__(self, payload: Payload) -> None:
        super().__init__()
        self.payload = payload


class Denied(StatusError):
    """A policy refuses a call.

    Args:
        code: the gRPC code.
        message: what the client is told.
        reason: why, in a word for logs and metrics, such as `expired`; never a client's value.
        http: the HTTP status; the default is the code's own.
        headers: further HTTP headers of the answer.
    """

    def __init__(
        self,
        code: Code,
        message: str,
        *,
        reason: str,
        http: int | None = None,
        headers: Headers = (),
    ) -> None:
        super().__init__(code, message, http=http, headers=headers)
        self.reason = reason


def load(name: str, **options: Any) -> Policy:
    """Return an installed policy, by the name of its entry point in `transcoder.policies`.

    Args:
        name: of the entry point; it names a callable.
        options: that the callable takes.

    Raises:
        ConfigError: there is none of that name, it cannot be loaded, it does not take the options,
            or what it returns is no policy.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
    if name not in found:
        known = f"installed are {', '.join(sorted(found))}" if found else "none is installed"
        raise ConfigError(f"policies: there is no policy {name!r}: {known}")
    try:
        made = found[name].load()(**options)
    except ConfigError:
        raise
    except Exception as error:
        raise ConfigError(f"policies: {name}: {type(error).__name__}: {error}") from error
    return check_policy(made)


def check_policy(policy: object) -> Policy:
    """Return a policy, if it is one.

    Raises:
        ConfigError: it is none.
    """
    if not isinstance(policy, Policy) or not isinstance(policy.stage, Stage):
        kind = type(policy).__name__
        raise ConfigError(f"policies: {kind} is no policy: name, stage and decide() are expected")
    return policy


def check_texts(option: str, texts: Sequence[str] | Collection[str]) -> None:
    """Refuse one text where several are expected.

    Raises:
        ConfigError: it is one.
    """
    if isinstance(texts, str):
        raise ConfigError(f"{option} {texts!r}: a sequence is expected")
