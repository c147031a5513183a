"""What a gateway tells of its own API: the OpenAPI document, and a page for people."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import posixpath
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from starlette.types import Scope

from transcoder.asgi import asked_host, header
from transcoder.comments import Comments
from transcoder.errors import NotFound
from transcoder.response import JSON, Payload
from transcoder.route import DOCS, OPENAPI, Route, docs_route, openapi_routes
from transcoder.routing import Router
from transcoder.security import Security
from transcoder.transcoder import Transcoder

if TYPE_CHECKING:
    # Who is never asked for a document need not load what makes it.
    from transcoder.openapi import Serving

_Key: TypeAlias = "tuple[str, bytes, Router[Any] | None]"

YAML: Final = b"application/yaml"
_PLACES: Final = 8
"""Prefixes under which one gateway is mounted, of which the documents are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenApi:
    """How a gateway describes itself.

    Args:
        path: of the document, without its `.json` and `.yaml`; YAML needs the extra `openapi`.
        docs: the path of the page for people; None for none.
        title: of the API; the default is the package of its first service.
        version: of the API; the default is the one that the package's name ends in.
        description: of the API.
        servers: URLs of the API; the default is where the document comes from.
        comments: of the protos; None for those that are kept beside generated code.
        labels: of `google.api` visibility; what is restricted to others is told nowhere.
        security: what clients must show; None for what the gateway's policies say.
    """

    path: str = OPENAPI
    docs: str | None = DOCS
    title: str = ""
    version: str = ""
    description: str = ""
    servers: Sequence[str] = ()
    comments: Comments | None = None
    labels: Collection[str] = frozenset()
    security: Security | None = None


DEFAULT_OPENAPI: Final = OpenApi()


class OwnPages:
    """Answers the requests for the document, made when it is first asked for, and for the page.

    Args:
        transcoder: whose routes are described.
        options: how.
        serving: what the gateway does that clients see: the arguments of `openapi.Serving`.
        security: tells what clients must show, unless an option says so.
    """

    def __init__(
        self,
        transcoder: Transcoder,
        options: OpenApi,
        serving: Mapping[str, Any],
        security: Callable[[], Security],
    ) -> None:
        self._transcoder = transcoder
        self._options = options
        self._serving = dict(serving)
        self._security = security
        # Away from the event loop, and once, however many ask.
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="openapi")
        self._making: dict[_Key, Future[Payload]] = {}
        self._made: dict[_Key, Payload] = {}
        self._hosts: Any = None

    @property
    def routes(self) -> tuple[Route[Any], ...]:
        """The routes, for the transcoder.

        Raises:
            TemplateError: an option is no path.
        """
        options = self._options
        answers = (functools.partial(self._document, kind) for kind in (JSON, YAML))
        found = openapi_routes(options.path, *answers)
        return found if options.docs is None else (*found, docs_route(options.docs, self._docs))

    def document(self, media_type: bytes) -> bytes:
        """Return what an unmounted gateway answers.

        Args:
            media_type: of JSON or of YAML.
        """
        return self._make("", media_type, None).body

    async def _docs(self, scope: Scope) -> Payload:
        return _unless_known(self._page, scope)

    async def _document(self, media_type: bytes, scope: Scope) -> Payload:
        hosts = self._transcoder.compile()
        if hosts is not self._hosts or len(self._making) > 2 * _PLACES:
            self._hosts = hosts
            self._making, self._made = {}, {}
        # What is at other hosts is for those who know them.
        key = scope.get("root_path", ""), media_type, hosts.of(*asked_host(scope))
        made = self._made.get(key)
        if made is None:
            kept = self._made
            made = kept[key] = await self._making_of(key)
        return _unless_known(made, scope)

    async def _making_of(self, key: _Key) -> Payload:
        if key[1] == YAML and find_spec("yaml") is None:
            raise NotFound
        making = self._making.get(key)
        if making is None:
            making = self._making[key] = self._executor.submit(self._make, *key)
        return await asyncio.shield(asyncio.wrap_future(making))

    def _make(self, root: str, media_type: bytes, router: Router[Any] | None) -> Payload:
        from transcoder.openapi import Serving, document, to_json, to_yaml  # noqa: PLC0415  as above

        options = self._options
        serving: Serving = Serving(**self._serving)
        made = document(
            self._transcoder,
            routes=None if router is None else router.routes,
            title=options.title,
            version=options.version,
            description=options.description,
            servers=options.servers or ([root] if root else ()),
            comments=options.comments,
            labels=options.labels,
            serving=serving,
            security=self._security() if options.security is None else options.security,
        )
        return _kept(media_type, (to_yaml if media_type == YAML else to_json)(made))

    @functools.cached_property
    def _page(self) -> Payload:
        from transcoder.docs_page import page  # noqa: PLC0415  as above

        folder = posixpath.dirname(self._options.docs or "")
        document = posixpath.relpath(f"{self._options.path}.json", folder)
        text, policy = page(document, posixpath.relpath("/", folder))
        return _kept(b"text/html; charset=utf-8", text, (b"content-security-policy", policy))


def _kept(media_type: bytes, body: bytes, *headers: tuple[bytes, bytes]) -> Payload:
    """Return an answer that clients may keep, if they ask each time whether it still holds."""
    tag = b'"%s"' % hashlib.sha256(body).hexdigest()[:32].encode()
    # A tuple: the lines of such headers are made once.
    kept = (b"cache-control", b"no-cache"), (b"etag", tag), *headers
    return Payload(200, media_type, body, kept)


def _unless_known(payload: Payload, scope: Scope) -> Payload:
    """Return the answer, or that the client has it (RFC 9110, section 13.1.2)."""
    tags = header(scope["headers"], b"if-none-match")
    if not tags:
        return payload
    known = {tag.strip().removeprefix("W/") for tag in tags.split(",")}
    tag = dict(payload.headers)[b"etag"].decode()
    return Payload(304, b"", b"", payload.headers) if known & {tag, "*"} else payload
