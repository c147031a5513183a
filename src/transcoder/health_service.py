"""`grpc.health.v1.Health` of the gRPC port, in step with what HTTP tells of the same."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2

from transcoder.generations import Generations
from transcoder.readiness import KEPT, State

_SERVING = health_pb2.HealthCheckResponse.SERVING
_NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN


class HealthService(health.aio.HealthServicer):
    """Answers `Check` from the latest report, and tells who watches when another says otherwise.

    Args:
        generations: of the gateway whose reports are told; its services have a health, beside "",
            which is of all.
    """

    def __init__(self, generations: Generations) -> None:
        super().__init__()
        self._generations = generations
        self._told: set[str] = set()
        self._watchers = 0
        self._looking: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Know the services; none of them is asked about yet."""
        for service in self._services():
            await self._tell(service, _SERVING)

    async def Check(self, request: Any, context: Any) -> Any:  # noqa: N802  the method's name
        """Answer for one service."""
        await self._renew()
        if request.service not in self._services():
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return await super().Check(request, context)

    async def Watch(self, request: Any, context: Any) -> None:  # noqa: N802  as above
        """Tell of one service, now and whenever it changes."""
        await self._renew()
        self._watchers += 1
        if self._looking is None:
            self._looking = asyncio.create_task(self._look())
        try:
            await super().Watch(request, context)
        finally:
            self._watchers -= 1
            if not self._watchers:
                self._looking.cancel()
                self._looking = None

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(KEPT)
            await self._renew()

    async def _renew(self) -> None:
        report = await self._generations.current.readiness.report()
        services = self._services()
        for service in services:
            serves = report.state(service) is not State.NOT_SERVING
            await self._tell(service, _SERVING if serves else _NOT_SERVING)
        for gone in self._told.difference(services):
            await self._tell(gone, _UNKNOWN)

    def _services(self) -> tuple[str, ...]:
        return ("", *self._generations.current.services)

    async def _tell(self, service: str, status: Any) -> None:
        self._told.add(service)
        await self.set(service, status)
