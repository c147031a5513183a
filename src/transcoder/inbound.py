"""HTTP headers to the metadata that a servicer sees.

Which headers pass, and under which names, is the profile's to say, or a matcher's of one's own.
Whoever says it, these hold:

- Headers about the connection or the body's framing, those that `Connection` names (RFC 9110,
  section 7.6.1) and everything of gRPC's own (`grpc-timeout` and its kin) do not pass.
- Headers that name the client's address pass only as `forwarded` tells them.
- The strip list is removed in every spelling that a server may fold together, for what stands
  there is the gateway's own to say.
- What metadata cannot carry is left out; `-bin` headers are base64.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Collection, Iterable
from typing import Final, TypeAlias

from transcoder.errors import InvalidRequest, StatusError
from transcoder.forwarded import NO_PROXIES, Origin, TrustedProxies
from transcoder.header_names import HeaderNames, folded, spelt
from transcoder.metadata import (
    METADATA_LIMIT,
    OF_THE_BODY,
    OF_THE_CONNECTION,
    TIMEOUT_HEADERS,
    Matcher,
    Metadatum,
    RawHeaders,
    from_base64,
    is_key,
    size_of,
)
from transcoder.profile import GOOGLE, MetadataNames, Profile
from transcoder.status import Code

_Names: TypeAlias = "HeaderNames | frozenset[str]"

_new = tuple.__new__

STRIPPED: Final = ("x-internal",)
"""What a client may not say of itself, unless told otherwise."""

STRICT_HEADERS: Final = frozenset(
    {
        "accept-language",
        "authorization",
        "idempotency-key",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-unmodified-since",
        "traceparent",
        "tracestate",
        "user-agent",
        "x-request-id",
    }
)
"""The headers that pass where only listed ones do."""

# As runtime/mux.go of grpc-gateway lists them, from IANA's registry of permanent headers.
_PERMANENT = frozenset(
    {
        "accept",
        "accept-charset",
        "accept-language",
        "accept-ranges",
        "authorization",
        "cache-control",
        "content-type",
        "cookie",
        "date",
        "expect",
        "from",
        "host",
        "if-match",
        "if-modified-since",
        "if-none-match",
        "if-schedule-tag-match",
        "if-unmodified-since",
        "max-forwards",
        "origin",
        "pragma",
        "referer",
        "user-agent",
        "via",
        "warning",
    }
)
_PREFIX = "grpc-metadata-"
_OF_THE_ORIGIN = frozenset({"forwarded", "x-real-ip", "true-client-ip", "x-client-ip"})
_OURS = frozenset({"x-forwarded-for", "x-forwarded-host", "x-forwarded-proto"})
_RESERVED = OF_THE_CONNECTION | OF_THE_BODY | _OURS
_NOT_PASSED_ON = OF_THE_CONNECTION | {
    "content-length",
    "expect",
    *(name.decode() for name in TIMEOUT_HEADERS),
}
_REMEMBERED = 1024
_LONGEST_REMEMBERED = 64
_ORDINARY_CONNECTIONS = frozenset({b"keep-alive", b"close", b"Keep-Alive", b"Close"})


class Inbound:
    r"""How the headers of requests become metadata; compiled once.

    Args:
        profile: says which headers pass, under which names.
        matcher: says it in the profile's place; it is asked once for a name, in lower case.
        strip: names of headers, or how they begin, that only a trusted peer may send, and metadata
            keys that no other header becomes for others; see `HeaderNames`.
        keep: those of them that anybody may send nevertheless.
        proxies: who is believed about the client's address.
        owned: metadata keys that are the gateway's own to say, whoever the peer is.

    >>> Inbound()([(b"x-tenant", b"a"), (b"connection", b"close"), (b"trace-bin", b"AAE=")])
    (Metadatum(key='x-tenant', value='a'), Metadatum(key='trace-bin', value=b'\x00\x01'))
    """

    __slots__ = ("_admits", "_keys", "_match", "_owned", "_passes", "is_own", "proxies", "stripped")

    def __init__(
        self,
        profile: Profile = GOOGLE,
        *,
        matcher: Matcher | None = None,
        strip: Iterable[str] = STRIPPED,
        keep: Iterable[str] = (),
        proxies: TrustedProxies = NO_PROXIES,
        owned: Iterable[str] = (),
    ) -> None:
        self._match = _MATCHERS[profile.request_metadata] if matcher is None else _single(matcher)
        self.is_own = matcher is not None
        """Whether the keys are a matcher's, so that any header may become any metadata."""
        owned = tuple(owned)
        self._owned = HeaderNames(owned)
        self.stripped = HeaderNames(
            (*strip, *owned), [name for name in keep if name not in self._owned]
        )
        """What clients that are no trusted peers cannot say."""
        self.proxies = proxies
        """Who is believed about the client's address."""
        self._keys = functools.lru_cache(_REMEMBERED)(self._keys_of)
        self._passes = functools.lru_cache(_REMEMBERED)(_is_passed_on)
        self._admits = functools.lru_cache(_REMEMBERED)(_is_admitted)

    def check(self, headers: RawHeaders) -> None:
        """Refuse what could not become metadata, before the call.

        Raises:
            InvalidRequest: a binary header is not base64.
            StatusError: 431, the metadata would be over METADATA_LIMIT.
        """
        total = size_of(self(headers))
        if total > METADATA_LIMIT:
            problem = f"the headers make {total} bytes of metadata: {METADATA_LIMIT} are allowed"
            raise StatusError(Code.RESOURCE_EXHAUSTED, problem, http=431)

    def of(
        self,
        headers: RawHeaders,
        peer: tuple[str, int] | None,
        scheme: str,
        *,
        trusted: bool = False,
        said: Iterable[str] | None = None,
    ) -> tuple[Metadatum, ...]:
        """Return the metadata that the headers of one request become.

        Args:
            headers: of the request.
            peer: who is at the other end of the connection.
            scheme: of the connection.
            trusted: whether the peer may send what is on the strip list.
            said: the keys that a trusted peer may not say, because the gateway does; None for all
                that are the gateway's own.
        """
        origin = self.proxies(headers, peer, scheme)
        return (*self(headers, trusted=trusted, said=said), *_of_origin(origin))

    def __call__(
        self, headers: RawHeaders, *, trusted: bool = False, said: Iterable[str] | None = None
    ) -> tuple[Metadatum, ...]:
        """Return the metadata that headers become, without those about the client's address.

        Raises:
            InvalidRequest: a binary header is not base64.
        """
        strip = self._denied(said) if trusted else self.stripped
        named = _named_by_connection(headers)
        pairs = []
        for raw_name, raw_value in headers:
            long = len(raw_name) > _LONGEST_REMEMBERED
            keys = (self._keys_of if long else self._keys)(raw_name, strip)
            if not keys or raw_name in named:
                continue
            value = raw_value.decode("latin-1")
            for key, is_binary in keys:
                if is_binary:
                    pairs += [Metadatum(key, each) for each in _binary(raw_name, value)]
                elif value.isascii() and value.isprintable():
                    # As `is_text` says, and made without the call of Python's that a class costs.
                    pairs.append(_new(Metadatum, (key, value)))
        return tuple(pairs)

    def onward(
        self,
        headers: RawHeaders,
        peer: tuple[str, int] | None,
        scheme: str,
        *,
        trusted: bool = False,
        said: Iterable[str] | None = None,
    ) -> list[tuple[bytes, bytes]]:
        """Return the headers that a request has which is passed on over HTTP.

        Those of the connection and of the body's length are left out, and the client's timeouts:
        whoever passes it on has its own.

        Args:
            headers: of the request, names in lower case.
            peer: who is at the other end of the connection.
            scheme: of the connection.
            trusted: whether the peer may send what is on the strip list.
            said: as `of` has it.
        """
        strip = self._denied(said) if trusted else self.stripped
        named = _named_by_connection(headers)
        passes = self._passes
        kept = []
        for pair in headers:
            name = pair[0]
            passed = (passes if len(name) <= _LONGEST_REMEMBERED else _is_passed_on)(name, strip)
            if passed and name not in named:
                kept.append(pair)
        for key, value in _of_origin(self.proxies(headers, peer, scheme)):
            kept.append((key.encode(), str(value).encode()))
        return kept

    def is_owned(self, name: bytes) -> bool:
        """Say whether a header is the gateway's own to say, in any spelling."""
        return name.decode("latin-1") in self._owned

    def admitted(
        self,
        metadata: Iterable[tuple[str, str | bytes]],
        peer: str | None,
        *,
        trusted: bool = False,
        said: Iterable[str] | None = None,
    ) -> tuple[Metadatum, ...]:
        """Return what of the metadata that a gRPC client sends is its own to say.

        Args:
            metadata: as they came, over gRPC itself.
            peer: the client's address; None for a Unix socket.
            trusted: whether the peer may send what is on the strip list.
            said: as `of` has it.
        """
        denied = self._denied(said) if trusted else self.stripped
        proxied = self.proxies.trusts(peer)
        kept = []
        for key, value in metadata:
            admits = self._admits if len(key) <= _LONGEST_REMEMBERED else _is_admitted
            if admits(key, denied, proxied):
                kept.append(Metadatum(key, value))
        return tuple(kept)

    def _denied(self, said: Iterable[str] | None) -> _Names:
        """Return what not even a trusted peer may say."""
        return self._owned if said is None else frozenset(map(spelt, said))

    def _keys_of(self, raw_name: bytes, strip: _Names) -> tuple[tuple[str, bool], ...]:
        """Return the keys that a header becomes, and whether each is binary."""
        name = raw_name.decode("latin-1").lower()
        keys = [key.lower() for key in self._match(name)]
        if spelt(name) in strip:
            return ()
        return tuple(
            (key, key.endswith("-bin"))
            for key in keys
            if is_key(key)
            and folded(key) not in _RESERVED
            and not key.startswith("grpc-")
            and spelt(key) not in strip
        )


