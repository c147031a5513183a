"""What belongs to a process rather than to a server: event loop, signals, logging, the end."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging.config
import os
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping
from types import FrameType
from typing import Any

from transcoder.errors import ConfigError

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


def run(
    serving: Coroutine[Any, Any, int],
    on_signal: Callable[[int], object],
    on_end: Callable[[], object] | None = None,
    on_hangup: Callable[[], object] | None = None,
) -> int:
    """Run a server to its end in an event loop, and return its exit code.

    Args:
        serving: what to run.
        on_signal: called with the first SIGTERM or SIGINT. A second one ends the process at once.
        on_end: called before it does.
        on_hangup: called with each SIGHUP, which ends a process without one.
    """
    factory = None
    if sys.platform != "win32":
        import uvloop  # noqa: PLC0415  it is not made for Windows

        factory = uvloop.new_event_loop
    with _handled(on_signal, on_end, on_hangup), asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(serving)


def configure_logging(config: Mapping[str, Any]) -> None:
    """Configure this process's logging; loggers that exist stay enabled unless it says otherwise.

    Args:
        config: as `logging.config.dictConfig` takes it; "version" may be left out.

    Raises:
        ConfigError: it is no such configuration.
    """
    try:
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": False, **config})
    except (ValueError, TypeError, AttributeError, ImportError) as error:
        why = f": {error.__cause__}" if error.__cause__ else ""
        raise ConfigError(f"log_config: {error}{why}") from error


def keep_all() -> None:
    """Take what there is for what stays: no search for garbage walks over it from now on.

    A search of all modules and the configuration, which comes every few thousand calls, was seen to
    hold the event loop for 100 ms. Cycles among what there is are never freed: a configuration that
    is reloaded leaves those of the first one behind, once.
    """
    gc.freeze()


def end_within(seconds: float, code: int) -> None:
    """End this process with that exit code, unless it has ended by then.

    A thread that never returns keeps an interpreter from ending, and a blocked loop anything else.
    """
    timer = threading.Timer(seconds, end, [code])
    timer.daemon = True
    timer.start()


def end(code: int) -> None:
    """End this process at once."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    os._exit(code)


@contextlib.contextmanager
def _handled(
    on_signal: Callable[[int], object],
    on_end: Callable[[], object] | None,
    on_hangup: Callable[[], object] | None,
) -> Iterator[None]:
    received: list[int] = []

    def handle(number: int, _frame: FrameType | None) -> None:
        received.append(number)
        if len(received) > 1:
            if on_end is not None:
                on_end()
            end(128 + number)
        on_signal(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[signal.Signals, Any] = dict.fromkeys(_SIGNALS, handle)
    if on_hangup is not None and sys.platform != "win32":
        handlers[signal.SIGHUP] = lambda *_: on_hangup()
    # Not by the loop: a second signal must get through when something blocks the loop.
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
