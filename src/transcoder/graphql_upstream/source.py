"""Where the value of a variable comes from.

source = "path." NAME | "query." NAME | "body" { "." NAME } | "metadata." KEY
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, Self, TypeAlias, cast, get_args

from transcoder.errors import ConfigError
from transcoder.metadata import is_key
from transcoder.values import suggestion

Place: TypeAlias = Literal["path", "query", "body", "metadata"]

_PLACES: Final = get_args(Place)


@dataclass(frozen=True, slots=True)
class Source:
    """A part of a request.

    Args:
        place: where it is.
        name: of it there, with dots between the names of members of the body; empty for all of the
            body.
    """

    place: Place
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return what a text says.

        Raises:
            ConfigError: it is no source.

        >>> Source.parse("body.name")
        Source(place='body', name='name')
        """
        place, dot, name = text.partition(".")
        if place not in _PLACES:
            hint = suggestion(place, _PLACES)
            expected = "path.NAME, query.NAME, body, body.NAME or metadata.KEY"
            raise ConfigError(f"{text!r}: {expected} is expected{hint}")
        if dot + name == "" and place == "body":
            return cls("body")
        if not all(name.split(".")):
            raise ConfigError(f"{text!r}: a name is expected behind {place}")
        if place == "metadata" and (not is_key(name) or name.endswith("-bin")):
            raise ConfigError(f"{text!r}: a key of metadata is expected, in lower case and of text")
        return cls(cast("Place", place), name)

    @property
    def told(self) -> str:
        """What a client calls it."""
        return self.name or self.place
