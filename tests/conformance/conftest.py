from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from wire import Catalogue

if TYPE_CHECKING:
    from tests.conftest import Start


@pytest.fixture(scope="module")
def catalogue(start_shared: Start) -> Iterator[Catalogue]:
    """The server of a route of each shape."""
    catalogue = Catalogue(start_shared("catalogue:create"))
    yield catalogue
    files, threads = catalogue.grown()
    assert files <= 2
    assert threads <= 2
