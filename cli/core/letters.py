"""A dead letter: the original message, and why it lies here."""

import base64
from dataclasses import dataclass
from typing import Any

SUFFIX = "-dlq"
ERROR_HEADERS = ("error-code", "error-message", "error-field", "original-topic", "original-partition", "original-offset")

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True)
class Letter:
    """A message of a dead-letter topic. `reason` holds the error headers, `headers` the original ones."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    reason: dict[str, str]

    @property
    def target(self) -> str:
        """The topic that it came from; the name without `-dlq` where no header says so."""
        return self.reason.get("original-topic") or self.topic.removesuffix(SUFFIX)

    @property
    def target_partition(self) -> int | None:
        """Where a message without a key came from; a key finds its partition by itself."""
        text = self.reason.get("original-partition", "")
        return int(text) if self.key is None and text.isdecimal() else None

    def document(self, bytes_max: int | None = None) -> dict[str, Any]:
        return {
            "topic": self.topic, "partition": self.partition, "offset": self.offset, "timestamp_ms": self.timestamp_ms,
            **{name.replace("-", "_"): self.reason.get(name) for name in ERROR_HEADERS},
            "key": shown(self.key, bytes_max), "headers": [[name, shown(value, bytes_max)] for name, value in self.headers],
            "value": shown(self.value, bytes_max),
            "value_base64": base64.b64encode(self.value).decode() if self.value is not None else None,
        }  # fmt: skip


def letter_of(record: Any) -> Letter:
    """A consumer's record as a Letter. The last header of each error name is the dead letter's own; one before it was the sender's."""
    headers = [(name, value) for name, value in record.headers]
    reason: dict[str, str] = {}
    for index in range(len(headers) - 1, -1, -1):
        name, value = headers[index]
        if name in ERROR_HEADERS and name not in reason:
            reason[name] = (value or b"").decode("utf-8", "replace")
            del headers[index]
    return Letter(record.topic, record.partition, record.offset, record.timestamp, record.key, record.value, tuple(headers), reason)


def shown(data: bytes | None, bytes_max: int | None = None) -> str | None:
    """Bytes as text where they are UTF-8 without control characters, else as hex; cut at `bytes_max`, saying so."""
    if data is None:
        return None
    cut = data[:bytes_max] if bytes_max is not None else data
    more = f"… ({len(data)} bytes)" if len(cut) < len(data) else ""
    # A cut may split a character: up to three bytes less are still the same text.
    for kept in (cut[: len(cut) - less] for less in range(4 if more else 1)):
        if _is_text(kept) and (kept or not data):
            return kept.decode() + more
    return "hex:" + cut.hex() + more


def _is_text(data: bytes) -> bool:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return False
    return all(c >= " " or c in "\t\r\n" for c in text)
