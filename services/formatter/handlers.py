"""One chunk in, one part a format out, one event. No inbox: part names and bytes are fixed by the plan, so doing it again changes nothing."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from pydantic import ValidationError

from services.formatter.metrics import BYTES, FAILED, ROWS, SECONDS
from shared.codec import decode, encode
from shared.consumer import Incoming
from shared.datasets.deleted import PREFIX
from shared.datasets.plan import PlanSpec
from shared.errors import PermanentError, TransientError
from shared.formatting.engine import FormatEngine, PartResult
from shared.messages import ChunkFailed, ChunkFormatted, FormatChunk, Message, Part
from shared.outbox import internal_headers
from shared.storage import ObjectSink, ObjectStore
from shared.topics import EXPORT_PARTS

log = structlog.get_logger()
# What the plan and the code can't help: the export fails with the reason, and the chunk is no dead letter.
NOT_THE_MESSAGES = (
    "store_full",
    "store_refused",
    "too_large",
    "cell_too_long",
    "too_many_columns",
    "no_pseudonym_secret",
    "report_failed",
    "logo_unreadable",
)


class ChunkHandler:
    """Formats the chunks of one lane. `wanted` says whether an export still runs: the chunks of an ended one are dropped."""

    def __init__(
        self, lane: str, engine: FormatEngine, store: ObjectStore, producer: AIOKafkaProducer, threads: Executor,
        wanted: Callable[[str, str], Awaitable[bool]],
    ) -> None:  # fmt: skip
        self._lane, self._engine, self._store, self._producer, self._threads, self._wanted = lane, engine, store, producer, threads, wanted

    async def __call__(self, message: Incoming) -> None:
        chunk = decode(message.value)
        if not isinstance(chunk, FormatChunk):
            raise PermanentError("undecodable", f"{type(chunk).__name__} does not belong here.")
        if not await self._wanted(chunk.org_id, chunk.export_id):
            return
        spec = spec_of(chunk)
        started = time.monotonic()
        try:
            results = await asyncio.get_running_loop().run_in_executor(self._threads, self._format, chunk, spec)
        except PermanentError as error:
            if error.code in NOT_THE_MESSAGES:
                await self._failed(chunk, error)
                return
            raise
        seconds = time.monotonic() - started
        SECONDS.labels(spec.dataset, self._lane).observe(seconds)
        await self._tell(formatted(chunk, results, round(seconds * 1000)), "formatted")

    async def refuse(self, message: Incoming, error: PermanentError) -> None:
        """The chunk is about to become a dead letter: its export fails. Not before the limit of dead letters has let it through."""
        try:
            chunk = decode(message.value)
        except PermanentError:
            return  # whose it is can't be known
        if isinstance(chunk, FormatChunk):
            await self._failed(chunk, error)

    async def _failed(self, chunk: FormatChunk, error: PermanentError) -> None:
        await self._tell(ChunkFailed(chunk.export_id, chunk.org_id, chunk.number, error.code, error.message), "failed")
        FAILED.labels(error.code).inc()

    def _format(self, chunk: FormatChunk, spec: PlanSpec) -> dict[str, PartResult]:
        """Stream the chunk into one object a format. Blocks: runs in a worker thread."""
        sinks: dict[str, ObjectSink] = {}
        try:
            for name, key in chunk.part_keys.items():
                sinks[name] = self._store.create(key)
            results = self._engine.format_chunk(spec, chunk.org_id, chunk.snapshot, chunk.lower, chunk.upper, sinks)
            for sink in sinks.values():
                sink.complete()
        except BaseException:
            for sink in sinks.values():
                sink.abort()
            raise
        for name, result in results.items():
            BYTES.labels(name.removeprefix(PREFIX)).inc(result.bytes)
        ROWS.labels(spec.dataset).inc(next(iter(results.values())).rows if results else 0)
        return results

    async def _tell(self, event: ChunkFormatted | ChunkFailed, what: str) -> None:
        await publish(self._producer, event.export_id, event, f"{event.export_id}/{event.number}/{what}")


def spec_of(chunk: FormatChunk) -> PlanSpec:
    """The chunk's plan. Raises PermanentError `bad_plan`; what is wrong with it stays inside."""
    try:
        return PlanSpec.model_validate_json(chunk.spec)
    except ValidationError as error:
        raise PermanentError("bad_plan", f"The plan can't be read: {error.error_count()} fields are wrong.") from None


def formatted(chunk: FormatChunk, results: dict[str, PartResult], milliseconds: int) -> ChunkFormatted:
    parts = [
        Part(name, chunk.part_keys[name], r.rows, r.bytes, r.sha256, r.first_key, r.last_key, r.crc32, r.note) for name, r in results.items()
    ]  # fmt: skip
    any_ = next(iter(results.values()), None)
    rows = sum(part.rows for part in parts if part.format in (parts[0].format, f"{PREFIX}{parts[0].format}"))
    return ChunkFormatted(
        chunk.export_id, chunk.org_id, chunk.number, rows, parts, milliseconds, dict(any_.redacted) if any_ else {},
        any_.unchanged if any_ else 0,
    )  # fmt: skip


async def publish(producer: AIOKafkaProducer, key: str, event: Message, message_id: str) -> None:
    """Send an event and wait for the broker; its message id is fixed, so that a repeat is seen as one."""
    headers = [(name, value.encode()) for name, value in internal_headers(message_id).items()]
    try:
        await producer.send_and_wait(EXPORT_PARTS, encode(event), key=key.encode(), headers=headers)
    except KafkaError as error:
        raise TransientError(f"Kafka: {type(error).__name__}", "Kafka") from error
