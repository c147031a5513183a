"""Observers, as a file says them."""

from __future__ import annotations

from typing import Literal

from transcoder.config.models.model import Model, Nothing, Texts


class AccessLog(Model):
    """See `transcoder.observers.AccessLog`."""

    path: str = "-"
    headers: Texts = []
    queue: int = 10_000


class AuditLog(Model):
    """See `transcoder.observers.AuditLog`."""

    path: str
    when_full: Literal["closed", "spool"] = "closed"
    spool: str | None = None


class Observers(Model):
    """Who is told of calls."""

    access_log: AccessLog | None = None
    audit_log: AuditLog | None = None
    metrics: Nothing | None = None
    traces: Nothing | None = None
