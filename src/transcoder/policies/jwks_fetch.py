"""Gets key sets over HTTP, from where an issuer publishes them.

An issuer may be down, slow, or somebody else: an answer has one MiB and three seconds, it is no
redirect and not compressed, and comes over https with a certificate that holds. What is fetched
is named by the operator, or by the issuer itself, and never by a token.
"""

from __future__ import annotations

import asyncio
import ssl

from transcoder.errors import ConfigError
from transcoder.policies.json_web_token import parsed
from transcoder.policies.jwks import JWKS_LIMIT, Unavailable
from transcoder.policies.published import WELL_KNOWN, Published, discovery_url

try:
    import httpx2
except ImportError as error:
    raise ImportError(f"{error.name} is missing: install transcoder[jwt]") from error

_HEADERS = {"accept": "application/json", "accept-encoding": "identity"}


class HttpFetch:
    """Gets the key set of one issuer.

    Args:
        issuer: what `iss` says.
        published: where its keys are, and how they are reached.

    Raises:
        ConfigError: the issuer is no URL that may be asked, or there are no certificates in `ca`.
    """

    def __init__(self, issuer: str, published: Published) -> None:
        if published.url is None and not published.allows(issuer):
            raise ConfigError(
                f"{issuer!r} is no https URL that could tell where its keys are: give their url"
            )
        self._issuer, self._published = issuer, published
        self._trust = _trust(published)

    async def __call__(self) -> bytes:
        """Return the key set as it came.

        Raises:
            Unavailable: it did not.
        """
        client = httpx2.AsyncClient(
            verify=self._trust,
            trust_env=False,
            follow_redirects=False,
            timeout=None,
            headers=_HEADERS,
        )
        async with client:
            url = self._published.url
            if url is None:
                url = self._keys_of(await self._get(client, discovery_url(self._issuer)))
            return await self._get(client, url)

    def _keys_of(self, told: bytes) -> str:
        try:
            found = parsed(told)
        except ValueError as error:
            raise Unavailable(f"{WELL_KNOWN} is no JSON") from error
        if not isinstance(found, dict) or found.get("issuer") != self._issuer:
            # Section 4.3: else somebody else could vouch for it.
            raise Unavailable(f"{WELL_KNOWN} is of another issuer")
        url = found.get("jwks_uri")
        if not isinstance(url, str) or not self._published.allows(url):
            raise Unavailable(f"{WELL_KNOWN} has no jwks_uri that may be asked")
        return url

    async def _get(self, client: httpx2.AsyncClient, url: str) -> bytes:
        seconds = self._published.timeout
        try:
            async with asyncio.timeout(seconds), client.stream("GET", url) as answer:
                if answer.status_code != 200:
                    raise Unavailable(f"{url} answers {answer.status_code}")
                if answer.headers.get("content-encoding", "identity") != "identity":
                    raise Unavailable(f"{url} answers what is compressed")
                body = bytearray()
                async for part in answer.aiter_raw():
                    body += part
                    if len(body) > JWKS_LIMIT:
                        raise Unavailable(f"{url} answers more than {JWKS_LIMIT} bytes")
                return bytes(body)
        except TimeoutError as error:
            raise Unavailable(f"{url} has not answered within {seconds:g} s") from error
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise Unavailable(f"{url}: {type(error).__name__}") from error


def _trust(published: Published) -> ssl.SSLContext:
    if published.ca is None:
        return httpx2.create_ssl_context(trust_env=False)
    try:
        return ssl.create_default_context(cafile=published.ca)
    except OSError as error:
        raise ConfigError(f"ca {published.ca}: no certificates in PEM are there") from error
