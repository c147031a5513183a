"""The access log: one line of JSON for each call, and one for each stream that begins.

For a person at a terminal it is a line that is easy to read. Needs the extra `log`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Final

try:
    from structlog.dev import ConsoleRenderer
except ImportError as error:
    raise ImportError("structlog is missing: install transcoder[log]") from error

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError
from transcoder.measured import Metric, Reading, Readings
from transcoder.observers import log_record
from transcoder.observers.sink import QUEUE, STDOUT, Sink

_FIRST: Final = ("http_method", "path", "method", "http_status", "code", "duration_ms")

_DROPPED: Final = Metric(
    "transcoder_access_log_dropped_lines", "Lines that were not written.", rises=True
)


class AccessLog:
    """Writes the access log.

    Args:
        path: of a file, or `-` for standard output.
        headers: of the request that are told beside the rest, as `["x-tenant"]`.
        queue: lines that wait to be written, at most; beyond it they are dropped and counted.
        human: whether a person reads it; None to ask the terminal.

    Raises:
        ConfigError: a header holds secrets, or the folder of the file is missing.
    """

    def __init__(
        self,
        path: str | Path = STDOUT,
        *,
        headers: Collection[str] = (),
        queue: int = QUEUE,
        human: bool | None = None,
    ) -> None:
        self._headers = log_record.check_headers("access log: headers", headers)
        if not Path(path).parent.is_dir():
            raise ConfigError(f"access log: {path}: there is no folder {Path(path).parent}")
        self._sink: Sink[dict[str, Any]] = Sink(path, self._line, queue)
        self._human = self._sink.is_terminal if human is None else human
        self._console = ConsoleRenderer(colors=self._human, pad_event_to=0, sort_keys=False)
        self._untold = 0

    @property
    def dropped(self) -> int:
        """Lines that were not written: the disk is full, or nobody reads."""
        return self._sink.dropped + self._untold

    def readings(self) -> Readings:
        """Tell how many lines were dropped; see `Measured`."""
        return (Reading(_DROPPED, self.dropped),)

    def began(self, call: CallDetails) -> None:
        """Tell of a stream that begins."""
        if call.streams:
            self._sink.put(log_record.started(call))

    def ended(self, call: CallDetails) -> None:
        """Tell of a call that is over."""
        # A call that waited for the thread would keep all that it holds, and the collector busy.
        try:
            record = log_record.ended(call, self._headers)
        except Exception:  # noqa: BLE001  what policies say of a call is theirs
            self._untold += 1
        else:
            self._sink.put(record)

    async def start(self) -> None:
        """Do nothing: the file is opened with the first line."""

    async def close(self) -> None:
        """Write what waits."""
        self._sink.close()

    def _line(self, record: dict[str, Any]) -> bytes:
        return self._shown(record) if self._human else log_record.line(record)

    def _shown(self, record: Mapping[str, Any]) -> bytes:
        event = {key: record[key] for key in _FIRST if key in record}
        event |= {key: value for key, value in record.items() if key not in {"event", "door"}}
        name = f"{record['door']} {record['event']}"
        told = {"timestamp": event.pop("time"), "event": name, **event}
        text: str = self._console(None, "info", _escaped(told))
        return text.encode() + b"\n"


def _escaped(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record without a character that a terminal would obey."""
    return {
        key: ascii(value)[1:-1] if isinstance(value, str) else value
        for key, value in record.items()
    }
