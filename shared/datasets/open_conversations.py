"""open-conversations: one row a conversation that is new or pending."""

from shared.datasets import rules
from shared.datasets.care_conversations import FIGURES, IDENTITY, RESOLVED_AT, CareConversations, resolver

COLUMNS = [*IDENTITY, RESOLVED_AT, *resolver("Resolve"), *FIGURES]


class OpenConversations(CareConversations):
    name = "open-conversations"
    path = "open-conversation"
    description = "Conversations that are new or pending, with their figures so far."
    fixed_columns = COLUMNS
    range_rule = "refused"
    table, alias = "conversations", "c"

    def scope(self, snapshot: str) -> list[str]:
        return ["c.status in ('new', 'pending')"]

    def joins(self, snapshot: str) -> dict[str, str]:
        return {"fr": rules.first_resolve("fr", self.conversation, snapshot), **super().joins(snapshot)}


DATASET = OpenConversations()
