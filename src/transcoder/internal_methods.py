"""The methods that are for other services alone, and that an edge gateway does not serve."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from google.protobuf.descriptor import MethodDescriptor

from transcoder.errors import ConfigError
from transcoder.policies.policy import Methods
from transcoder.policies.selectors import Selectors
from transcoder.visibility import INTERNAL, labels


class InternalMethods:
    """Knows them, by the options of their protos and by name.

    Args:
        names: methods (`pkg.Service.Method`) or services (`pkg.Service.*`), beside those that are
            restricted to INTERNAL by `google.api.method_visibility` or `google.api.api_visibility`.

    Raises:
        ConfigError: one of them is no name.
    """

    def __init__(self, names: Iterable[str] = ()) -> None:
        listed = list(names) if not isinstance(names, str) else names
        for name in listed:
            if name.startswith("/"):
                raise ConfigError(f"internal: {name!r}: a method or a service is expected")
        self._selectors = Selectors("internal", listed)

    def __call__(self, rpc: MethodDescriptor) -> bool:
        """Say whether a method is one."""
        return self.is_internal(
            rpc.full_name, rpc.GetOptions(), rpc.containing_service.GetOptions()
        )

    def is_internal(self, name: str, *options: Any) -> bool:
        """Say it of a method that is known otherwise.

        Args:
            name: its full name.
            options: its own, and its service's.
        """
        return self._selectors.selects(name) or any(INTERNAL in labels(each) for each in options)

    def check(self, methods: Methods) -> None:
        """Check that each of the names means something.

        Raises:
            ConfigError: one of them means nothing.
        """
        self._selectors.check(methods)
