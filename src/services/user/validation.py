"""What the fields of a user must be; each function yields what is wrong with its part.

No text of the client is repeated in an answer but the first characters of a label's key, which
tell one label from another.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence

from services.user.refusal import Violation
from services.user.v1.user_service_pb2 import User

AVATAR_LIMIT = 512 << 10
"""Bytes of an avatar."""

_ID = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_EMAIL = re.compile(r"[!-?A-~]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63})*")
_EMAIL_LIMIT = 254
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")
_LABEL_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
_REGION = re.compile(r"[A-Z]{2}")
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


def check_id(text: str, field: str) -> Iterator[Violation]:
    """Check an id that a client chose."""
    if not is_id(text):
        problem = "must be lower-case letters, digits and inner hyphens, at most 63"
        yield Violation(field, problem)


def check_user(user: User, prefix: str = "user.") -> Iterator[Violation]:
    """Check the fields that a client writes.

    >>> [violation.field for violation in check_user(User(name="Ann", quota_bytes=-1))]
    ['user.email', 'user.quota_bytes']
    """
    yield from _text(user.name, f"{prefix}name", 200, required=True)
    if not is_email(user.email):
        yield Violation(f"{prefix}email", "must be an email address such as ann@example.com")
    if user.role not in User.Role.values():
        yield Violation(f"{prefix}role", "must be one of " + ", ".join(User.Role.keys()))
    if user.quota_bytes < 0:
        yield Violation(f"{prefix}quota_bytes", "must not be negative")
    yield from _tags(user.tags, f"{prefix}tags")
    yield from _labels(user, f"{prefix}labels")
    yield from _address(user.address, f"{prefix}address.")
    yield from _contact(user, prefix)


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


def _text(text: str, field: str, limit: int, *, required: bool = False) -> Iterator[Violation]:
    if required and not text.strip():
        yield Violation(field, "is required")
    elif len(text) > limit:
        yield Violation(field, f"must be at most {limit} characters")
    elif any(unicodedata.category(character) == "Cc" for character in text):
        yield Violation(field, "must not have control characters")


def _tags(tags: Sequence[str], field: str) -> Iterator[Violation]:
    if len(tags) > 32:
        yield Violation(field, "must be at most 32")
        return
    for index, tag in enumerate(tags):
        yield from _text(tag, f"{field}[{index}]", 64, required=True)
    if len(set(tags)) < len(tags):
        yield Violation(field, "must not repeat")


def _labels(user: User, field: str) -> Iterator[Violation]:
    if len(user.labels) > 64:
        yield Violation(field, "must be at most 64")
        return
    for key, value in sorted(user.labels.items()):
        name = f"{field}[{key[:32]}]"
        if not _LABEL_KEY.fullmatch(key):
            problem = "has a key that is not a lower-case letter and at most 62 of a-z 0-9 _ . -"
            yield Violation(name, problem)
        yield from _text(value, name, 256)


def _address(address: User.Address, prefix: str) -> Iterator[Violation]:
    yield from _text(address.street, f"{prefix}street", 200)
    yield from _text(address.city, f"{prefix}city", 100)
    yield from _text(address.postal_code, f"{prefix}postal_code", 20)
    if address.region_code and not _REGION.fullmatch(address.region_code):
        yield Violation(f"{prefix}region_code", "must be two capital letters")


def _contact(user: User, prefix: str) -> Iterator[Violation]:
    match user.WhichOneof("contact"):
        case "phone":
            if not _PHONE.fullmatch(user.phone):
                yield Violation(f"{prefix}phone", "must be a number such as +41446681800")
        case "messenger":
            messenger = user.messenger
            yield from _text(messenger.service, f"{prefix}messenger.service", 64, required=True)
            yield from _text(messenger.handle, f"{prefix}messenger.handle", 64, required=True)
