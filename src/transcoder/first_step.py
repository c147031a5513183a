"""Coroutines that are run by hand up to where they first wait.

Most calls never wait. One that is run with `coroutine.send(None)` and ends with StopIteration has
cost nothing but itself; only for the others is it worth to make what a waiting call needs. What
`send` returned is then what the coroutine waits for, which is the running task's to wait for:

    try:
        waits_for = coroutine.send(None)
    except StopIteration as done:
        return done.value
    return await resumed(coroutine, waits_for)

To the coroutine there is no difference to `await coroutine`.
"""

from __future__ import annotations

import types
from collections.abc import Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


@types.coroutine
def resumed(coroutine: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Go on with a coroutine that waits; return what it returns.

    Args:
        coroutine: it was begun by hand.
        waits_for: what it yielded last.
    """
    result: T
    while True:
        try:
            yield waits_for
        except GeneratorExit:
            coroutine.close()
            raise
        except BaseException as error:  # noqa: BLE001  whatever the task throws is the coroutine's
            try:
                waits_for = coroutine.throw(error)
            except StopIteration as done:
                result = done.value
                return result
        else:
            # From its second step on there is nothing in between any more.
            rest: Any = coroutine
            result = yield from rest
            return result
