"""What tells operators of calls: who is given to `Gateway(observers=[…])`.

Names are resolved when first used: some need packages that others do without.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

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


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(importlib.import_module(f"transcoder.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
