"""How every service runs: HTTP with health and metrics, Kafka subscribers, loops, and an orderly end on SIGTERM."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
import uvicorn
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from fastapi import FastAPI
from fastapi.responses import JSONResponse, Response
from faststream.kafka import KafkaBroker
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from shared.errors import TransientError

log = structlog.get_logger()
STOP_SECONDS = 8
CHECK_SECONDS = 2
CONNECT_AGAIN_SECONDS = 1

Check = Callable[[], Awaitable[None]]


def create_producer(bootstrap: str, client_id: str) -> AIOKafkaProducer:
    """Acks from all replicas and idempotence: neither is aiokafka's default. Messages up to 2 MiB."""
    return AIOKafkaProducer(
        bootstrap_servers=bootstrap, client_id=client_id, acks="all", enable_idempotence=True, compression_type="lz4",
        max_request_size=2_097_152, request_timeout_ms=10_000,
    )  # fmt: skip


def create_broker(bootstrap: str, client_id: str) -> KafkaBroker:
    """Subscribers only: publishing goes through the outbox's producer."""
    return KafkaBroker(bootstrap, client_id=client_id, acks="all", enable_idempotence=True, logger=None, graceful_timeout=STOP_SECONDS)


@dataclass
class Service:
    """A process: what it serves, consumes and does in the background. Made by the service's app.py."""

    name: str
    http: FastAPI
    address: str  # host:port
    broker: KafkaBroker | None = None
    producer: AIOKafkaProducer | None = None
    loops: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    checks: dict[str, Check] = field(default_factory=dict)  # dependency → raises where it is down
    on_start: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    on_stop: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    _failure: BaseException | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _consuming: bool = False

    def fail(self, error: BaseException) -> None:
        """End the process: a defect that trying again in place can't mend."""
        log.critical("defect_ends_process", kind=type(error).__name__, exc_info=error)
        self._failure = error
        self._stopping.set()


def run(build: Callable[[], Awaitable[Service]]) -> int:
    """Run a service until SIGTERM or a defect; returns the exit code."""
    return asyncio.run(_run(build))


async def _run(build: Callable[[], Awaitable[Service]]) -> int:
    service = await build()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, service._stopping.set)
    _add_health(service)
    server = _server(service)
    tasks = [asyncio.create_task(server.serve(), name="http"), asyncio.create_task(_work(service), name="work")]
    stopping = asyncio.create_task(service._stopping.wait())
    await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception():
            service.fail(task.exception())  # type: ignore[arg-type]
    await _stop(service, server, tasks)
    log.info("stopped", failed=service._failure is not None)
    return 1 if service._failure else 0


def _server(service: Service) -> uvicorn.Server:
    host, _, port = service.address.rpartition(":")
    config = uvicorn.Config(
        service.http, host=host, port=int(port), log_config=None, access_log=False, lifespan="off", timeout_keep_alive=30,
        timeout_graceful_shutdown=3, server_header=False, date_header=True,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    return server


async def _work(service: Service) -> None:
    """Connect (for as long as it takes), then run the loops; returns only by an error."""
    for start in service.on_start:
        await start()
    if service.producer is not None:
        await _connect(service.producer.start, "Kafka")
    loops = [asyncio.create_task(_loop(loop)) for loop in service.loops]
    try:
        if service.broker is not None:
            await _connect(service.broker.start, "Kafka")
        service._consuming = True
        log.info("ready", address=service.address)
        done, _ = await asyncio.wait([*loops, asyncio.create_task(service._stopping.wait())], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in loops:
            task.cancel()
        await asyncio.gather(*loops, return_exceptions=True)


async def _loop(loop: Callable[[], Awaitable[None]]) -> None:
    await loop()


async def _connect(start: Callable[[], Awaitable[None]], dependency: str) -> None:
    while True:
        try:
            return await start()
        except (KafkaError, OSError) as error:
            log.warning("waits_for_dependency", dependency=dependency, reason=type(error).__name__)
            await asyncio.sleep(CONNECT_AGAIN_SECONDS)


async def _stop(service: Service, server: uvicorn.Server, tasks: list[asyncio.Task[None]]) -> None:
    """Take no more work, let what is in hand end (at most STOP_SECONDS), close."""
    server.should_exit = True
    service._stopping.set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            if service.broker is not None:
                await service.broker.stop()
            await asyncio.gather(*tasks, return_exceptions=True)
            if service.producer is not None:
                await service.producer.stop()
            for stop in service.on_stop:
                await stop()
    for task in tasks:
        task.cancel()


def _add_health(service: Service) -> None:
    @service.http.get("/health/live", include_in_schema=False)
    async def live() -> dict[str, str]:
        return {"status": "ok"}

    @service.http.get("/health/ready", include_in_schema=False)
    async def ready() -> JSONResponse:
        down = {
            name: why for name, why in zip(service.checks, await asyncio.gather(*map(_down, service.checks.values())), strict=True) if why
        }
        if not service._consuming and "kafka" not in down:
            down["kafka"] = "not connected yet"
        return JSONResponse({"status": "down" if down else "ok", "down": down}, 503 if down else 200)

    @service.http.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def _down(check: Check) -> str:
    """Why a dependency is down; empty where it answers in time."""
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            await check()
    except TimeoutError:
        return f"no answer within {CHECK_SECONDS} s"
    except Exception as error:
        return str(error) or type(error).__name__
    return ""


def kafka_check(producer: AIOKafkaProducer) -> Check:
    """Kafka answers a metadata request."""

    async def check() -> None:
        try:
            await producer.client.force_metadata_update()
        except KafkaError as error:
            raise TransientError(f"Kafka: {type(error).__name__}", "Kafka") from error

    return check


def in_thread(work: Callable[[], object]) -> Check:
    """A blocking call as a check or a step of start and stop, done in a worker thread."""

    async def step() -> None:
        await asyncio.to_thread(work)

    return step
