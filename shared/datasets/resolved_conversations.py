"""resolved-conversations: one row a conversation that was resolved for the first time inside the range."""

from collections.abc import Mapping
from typing import ClassVar

from shared.datasets import rules
from shared.datasets.care import column
from shared.datasets.care_conversations import FIGURES, IDENTITY, RESOLVED_AT, CareConversations, resolver
from shared.datasets.plan import ColumnType
from shared.datasets.sql import found

COLUMNS = [
    *IDENTITY,
    column("Resolve Reason", "Why, as the one who resolved it said"),
    column("Resolve Comment", "What the one who resolved it said"),
    column("Resolve Trigger", "Human Agent, Virtual Agent, Automation or Auto Resolve"),
    RESOLVED_AT,
    *resolver("Resolved"),
    *FIGURES,
    column("CSAT Score", "The contact's score, 1 to 5", kind=ColumnType.int64),
    column("CSAT Completed Status", "How the survey ended"),
    column("CSAT Follow-up Question", "What was asked besides"),
    column("CSAT Follow-up Answer", "What the contact answered", personal=True),
]


class ResolvedConversations(CareConversations):
    """Its rows are the first resolves: the event `fr` is what time and order go by."""

    name = "resolved-conversations"
    path = "resolved-conversation"
    description = "Conversations that were resolved for the first time in a range, with their figures."
    fixed_columns = COLUMNS
    table, alias, time, key = "events", "fr", "at", "conversation_id"
    conversation = "fr.conversation_id"
    fields: ClassVar[Mapping[str, str]] = {
        **CareConversations.fields, "id": "fr.conversation_id",
        "resolve_reason": "fr.data::json ->> 'reason'", "resolve_comment": "fr.data::json ->> 'comment'",
        "resolve_trigger": "fr.data::json ->> 'trigger'",
        "csat_score": "c.csat_score", "csat_completed_status": "c.csat_completed_status",
        "csat_follow_up_question": "c.csat_question", "csat_follow_up_answer": "c.csat_answer",
    }  # fmt: skip

    def scope(self, snapshot: str) -> list[str]:
        # A conversation that isn't known has no row here. The alias makes the join part of every query, planning too.
        return [rules.is_first_resolve("fr", snapshot), "c.id is not null"]

    def joins(self, snapshot: str) -> dict[str, str]:
        return {"c": f"join {found('conversations', 'c', 'c.id = fr.conversation_id', snapshot)}", **super().joins(snapshot)}


DATASET = ResolvedConversations()
