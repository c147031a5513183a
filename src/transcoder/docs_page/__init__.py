"""The page for people: one HTML document that loads nothing but the gateway's OpenAPI document."""

from __future__ import annotations

from html import escape
from typing import Final

from transcoder.page_assets import policy, read, style

_SCRIPTS: Final = ("elements.js", "schema.js", "form.js", "call.js", "page.js")


def page(document: str, base: str) -> tuple[bytes, bytes]:
    """Return the page, and the Content-Security-Policy that lets it do its work and no more.

    Args:
        document: where the OpenAPI document is, as the page sees it.
        base: where the API's paths begin, likewise.

    >>> text, policy = page("openapi.json", ".")
    >>> policy.startswith(b"default-src 'none'; script-src 'sha256-")
    True
    """
    script = "".join(read(__name__, name) for name in _SCRIPTS)
    sheet, text = style(__name__, "page.css"), read(__name__, "page.html")
    given = {"DOCUMENT": escape(document), "BASE": escape(base), "STYLE": sheet, "SCRIPT": script}
    for name, value in given.items():
        text = text.replace(f"%{name}%", value)
    return text.encode(), policy(script, sheet).encode()
