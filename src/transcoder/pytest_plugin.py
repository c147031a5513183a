"""The pytest plugin: fixtures for tests of gateways, there wherever transcoder is installed.

pytest imports this at each start, so what a fixture needs is imported by the fixture.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from transcoder.testing import Client


class MakeClient(Protocol):
    """What the fixture `transcoder_client` is."""

    def __call__(self, app: ASGIApp | str, **options: Any) -> Client:
        """Return a client that is entered; see `transcoder.testing.client`."""
        ...


@pytest.fixture
def transcoder_client() -> Iterator[MakeClient]:
    """Make clients of applications, which run until the test ends."""
    from transcoder.testing import client  # noqa: PLC0415

    with contextlib.ExitStack() as stack:

        def make(app: ASGIApp | str, **options: Any) -> Client:
            return stack.enter_context(client(app, **options))

        yield make
