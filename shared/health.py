"""/health/live, /health/ready and /metrics of every service.

Live: the process serves and hasn't been told to end; a gateway routes by it. Ready: every dependency answers and every consumer consumes; it is for people
and alerts, not for routing, since most requests need fewer dependencies than their service has (POST /v1/exports works while Kafka is down).
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.types import ASGIApp, Receive, Scope, Send

from shared import metrics
from shared.errors import WaybillError

CHECK_SECONDS = 1.3
LOOK_SECONDS = 10.0

Check = Callable[[], Awaitable[None]]


class Probe:
    """One dependency's check, run once at a time: a dependency that hangs costs one question, however often it is asked for."""

    def __init__(self, name: str, check: Check) -> None:
        self.name, self._check = name, check
        self._running: asyncio.Task[str] | None = None

    async def down(self) -> str:
        """Why it is down; empty where it answers in time."""
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._ask(), name=f"check {self.name}")
        asked = self._running  # another may be running by the time this one is over
        done, _ = await asyncio.wait({asked}, timeout=CHECK_SECONDS)
        why = asked.result() if done else f"no answer within {CHECK_SECONDS} s"
        metrics.DEPENDENCY_UP.labels(self.name).set(not why)
        return why

    async def _ask(self) -> str:
        try:
            await self._check()
        except WaybillError as error:
            return str(error)
        except Exception as error:
            return type(error).__name__  # a library's words may quote settings
        return ""


class Health:
    """What a service's probes say. `more` adds what only the service knows: consumers that aren't there yet, or have halted."""

    def __init__(self, checks: Mapping[str, Check], more: Callable[[], dict[str, str]], is_stopping: Callable[[], bool]) -> None:
        self._probes = [Probe(name, check) for name, check in checks.items()]
        self._more, self._is_stopping = more, is_stopping

    async def down(self) -> dict[str, str]:
        found = zip(self._probes, await asyncio.gather(*(probe.down() for probe in self._probes)), strict=True)
        down = {probe.name: why for probe, why in found if why}
        return self._more() | down

    async def watch(self) -> None:
        """Keep the metrics of dependencies fresh, whoever asks or doesn't."""
        while True:
            await self.down()
            await asyncio.sleep(LOOK_SECONDS)

    def answers_live(self, app: ASGIApp) -> ASGIApp:
        """`app` behind /health/live, which a gateway asks for three times a second: a whole request each time was a quarter of what an idle service did."""

        async def served(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["path"] != "/health/live" or scope["method"] != "GET":
                return await app(scope, receive, send)
            ending = self._is_stopping()
            return await JSONResponse({"status": "stopping" if ending else "ok"}, 503 if ending else 200)(scope, receive, send)

        return served

    def serve(self, http: FastAPI) -> None:
        @http.get("/health/ready", include_in_schema=False)
        async def ready() -> JSONResponse:
            down = await self.down()
            if self._is_stopping():
                down["process"] = "stopping"
            return JSONResponse({"status": "down" if down else "ok", "down": down}, 503 if down else 200)

        @http.get("/metrics", include_in_schema=False)
        async def exposed() -> Response:
            return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)
