"""Records folded into the newest state, as records.yaml says."""

from collections.abc import Iterable
from typing import Any

from tests.oracle.times import instant
from tests.oracle.values import canonical

Entity = dict[str, Any]  # its id and every field of records.yaml; times in milliseconds, free objects in canonical form

TIMES = {
    "lead": ("first_seen_at", "last_activity_at", "created_at", "updated_at"),
    "contact": ("created_at", "updated_at"),
    "agent": ("created_at",),
    "bot": ("created_at",),
    "tag": ("created_at",),
    "campaign": ("created_at",),
    "conversation": ("created_at", "ended_at", "updated_at"),
    "message": ("created_at", "updated_at", "deleted_at"),
    "event": ("at",),
    "lock": ("from", "to"),
    "presence": ("from", "to"),
    "visit": ("at",),
}
OTHERS = {
    "lead": "email name company title phone status source source_url tags assigned_to custom_properties last_intent",
    "contact": "medium primary_identifier secondary_identifier name email mobile_number member_id lead_id profile attributes",
    "channel": "medium name display_name",
    "agent": "name email reference team_id channel_id account_id username mobile_number role removed default_group_watch"
    " default_direct_chat_watch default_user_chat_watch operator operator_email_reminder",
    "team": "name",
    "bot": "name kind channel_id",
    "topic": "name",
    "tag": "name description channel_id follower_ids",
    "campaign": "type name",
    "conversation": "channel_id contact_id lead_id visitor_id description status language url assignee_id follower_ids campaign_id"
    " support_bot qualification_triggered meeting_booked engagement_score csat metadata parameters",
    "message": "conversation_id sender content message_type origin outbound_message_type post_url",
    "event": "conversation_id kind actor team_id data",
    "lock": "conversation_id agent_id team_id",
    "presence": "agent_id type away_state",
    "visit": "visitor_id url",
}
FREE = {"custom_properties", "profile", "metadata", "parameters", "data"}
DEFAULTS: dict[str, Entity] = {
    "lead": {"status": "new", "source": "import"},
    "agent": {"removed": False},
    "conversation": {"status": "new"},
}
TYPES = tuple(OTHERS)


class State:
    """`of[type][id]`: what is held once every record has come in. `accepted` and `stale` count records as the API's answer does."""

    def __init__(self, records: Iterable[dict[str, Any]]) -> None:
        self.of: dict[str, dict[str, Entity]] = {kind: {} for kind in TYPES}
        self.accepted = self.stale = self.blocked = 0
        self._versions: dict[tuple[str, str], int] = {}
        self._erased: set[tuple[str, str]] = set()
        for record in records:
            self._take(record)

    def get(self, kind: str, id: str | None) -> Entity:
        """The entity; where it isn't known, one whose fields are all empty."""
        return self.of[kind].get(id or "", {}) if id is not None else {}

    def _take(self, record: dict[str, Any]) -> None:
        kind, id, version = record["type"], record["id"], record.get("version")
        key, op = (kind, id), record.get("op") or "upsert"
        if key in self._erased:
            self.blocked += 1
            return
        if op == "erase":
            self._erased.add(key)
        elif version is not None:
            if version <= self._versions.get(key, -1):
                self.stale += 1
                return
            self._versions[key] = version
        self.accepted += 1
        if op == "upsert":
            self.of[kind][id] = entity(kind, id, record["data"])
        else:
            self.of[kind].pop(id, None)


def entity(kind: str, id: str, data: dict[str, Any]) -> Entity:
    """The whole entity: a field left out or null takes its default."""
    made: Entity = {"id": id}
    for field in OTHERS[kind].split():
        value = data.get(field)
        if value is None:
            value = DEFAULTS.get(kind, {}).get(field)
        made[field] = canonical(value) if field in FREE else value
    for field in TIMES.get(kind, ()):
        text = data.get(field)
        made[field] = None if text is None else instant(text)
    return made
