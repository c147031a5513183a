"""What own pages are made of: files of a package, in one document that loads nothing else."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from typing import Final

_POLICY: Final = (
    "default-src 'none'; script-src 'sha256-{script}'; style-src 'sha256-{style}'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action {forms}; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'"
)


def read(package: str, name: str) -> str:
    """Return the text of a file beside a package's code."""
    return files(package).joinpath(name).read_text(encoding="utf-8")


def style(package: str, name: str) -> str:
    """Return a style sheet beside a package's code, behind the colours that all own pages have."""
    return read(__name__, "palette.css") + read(package, name)


def policy(script: str, sheet: str, forms: str = "'none'") -> str:
    """Return the Content-Security-Policy that lets a page do its work and no more.

    Args:
        script: the text of its one script.
        sheet: that of its one style sheet.
        forms: where its forms may go.
    """
    return _POLICY.format(script=_hash(script), style=_hash(sheet), forms=forms)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
