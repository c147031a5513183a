"""What the rules of the proto cannot say of a user; each function yields what is wrong.

No text of the client is repeated in an answer but the first characters of a label's key, which
tell one label from another.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from services.user.refusal import Violation
from services.user.v1.user_service_pb2 import User

AVATAR_LIMIT = 512 << 10
"""Bytes of an avatar."""

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[!-?A-~]+@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_EMAIL_LIMIT = 254
_SIGNATURES = (
    ("image/gif", re.compile(rb"GIF8[79]a")),
    ("image/jpeg", re.compile(rb"\xff\xd8\xff")),
    ("image/png", re.compile(rb"\x89PNG\r\n\x1a\n")),
    ("image/webp", re.compile(rb"RIFF....WEBP", re.DOTALL)),
)


def is_id(text: str) -> bool:
    """Return whether a user could have this id."""
    return _ID.fullmatch(text) is not None


def is_email(text: str) -> bool:
    """Return whether a user could have this email."""
    return len(text) <= _EMAIL_LIMIT and _EMAIL.fullmatch(text) is not None


def check_user(user: User) -> Iterator[Violation]:
    """Check a user as it is going to be stored.

    >>> [violation.field for violation in check_user(User(name="Ann", tags=["a", " "]))]
    ['user.email', 'user.tags[1]']
    """
    for field in ("name", "email"):
        if not getattr(user, field):
            yield Violation(f"user.{field}", "is required")
    for field, text in _texts(user):
        if text.isspace():
            yield Violation(f"user.{field}", "must not be blank")
        elif any(unicodedata.category(character) == "Cc" for character in text):
            yield Violation(f"user.{field}", "must not have control characters")


def image_type(data: bytes) -> str:
    """Return the media type that the first bytes of an image tell; the empty string if none."""
    return next((kind for kind, signature in _SIGNATURES if signature.match(data)), "")


def check_avatar(content_type: str, data: bytes) -> Iterator[Violation]:
    """Check an avatar.

    The type is taken from the data: what is not an image could be a page that runs scripts in the
    browser of whoever looks at it.
    """
    kind = image_type(data)
    claimed = content_type.partition(";")[0].strip().lower()
    if len(data) > AVATAR_LIMIT:
        yield Violation("avatar.data", f"must be at most {AVATAR_LIMIT} bytes")
    elif not kind:
        yield Violation("avatar.data", "must be a GIF, JPEG, PNG or WebP image")
    elif claimed not in {kind, "", "application/octet-stream"}:
        yield Violation("avatar.content_type", f"must be {kind}, as the data is")


def _texts(user: User) -> Iterator[tuple[str, str]]:
    """Yield the texts that people read, each with its place."""
    yield "name", user.name
    for index, tag in enumerate(user.tags):
        yield f"tags[{index}]", tag
    for key, value in sorted(user.labels.items()):
        yield f"labels.{key[:32]}", value
    for name in ("street", "city", "postal_code"):
        yield f"address.{name}", getattr(user.address, name)
    for name in ("service", "handle"):
        yield f"messenger.{name}", getattr(user.messenger, name)
