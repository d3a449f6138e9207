"""The data sets that exports are measured on; made once, kept between runs."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from tests.bench.paths import HERE
from tests.bench.postgres import fill
from tests.bench.stack import Stack

FROM, TO = "2026-01-01T00:00:00Z", "2026-05-01T00:00:00Z"
DAYS = 90  # over which messages are spread, evenly
START = datetime(2026, 1, 1, tzinfo=UTC)
WIDE_ORG = "org_bench_wide"
WIDE_CONVERSATIONS, WIDE_MESSAGES, WIDE_BYTES = 40, 20, 250_000  # 5 MB of text a conversation


@dataclass(frozen=True)
class MessageSet:
    """An organisation whose messages are spread evenly over DAYS from FROM."""

    org_id: str
    rows: int

    def span(self, first: int, count: int) -> tuple[str, str]:
        """A [from, to) that holds about `count` messages, from about the `first` on."""
        seconds = DAYS * 86_400 / self.rows
        start = 3600 + 20 + first * seconds
        return _instant(start), _instant(start + count * seconds)


def _instant(seconds: float) -> str:
    return (START + timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ensure_messages(stack: Stack, rows: int) -> MessageSet:
    """An organisation with that many messages and what belongs to them; made by SQL where it isn't there yet."""
    return _ensure(stack, f"org_bench_{rows}", rows, "data.sql")


def ensure_care(stack: Stack, rows: int) -> MessageSet:
    """The same, with what every dataset is worked out from: events, locks, presences, bots, topics, attributes."""
    return _ensure(stack, f"org_bench_care_{rows}", rows, "data.sql", "care.sql")


def _ensure(stack: Stack, org_id: str, rows: int, *scripts: str) -> MessageSet:
    stack.api_key(org_id)
    if not stack.sql("SELECT 1 FROM ingest.messages WHERE org_id = %s LIMIT 1", org_id):
        for script in scripts:
            fill(stack.database_url, HERE / script, org_id=org_id, rows=rows)
    return MessageSet(org_id, rows)


def ensure_resolved(stack: Stack, rows: int) -> MessageSet:
    """An organisation with that many conversations, all of them resolved; made by SQL where it isn't there yet."""
    return _ensure(stack, f"org_bench_resolved_{rows}", rows, "resolved.sql")


def ensure_wide(stack: Stack) -> int:
    """An organisation whose conversations hold about 5 MB of text each; returns how many there are."""
    stack.api_key(WIDE_ORG)
    if not stack.sql("SELECT 1 FROM ingest.messages WHERE org_id = %s LIMIT 1", WIDE_ORG):
        sizes = {"conversations": WIDE_CONVERSATIONS, "messages": WIDE_MESSAGES, "bytes": WIDE_BYTES}
        fill(stack.database_url, HERE / "wide.sql", org_id=WIDE_ORG, **sizes)
    return WIDE_CONVERSATIONS
