"""open-conversations: one row a conversation that is new or pending."""

from collections.abc import Sequence

from shared.datasets import rules
from shared.datasets.care_conversations import FIGURES, IDENTITY, RESOLVED_AT, CareConversations, resolver
from shared.datasets.plan import Column, CustomProperty

COLUMNS = [*IDENTITY, RESOLVED_AT, *resolver("Resolve"), *FIGURES]


class OpenConversations(CareConversations):
    name = "open-conversations"
    path = "open-conversation"
    description = "Conversations that are new or pending, with their figures so far."
    range_rule = "refused"
    table, alias = "conversations", "c"

    def columns(self, custom_properties: Sequence[CustomProperty] = ()) -> list[Column]:
        return COLUMNS

    def scope(self, snapshot: str) -> list[str]:
        return ["c.status in ('new', 'pending')"]

    def joins(self, snapshot: str) -> dict[str, str]:
        return {"fr": rules.first_resolve("fr", self.conversation, snapshot), **super().joins(snapshot)}


DATASET = OpenConversations()
