from __future__ import annotations

import functools
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import grpc
import pytest

from transcoder.upstream.behaviours import Behaviour, Style, behaviour_of, style_of


async def awaited(request: Any, context: Any) -> None:
    pass


async def yielding(request: Any, context: Any) -> AsyncIterator[None]:
    yield


def plain(request: Any, context: Any) -> None:
    pass


def generator(request: Any, context: Any) -> Iterator[None]:
    yield


class Awaited:
    async def __call__(self, request: Any, context: Any) -> None:
        pass

    async def method(self, request: Any, context: Any) -> None:
        pass


class Yielding:
    async def __call__(self, request: Any, context: Any) -> AsyncIterator[None]:
        yield


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (awaited, Style.AWAITED),
        (functools.partial(awaited), Style.AWAITED),
        (Awaited(), Style.AWAITED),
        (functools.partial(functools.partial(Awaited())), Style.AWAITED),
        (Awaited().method, Style.AWAITED),
        (yielding, Style.YIELDING),
        (functools.partial(yielding), Style.YIELDING),
        (Yielding(), Style.YIELDING),
        (plain, Style.PLAIN),
        (generator, Style.PLAIN),
        (functools.partial(plain), Style.PLAIN),
        (len, Style.PLAIN),
    ],
)
def test_style(function: Callable[..., Any], expected: Style) -> None:
    """What grpc.aio would await, or iterate, is told from what it would run on a thread."""
    assert style_of(function) is expected


@pytest.mark.parametrize("takes_stream", [False, True])
@pytest.mark.parametrize("returns_stream", [False, True])
def test_kind(*, takes_stream: bool, returns_stream: bool) -> None:
    """The kind is the handler's."""
    kind = f"{'stream' if takes_stream else 'unary'}_{'stream' if returns_stream else 'unary'}"
    handler = getattr(grpc, f"{kind}_rpc_method_handler")(awaited)

    expected = Behaviour(awaited, Style.AWAITED, takes_stream, returns_stream)
    assert behaviour_of(handler) == expected
