"""What the story shows, step by step; a module for each noun."""

from __future__ import annotations

from demo.steps import (
    calls,
    cost,
    failures,
    hosts,
    limits,
    logs,
    orders,
    tokens,
    topology,
    transcoding,
    trust,
    versions,
)
from demo.transcript import Step

STEPS: tuple[Step, ...] = (
    transcoding.STEP,
    hosts.STEP,
    tokens.STEP,
    limits.STEP,
    trust.STEP,
    versions.STEP,
    calls.STEP,
    orders.STEP,
    failures.STEP,
    cost.STEP,
    logs.STEP,
    topology.STEP,
)
"""All steps, in their order."""
