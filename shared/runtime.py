"""How every service runs: HTTP with health and metrics, Kafka subscribers, loops, and an orderly end on SIGTERM."""

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import NoReturn

import structlog
import uvicorn
from aiokafka.errors import KafkaError
from fastapi import FastAPI
from faststream.kafka import KafkaBroker
from faststream.security import BaseSecurity, SASLPlaintext, SASLScram256, SASLScram512
from pydantic import ValidationError

from shared import observability
from shared.brokers import Brokers
from shared.consumer import DeadLetters, Halts
from shared.dead_letter_limit import Limit
from shared.errors import TransientError, WaybillError
from shared.health import Check, Health
from shared.producer import Producer
from shared.reach import why_not
from shared.settings import CommonSettings, explain
from shared.stopping import announce, pause

log = structlog.get_logger()
STOP_SECONDS = 8  # from SIGTERM to the end, at most
DRAIN_SECONDS = 0.7  # /health/live says that it ends, before nobody listens any more: a gateway looks twice in this time
HAND_SECONDS = 5  # for what is in hand: messages, requests, downloads
CONNECT_AGAIN_SECONDS = 1
KNOCK_SECONDS = 0.6  # twice within the time of a check


def create_producer(brokers: Brokers, client_id: str) -> Producer:
    """Acks from all replicas and idempotence: neither is aiokafka's default. Messages up to 2 MiB."""
    return Producer(
        brokers, client_id=client_id, acks="all", enable_idempotence=True, compression_type="lz4",
        max_request_size=2_097_152, request_timeout_ms=10_000,
    )  # fmt: skip


def create_broker(brokers: Brokers, client_id: str) -> KafkaBroker:
    """Subscribers only: publishing goes through the outbox's producer. Topics are made by deploy/, as schemas/topics/ says, never here."""
    return KafkaBroker(
        brokers.addresses, client_id=client_id, acks="all", enable_idempotence=True, logger=None, graceful_timeout=HAND_SECONDS,
        allow_auto_create_topics=False, security=_security(brokers),
    )  # fmt: skip


def _security(brokers: Brokers) -> BaseSecurity:
    """FastStream's word for it."""
    if not brokers.has_sasl:
        return BaseSecurity(brokers.tls, brokers.tls is not None)
    kinds = {"SCRAM-SHA-512": SASLScram512, "SCRAM-SHA-256": SASLScram256, "PLAIN": SASLPlaintext}
    return kinds[brokers.mechanism](brokers.user, brokers.password, brokers.tls, brokers.tls is not None)


@dataclass
class Service:
    """A process: what it serves, consumes and does in the background. Made by the service's app.py."""

    name: str
    http: FastAPI
    address: str  # host:port
    broker: KafkaBroker | None = None
    producer: Producer | None = None
    loops: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    checks: dict[str, Check] = field(default_factory=dict)  # dependency → raises where it is down
    on_start: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    on_stopping: list[Callable[[], Awaitable[None]]] = field(default_factory=list)  # while consumers can still acknowledge
    on_stop: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    halts: Halts = field(default_factory=Halts)
    _failure: BaseException | None = None
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _ending: asyncio.Event = field(default_factory=asyncio.Event)  # waits end: set once no message can be taken any more
    _consuming: bool = False

    def dead_letters(self, settings: CommonSettings, public: bool = False) -> DeadLetters:
        """For one consumer. `public`: of a topic that strangers write to."""
        assert self.producer is not None
        limit = Limit(settings.dead_letters_max, settings.dead_letters_ratio, settings.dead_letters_window_seconds)
        return DeadLetters(self.producer, limit.public() if public else limit, self.halts)

    def fail(self, error: BaseException) -> None:
        """End the process: a defect that trying again in place can't mend."""
        log.critical("defect_ends_process", exc_info=error)
        self._failure = error
        self._stopping.set()


def run(build: Callable[[], Awaitable[Service]]) -> int:
    """Run a service until SIGTERM or a defect; returns the exit code where it can't be started, and ends the process otherwise."""
    try:
        return asyncio.run(_run(build))
    except ValidationError as error:
        print(f"settings: {explain(error)}", file=sys.stderr)
        return 1


