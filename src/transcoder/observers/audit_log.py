"""The audit log: one line of JSON for each decision of a policy, apart from the access log.

It is written before the decision has any effect. Where it cannot be written, the option says what
happens: calls are refused, or what should stand there is spooled to another file and moved over
when that is possible again. Nothing is dropped.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

from transcoder.call_details import CallDetails
from transcoder.errors import ConfigError, StatusError
from transcoder.measured import Metric, Reading, Readings
from transcoder.policies.policy import Denied
from transcoder.status import Code

_log = logging.getLogger(__name__)

_TEXT_LIMIT: Final = 256
_FLAGS: Final = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC

_FAILURES: Final = Metric(
    "transcoder_audit_log_failures", "Decisions that could not be written there.", rises=True
)
_SPOOLED: Final = Metric("transcoder_audit_log_spooled_lines", "Lines that wait in the spool.")


class AuditLog:
    """Writes the audit log.

    A line is written at once, by one system call, so that it is with the operating system when the
    call goes on; it survives the process, and not a power failure.

    Args:
        path: of the file.
        when_full: what becomes of a decision that cannot be written there: `closed` refuses the
            call with UNAVAILABLE; `spool` writes it to the file `spool`, and refuses the call only
            if that cannot be done either.
        spool: the path of that file; best on another disk. The default is `path` with `.spool`.

    Raises:
        ConfigError: the file cannot be opened, or an option is none.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        when_full: Literal["closed", "spool"] = "closed",
        spool: str | Path | None = None,
    ) -> None:
        if when_full not in {"closed", "spool"}:
            raise ConfigError(f"audit log: when_full {when_full!r}: 'closed' or 'spool'")
        self._path = Path(path)
        self._spool = Path(spool) if spool is not None else Path(f"{path}.spool")
        self._spools = when_full == "spool"
        self.spooled = 0
        """Lines that wait in the spool."""
        self.failures = 0
        """Decisions that could not be written where they belong."""
        try:
            os.close(os.open(self._path, _FLAGS, 0o640))
        except OSError as error:
            raise ConfigError(f"audit log: {self._path}: {error.strerror}") from None
        if self._spools and self._spool.is_file():
            self.spooled = self._spool.read_bytes().count(b"\n")

    def readings(self) -> Readings:
        """Tell of decisions that are not where they belong; see `Measured`."""
        return Reading(_FAILURES, self.failures), Reading(_SPOOLED, self.spooled)

    def decided(self, call: CallDetails, policy: str, refusal: StatusError | None) -> None:
        """Write a decision down; see `Auditor`.

        Raises:
            StatusError: UNAVAILABLE, it cannot be written.
        """
        line = _line(call, policy, refusal)
        try:
            self._move_over()
            _append(self._path, line)
        except OSError as error:
            self.failures += 1
            self._elsewhere(line, error)

    def _elsewhere(self, line: bytes, error: OSError) -> None:
        if self._spools:
            try:
                _append(self._spool, line)
            except OSError as second:
                error = second
            else:
                self.spooled += 1
                return
        failed = StatusError(Code.UNAVAILABLE, "the service cannot note its decisions now")
        failed.log = f"the audit log cannot be written: {error.strerror}"
        raise failed

    def _move_over(self) -> None:
        """Write what waits in the spool before anything else, so that the order stays."""
        if not self.spooled:
            return
        _append(self._path, self._spool.read_bytes())
        self._spool.unlink()
        _log.warning("%d decisions that were spooled are in the audit log", self.spooled)
        self.spooled = 0


def _append(path: Path, data: bytes) -> None:
    descriptor = os.open(path, _FLAGS, 0o640)
    try:
        size = os.fstat(descriptor).st_size
        written = 0
        try:
            while written < len(data):
                written += os.write(descriptor, data[written:])
        except OSError:
            if written:
                # Half a line would spoil the next one too.
                with contextlib.suppress(OSError):
                    os.ftruncate(descriptor, size)
            raise
    finally:
        os.close(descriptor)


def _line(call: CallDetails, policy: str, refusal: StatusError | None) -> bytes:
    who = call.principal
    record: dict[str, Any] = {
        "time": _now(),
        "policy": policy,
        "outcome": "allowed" if refusal is None else "refused",
        "reason": refusal.reason if isinstance(refusal, Denied) else "",
        "subject": None if who is None else who.subject[:_TEXT_LIMIT],
        "issuer": None if who is None else who.issuer[:_TEXT_LIMIT] or None,
        "door": call.door,
        "method": call.method or None,
        "resource": call.path[:_TEXT_LIMIT],
        "peer": call.peer or "unix",
        "request_id": call.request_id,
    }
    told = {key: value for key, value in record.items() if value not in {None, ""}}
    return json.dumps(told, separators=(",", ":")).replace("\x7f", "\\u007f").encode() + b"\n"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
