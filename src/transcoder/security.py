"""What clients must show, as data: for those who describe it, said by those who check it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

from transcoder.errors import ConfigError
from transcoder.values import suggestion

Requirement: TypeAlias = Mapping[str, Sequence[str]]
"""Scopes by the names of schemes, all of which are needed; empty for who shows nothing."""

PUBLIC: Final[tuple[Requirement, ...]] = ()
"""The requirements of a method that anybody may call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Security:
    """How clients show who they are.

    Args:
        schemes: Security Scheme Objects of OpenAPI, by name.
        requires: what a method needs: one of these is enough.
        methods: what other methods need in place of that, by full name.

    Raises:
        ConfigError: something is required for which there is no scheme.

    >>> Security(
    ...     schemes={"bearer": {"type": "http", "scheme": "bearer"}},
    ...     requires=[{"bearer": []}],
    ...     methods={"shop.v1.Orders.Ping": PUBLIC},
    ... ).of("shop.v1.Orders.Ping")
    ()
    """

    schemes: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    requires: Sequence[Requirement] = PUBLIC
    methods: Mapping[str, Sequence[Requirement]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check the names."""
        for requirement in itertools.chain(self.requires, *self.methods.values()):
            for name in requirement:
                if name not in self.schemes:
                    near = suggestion(name, self.schemes)
                    raise ConfigError(f"security: there is no scheme {name}{near}")

    def of(self, method: str) -> Sequence[Requirement]:
        """Return what a method needs, by its full name: one of these; none for nothing."""
        return self.methods.get(method, self.requires)


NO_SECURITY: Final = Security()
"""Where nobody is asked who they are."""
