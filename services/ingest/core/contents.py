"""What was said in a conversation, by record type: what is overwritten with nothing once a person is erased. That it was said, and when, stays."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Content:
    """Of one record type: the column that names the conversation, and SQL that empties a row."""

    conversation: str
    emptied: str


CONTENTS = {
    "conversation": Content(
        "id",
        "description = NULL, url = NULL, visitor_id = NULL, csat_question = NULL, csat_answer = NULL, metadata = 'null', parameters = 'null'",
    ),
    "message": Content(
        "conversation_id",
        "content = NULL, post_url = NULL, sender_id = CASE WHEN sender_kind = 'visitor' THEN NULL ELSE sender_id END,"
        " sender_name = CASE WHEN sender_kind IN ('agent', 'ai', 'bot', 'system') THEN sender_name END",
    ),
    "event": Content("conversation_id", "data = '{}', actor_id = CASE WHEN actor_kind = 'visitor' THEN NULL ELSE actor_id END"),
}
