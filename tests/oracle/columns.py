"""The columns of every dataset (datasets.yaml) and the formats that this oracle writes of it."""

import re

from tests.oracle.leads import property_names
from tests.oracle.view import View

CARE = {
    "virtual-agents": "Agent ID, Agent Name, Medium, Channel, Channel Display Name, Total Conversations, Handover to Agent, "
    "Handover due to error, Resolved, Total Conversations with Topic, Total Messages Tagged, Total Tags Applied",
    "resolved-conversations": "Conversation ID, Medium, Channel, Channel Display Name, Contact Profile ID, Contact Primary identifier, "
    "Contact Secondary identifier, Created at (Date / Time), Last Status Change Agent ID, Last Status Change Agent Name, "
    "Last Status Change Agent Reference, Last Status Change Team ID, Last Status Change Team Name, Current Status, Resolved By, "
    "Resolve Reason, Resolve Comment, Resolve Trigger, Resolved At (Date / Time), Resolved Agent ID, Resolved Agent Name, "
    "Resolved Agent Reference, Number of Inbound Messages, Number of Outbound Messages, First Response Time (s), Handle Time (s), "
    "No-Reply Time (s), Cherry-Picking Time (s), Resolution Time (s), Topic IDs, Topic Names, Conversation URL, Last Updated, Language, "
    "CSAT Score, CSAT Completed Status, CSAT Follow-up Question, CSAT Follow-up Answer",
    "open-conversations": "Conversation ID, Medium, Channel, Channel Display Name, Contact Profile ID, Contact Primary identifier, "
    "Contact Secondary identifier, Created at (Date / Time), Last Status Change Agent ID, Last Status Change Agent Name, "
    "Last Status Change Agent Reference, Last Status Change Team ID, Last Status Change Team Name, Current Status, Resolved By, "
    "Resolved At (Date / Time), Resolve Agent ID, Resolve Agent Name, Resolved Agent Reference, Number of Inbound Messages, "
    "Number of Outbound Messages, First Response Time (s), Handle Time (s), No-Reply Time (s), Cherry-Picking Time (s), "
    "Resolution Time (s), Topic IDs, Topic Names, Conversation URL, Last Updated, Language",
    "messages": "Message ID, Created at (Date / Time), Conversation ID, Medium, Channel, Channel Display Name, Contact Profile ID, "
    "Contact Primary Identifier, Contact Secondary identifier, Message Type, Origin, Outbound Message Type, Direction, Agent ID, Agent Name, "
    "Agent Reference, Team ID, Team Name, Tag IDs, Tag Names, Content, Conversation URL, Post URL, Last Updated, Deleted at",
    "teams": "Created At, Team ID, Team Name, Resolves With Reply, Resolves without Reply, Avg. First Response Time (s), "
    "Avg. Resolution Time (s), Total Handle Time (s), Total No-Reply Time (s), Total Cherry-Picking Time (s), Avg. Handle Time (s), "
    "Contacts Helped",
    "contacts": "Contact Profile ID, Medium, Primary identifier, Secondary identifier, Created At, Number of Conversations, "
    "Number of Inbound Messages, Number of Outbound Messages, Last Updated",
    "topics": "Topic ID, Topic Name, Total Conversations, Total Current Conversations, Medium, Channel, Channel Display Name",
    "tags": "Tag ID, Tag Name, Total Contacts, Total Messages, Total Current Messages, Medium, Channel, Channel Display Name",
    "user-presence": "User ID, User Name, User Email Address, Type, Away State, From, To, Duration (s)",
    "response-times": "Conversation ID, Medium, Sender Channel, Sender Channel Display Name, Contact Profile ID, Started By, "
    "Handover Reason, From, To, Agent Response Time (s), Replying Agent ID, Replying Agent Name, Replying Agent Reference, "
    "Inbound Message ID, Outbound Message ID, Conversation URL",
    "users": "Created At, User ID, User Name, User Email Address, User Reference, Available Time (s), Away Time (s), Contacts Handled, "
    "Avg. Handle Time (s), Handle Time (s), No-Reply Time (s), Cherry-Picking Time (s), Replies, Resolves With Reply, Resolves No-Reply, "
    "Tags Added",
    "contact-attributes": "Contact Profile ID, Contact Primary Identifier, Contact Secondary Identifier, Attribute ID, Attribute Name, "
    "Attribute Value, Attribute Type",
}
LEADS = "id, email, name, phone, company, status, score, source_url, created_at, last_activity_at, tags, assigned_to"
CONVERSATIONS = (
    "conversation_id, lead_id, lead_email, started_at, ended_at, duration_seconds, message_count, qualification_triggered, "
    "meeting_booked, messages, events"
)
ANALYTICS = (
    "date, total_leads, qualified_leads, conversations, conversion_rate, avg_response_time_ms, engagement_score, widget_engagement_rate"
)

FORMATS: dict[str, tuple[str, ...]] = {
    "leads": ("csv", "json", "jsonl"),
    "conversations": ("json", "jsonl", "txt"),
    "analytics": ("csv", "json"),
    "chat-data": ("json",),
    **dict.fromkeys(CARE, ("csv", "jsonl")),
}


def headers(dataset: str, view: View) -> list[str]:
    """Every column of the dataset, in order."""
    if dataset == "leads":
        own = [f"custom_{name}" for name in property_names(view)] if view.format == "csv" else ["custom_properties", "conversations"]
        return LEADS.split(", ") + own
    return {**CARE, "conversations": CONVERSATIONS, "analytics": ANALYTICS}[dataset].split(", ")


def key(dataset: str, header: str) -> str:
    """A column's key, for requests and JSON."""
    if dataset not in CARE:
        return header
    words = header.lower().replace("(date / time)", "").replace("(s)", "s")
    return re.sub("[^a-z0-9]+", "_", words).strip("_")
