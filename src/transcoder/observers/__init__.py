"""What tells operators of calls: who is given to `Gateway(observers=[…])`.

Names are resolved when first used: some need packages that others do without.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from transcoder.lazy import lazy

if TYPE_CHECKING:
    from transcoder.events import Auditor, Observer
    from transcoder.observers.access_log import AccessLog
    from transcoder.observers.audit_log import AuditLog
    from transcoder.observers.metrics import Metrics
    from transcoder.observers.traces import Traces

_HOME = {
    "AccessLog": "observers.access_log",
    "AuditLog": "observers.audit_log",
    "Auditor": "events",
    "Metrics": "observers.metrics",
    "Observer": "events",
    "Traces": "observers.traces",
}

__all__ = ["AccessLog", "AuditLog", "Auditor", "Metrics", "Observer", "Traces"]

__getattr__ = lazy(__name__, _HOME)


def __dir__() -> list[str]:
    return __all__
