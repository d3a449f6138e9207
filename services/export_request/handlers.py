"""Kafka: requests in, what formatter and delivery say. Decoding and dispatch only; the effects are in intake.py and tracking.py."""

from services.export_request.intake import Intake
from services.export_request.tracking import Tracker
from services.export_request.wire import request_of
from shared.codec import decode
from shared.consumer import Incoming
from shared.errors import PermanentError
from shared.messages import ChunkFailed, ChunkFormatted, ExportAssembled, ExportPublished, Message, PublishFailed


class Handlers:
    """One method a topic."""

    def __init__(self, intake: Intake, tracker: Tracker) -> None:
        self._intake, self._tracker = intake, tracker

    async def export_requests(self, message: Incoming) -> None:
        await self._intake.over_kafka(message.message_id, request_of(message))

    async def export_parts(self, message: Incoming) -> None:
        match decode(message.value):
            case ChunkFormatted() as event:
                await self._tracker.chunk_formatted(message.message_id, event)
            case ChunkFailed() as event:
                await self._tracker.failed(message.message_id, event)
            case other:
                raise _stray(other)

    async def export_files(self, message: Incoming) -> None:
        match decode(message.value):
            case ExportAssembled() as event:
                await self._tracker.assembled(message.message_id, event)
            case ExportPublished() as event:
                await self._tracker.published(message.message_id, event)
            case PublishFailed() as event:
                await self._tracker.failed(message.message_id, event)
            case other:
                raise _stray(other)


def _stray(message: Message) -> PermanentError:
    return PermanentError("undecodable", f"{type(message).__name__} does not belong on this topic.")
