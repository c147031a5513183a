"""Claims of a verified token as metadata for servicers.

    claim                     key            value
    text                      x-name         the text, of printable ASCII
    number, true, false       x-name         as JSON has it
    list of these             x-name         joined by commas; no text in it may have one
    text                      x-name-bin     its bytes in UTF-8
    anything else             x-name-bin     its JSON

A claim that is not there, or is null, is not told. A token with a claim that cannot be told so is
refused: a servicer that is told less than it was promised might take the caller for somebody else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final, TypeAlias

from transcoder.errors import ConfigError
from transcoder.metadata import (
    METADATA_LIMIT,
    OF_THE_BODY,
    OF_THE_CONNECTION,
    Metadatum,
    is_key,
    is_text,
)
from transcoder.policies.bearer import BadToken
from transcoder.policies.requirement import ClaimPath, claim_at

Forward: TypeAlias = "Mapping[str, str] | Mapping[ClaimPath, str]"
"""Metadata keys by claim."""

_new = tuple.__new__
_RESERVED = OF_THE_BODY | OF_THE_CONNECTION | {"authorization"}


class ToldClaims:
    """Tells claims; compiled once.

    Args:
        forward: metadata keys by claim.

    Raises:
        ConfigError: a key is none, or stands for two claims.

    >>> told = ToldClaims({"sub": "x-user-id", "groups": "x-groups"})
    >>> told({"sub": "ann", "groups": ["a", "b"], "exp": 1})
    (Metadatum(key='x-user-id', value='ann'), Metadatum(key='x-groups', value='a,b'))
    """

    def __init__(self, forward: Forward) -> None:
        self._forward: tuple[tuple[ClaimPath, str], ...] = tuple(forward.items())
        self.keys: Final = frozenset(forward.values())
        """The metadata keys."""
        for key in self.keys:
            if not is_key(key) or key != key.lower() or key in _RESERVED or key[:5] == "grpc-":
                raise ConfigError(f"forward: {key!r} is no metadata key that may be written")
        if len(self.keys) != len(forward):
            raise ConfigError("forward: a metadata key stands for two claims")

    def __call__(self, claims: Mapping[str, Any]) -> tuple[Metadatum, ...]:
        """Return the metadata that tell the claims.

        Raises:
            BadToken: one of them cannot be told.
        """
        told = []
        size = 0
        try:
            for path, key in self._forward:
                claim = claim_at(claims, path)
                if claim is not None:
                    value = _value(key, claim)
                    told.append(_new(Metadatum, (key, value)))
                    size += len(key) + len(value)
        except ValueError as error:
            raise BadToken("untellable") from error
        if size > METADATA_LIMIT:
            raise BadToken("untellable")
        return tuple(told)


def _value(key: str, claim: Any) -> str | bytes:
    if key.endswith("-bin"):
        text = claim if isinstance(claim, str) else json.dumps(claim, ensure_ascii=False)
        return text.encode()
    return ",".join(map(_item, claim)) if isinstance(claim, list) else _text(claim)


def _item(claim: Any) -> str:
    text = _text(claim)
    if "," in text:
        raise ValueError("a text of a list has a comma")
    return text


def _text(claim: Any) -> str:
    if isinstance(claim, str):
        if not is_text(claim):
            raise ValueError("a text is not printable ASCII")
        return claim
    if isinstance(claim, bool | int | float):
        return json.dumps(claim)
    raise ValueError("an object or a list inside another")