async def _run(build: Callable[[], Awaitable[Service]]) -> int:
    try:
        service = await build()
    except ValidationError:
        raise
    except WaybillError as error:
        log.critical("cannot_start", reason=str(error))
        return 1
    except Exception as error:  # settings that name nothing usable; their text may hold a password
        log.critical("cannot_start", exc_info=error)
        return 1
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, service._stopping.set)
    announce(service._ending)
    health = _health(service)
    health.serve(service.http)
    server = _server(service, health)
    tasks = [asyncio.create_task(server.serve(), name="http"), asyncio.create_task(_work(service), name="work")]
    watch = asyncio.create_task(health.watch(), name="health")
    stopping = asyncio.create_task(service._stopping.wait())
    await asyncio.wait([stopping, watch, *tasks], return_when=asyncio.FIRST_COMPLETED)
    for task in [watch, *tasks]:
        if task.done() and not task.cancelled() and task.exception():
            service.fail(task.exception())  # type: ignore[arg-type]
    watch.cancel()
    await _stop(service, server, tasks)
    log.info("stopped", failed=service._failure is not None)
    return _leave(1 if service._failure else 0)


def _leave(code: int) -> NoReturn:
    """End the process. The interpreter's own end would wait for threads in the middle of what can't be interrupted, such as a store that hangs."""
    observability.flush()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _health(service: Service) -> Health:
    def more() -> dict[str, str]:
        return service.halts.down() | ({} if service._consuming else {"kafka": "not connected yet"})

    return Health(service.checks, more, service._stopping.is_set)


def _server(service: Service, health: Health) -> uvicorn.Server:
    host, _, port = service.address.rpartition(":")
    config = uvicorn.Config(
        health.answers_live(service.http), host=host, port=int(port), log_config=None, access_log=False, lifespan="off", timeout_keep_alive=30,
        timeout_graceful_shutdown=HAND_SECONDS, server_header=False, date_header=True,
    )  # fmt: skip
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    return server


async def _work(service: Service) -> None:
    """Connect (for as long as it takes), then run the loops; returns only by an error."""
    for start in service.on_start:
        await start()
    if service.producer is not None:
        service.producer.on_lost = service.fail
        await _connect(service.producer.start, service.producer.brokers)
    loops = [asyncio.create_task(_loop(loop)) for loop in service.loops]
    try:
        if service.broker is not None and service.producer is not None:
            await _connect(service.broker.start, service.producer.brokers)
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


async def _connect(start: Callable[[], Awaitable[None]], brokers: Brokers) -> None:
    while True:
        try:
            return await start()
        except (KafkaError, OSError) as error:
            reason = await why_not(brokers) or type(error).__name__
            log.warning("waits_for_dependency", dependency="Kafka", reason=reason)
            await pause(CONNECT_AGAIN_SECONDS)


async def _stop(service: Service, server: uvicorn.Server, tasks: list[asyncio.Task[None]]) -> None:
    """Take no more work, let what is in hand end (at most STOP_SECONDS), close."""
    service._stopping.set()
    for subscriber in service.broker.subscribers if service.broker is not None else ():
        subscriber.running = False  # before any wait ends: a message that is given back must not be passed over by the next one
    service._ending.set()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_SECONDS):
            await asyncio.gather(_stop_serving(service, server), _stop_consuming(service))
            await asyncio.gather(*tasks, return_exceptions=True)
            if service.producer is not None:
                await service.producer.stop()
            for stop in service.on_stop:
                await stop()
    for task in tasks:
        task.cancel()


async def _stop_serving(service: Service, server: uvicorn.Server) -> None:
    """A defect needs no gentle end: what serves may be broken too."""
    if service._failure is None:
        await asyncio.sleep(DRAIN_SECONDS)
    server.should_exit = True


async def _stop_consuming(service: Service) -> None:
    for stop in service.on_stopping:
        await stop()
    if service.broker is not None:
        await service.broker.stop()


def kafka_check(producer: Producer) -> Check:
    """Kafka answers a metadata request; where it doesn't, a connection of its own finds out why."""

    async def check() -> None:
        asked = asyncio.ensure_future(producer.client.force_metadata_update())  # isn't answered before the producer has connected
        done, _ = await asyncio.wait({asked}, timeout=KNOCK_SECONDS)
        try:
            if done and asked.result():
                return
            if why := await why_not(producer.brokers, KNOCK_SECONDS):
                raise TransientError(f"Kafka: {why}", "Kafka")
            answered = await asked
        except KafkaError as error:
            raise TransientError(f"Kafka: {type(error).__name__}", "Kafka") from error
        if not answered:
            raise TransientError("Kafka: no broker answers", "Kafka")

    return check


def in_thread(work: Callable[[], object]) -> Check:
    """A blocking call as a check or a step of start and stop, done in a worker thread."""

    async def step() -> None:
        await asyncio.to_thread(work)

    return step
