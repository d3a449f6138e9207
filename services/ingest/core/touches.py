"""Which changes of records can change a lead's score. They are noted in the statement that writes them (queries.sql, note_touches)."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Touches:
    """Of one record type: `key` is the column that leads to the lead, by the lead's id or by a conversation's; what matters are changes of `columns`, in rows
    that count (`counts`, SQL over the row with the prefix {row})."""

    through: str
    key: str
    columns: tuple[str, ...]
    counts: str = "true"


TOUCHES = {
    "lead": Touches(
        "lead", "id", ("id", "email", "company", "title", "phone", "status", "source", "tags", "custom_properties", "last_intent")
    ),
    "conversation": Touches("lead", "lead_id", ("lead_id", "qualification_triggered", "meeting_booked")),
    "message": Touches("conversation", "conversation_id", ("conversation_id", "sender_kind"), "{row}sender_kind IN ('visitor', 'agent')"),
    "event": Touches("conversation", "conversation_id", ("conversation_id", "at", "kind", "data"), "{row}kind = 'qualification_check'"),
}
