"""Alert channels: what an organisation's settings name, what each is sent, when it is tried again, and how floods are kept down."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.clock import instant

# Seconds before each further attempt; after the last one the alert has failed (the notification stays).
RETRY_SECONDS = (30, 120, 600, 3_600)
JITTER = 0.2
SUBJECT = "Waybill"


@dataclass(frozen=True)
class Channel:
    """A channel of the settings. `key` tells it apart without giving its address away; another address is another channel."""

    type: str
    key: str
    url: str = field(default="", repr=False)
    to: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Alert:
    """What is told: the newest notification, and how many there were of its kind about the same thing since the last alert."""

    id: str
    kind: str
    message: str
    subject: Mapping[str, Any]
    at: datetime
    organisation: str
    count: int = 1


def channels_of(setting: str) -> list[Channel]:
    """`setting`: the column alert_channels."""
    found = []
    for each in json.loads(setting):
        digest = hashlib.sha256(json.dumps(each, sort_keys=True).encode()).hexdigest()[:24]
        found.append(Channel(each["type"], digest, each.get("url", ""), tuple(each.get("to", ()))))
    return found


def text_of(alert: Alert) -> str:
    more = f" ({alert.count - 1} more like it since the last alert.)" if alert.count > 1 else ""
    return f"{alert.message}{more}"


def body_of(channel: Channel, alert: Alert) -> bytes:
    """What is posted to a channel of type webhook or slack."""
    content: dict[str, Any]
    if channel.type == "slack":
        content = {"text": f"*{_plain(SUBJECT)}* · {_plain(alert.organisation)}: {_plain(text_of(alert))}"}
    else:
        content = {
            "type": "notification", "id": alert.id, "kind": alert.kind, "message": alert.message, "subject": dict(alert.subject),
            "created_at": instant(alert.at), "count": alert.count, "organisation": alert.organisation,
        }  # fmt: skip
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def _plain(text: str) -> str:
    """As Slack wants it: these three are its mark-up's, and `<!channel>` must not come of a name."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def mail_of(alert: Alert) -> tuple[str, str]:
    """Subject and text of an e-mail."""
    title = alert.kind.replace("_", " ")
    ids = "\n".join(f"{name}: {value}" for name, value in alert.subject.items() if value is not None)
    return f"{SUBJECT}: {title}", f"{text_of(alert)}\n\nOrganisation: {alert.organisation}\nAt: {instant(alert.at)}\n{ids}\n"


def retry_seconds(attempts: int, chance: float, scale: float = 1.0) -> float | None:
    """Seconds to wait after the `attempts`-th attempt has failed; None: it was the last one. `chance` in [0, 1)."""
    if attempts > len(RETRY_SECONDS):
        return None
    return RETRY_SECONDS[attempts - 1] * scale * (1 - JITTER + 2 * JITTER * chance)


def due_at(now: datetime, last_sent: datetime | None, quiet: Any) -> datetime:
    """When an alert may go out: at most one in `quiet` (a timedelta) of a kind about one thing to one channel."""
    return now if last_sent is None else max(now, last_sent + quiet)


def alert_views(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "type": row["type"], "status": row["status"], "attempts": row["attempts"], "count": row["count"],
            "error": {"code": row["error_code"], "message": row["error_message"]} if row["error_code"] else None,
        }
        for row in rows
    ]  # fmt: skip