def _is_admitted(key: str, strip: _Names, proxied: bool) -> bool:  # noqa: FBT001  is cached
    return spelt(key) not in strip and (proxied or not _names_the_client(folded(key)))


def _is_passed_on(raw_name: bytes, strip: _Names) -> bool:
    name = folded(raw_name.decode("latin-1"))
    # The next gateway may read metadata out of headers of that prefix.
    stripped = spelt(name) in strip or spelt(name.removeprefix(_PREFIX)) in strip
    return not (_names_the_client(name) or stripped or name in _NOT_PASSED_ON)


def _names_the_client(name: str) -> bool:
    return name in _OF_THE_ORIGIN or name.startswith("x-forwarded-")


def _binary(name: bytes, value: str) -> tuple[bytes, ...]:
    try:
        return from_base64(value)
    except ValueError:
        raise InvalidRequest("the header is not base64", name.decode("latin-1")) from None


def _named_by_connection(headers: RawHeaders) -> Collection[bytes]:
    said = []
    for name, value in headers:
        if name == b"connection" and value not in _ORDINARY_CONNECTIONS:
            said.append(value)
    if not said:
        return ()
    return {token.strip(b" \t").lower() for value in said for token in value.split(b",")}


def _of_origin(origin: Origin) -> list[Metadatum]:
    _, host, proto, chain = origin
    told = []
    if chain:
        told.append(_new(Metadatum, ("x-forwarded-for", ", ".join(chain))))
    if host:
        told.append(_new(Metadatum, ("x-forwarded-host", host)))
    if proto:
        told.append(_new(Metadatum, ("x-forwarded-proto", proto)))
    return told


def _all(name: str) -> tuple[str, ...]:
    return () if _names_the_client(folded(name)) else (name,)


def _without_cookies(name: str) -> tuple[str, ...]:
    return () if name == "cookie" else _all(name)


def _grpc_gateway(name: str) -> tuple[str, ...]:
    if name.startswith(_PREFIX):
        return _all(name.removeprefix(_PREFIX))
    prefixed = (f"grpcgateway-{name}",) if name in _PERMANENT else ()
    return ("authorization", *prefixed) if name == "authorization" else prefixed


def _listed(name: str) -> tuple[str, ...]:
    return (name,) if name in STRICT_HEADERS else ()


def _single(matcher: Matcher) -> Callable[[str], tuple[str, ...]]:
    def match(name: str) -> tuple[str, ...]:
        key = matcher(name)
        return () if key is None else (key,)

    return match


_MATCHERS: dict[MetadataNames, Callable[[str], tuple[str, ...]]] = {
    "all": _all,
    "no-cookies": _without_cookies,
    "prefixed": _grpc_gateway,
    "listed": _listed,
}

to_metadata: Final = Inbound()
"""What headers become where nobody says anything else."""
