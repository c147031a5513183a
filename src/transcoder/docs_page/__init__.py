"""The page for people: one HTML document that loads nothing but the gateway's OpenAPI document."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from importlib.resources import files
from typing import Final

_SCRIPTS: Final = ("elements.js", "schema.js", "form.js", "call.js", "page.js")
_POLICY: Final = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def page(document: str, base: str) -> tuple[bytes, bytes]:
    """Return the page, and the Content-Security-Policy that lets it do its work and no more.

    Args:
        document: where the OpenAPI document is, as the page sees it.
        base: where the API's paths begin, likewise.

    >>> text, policy = page("openapi.json", ".")
    >>> policy.startswith(b"default-src 'none'; script-src 'sha256-")
    True
    """
    script, style = "".join(map(_read, _SCRIPTS)), _read("page.css")
    text = _read("page.html")
    given = {"DOCUMENT": escape(document), "BASE": escape(base), "STYLE": style, "SCRIPT": script}
    for name, value in given.items():
        text = text.replace(f"%{name}%", value)
    policy = _POLICY.format(script=_hash(script), style=_hash(style))
    return text.encode(), policy.encode()


def _read(name: str) -> str:
    return files(__name__).joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
