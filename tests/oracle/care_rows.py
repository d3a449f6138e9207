"""Care family, datasets with one thing a row: conversations, messages, responses, presence, attributes."""

from collections.abc import Iterator
from typing import Any

from tests.oracle.files import Row
from tests.oracle.state import Entity
from tests.oracle.values import seconds
from tests.oracle.view import View
from tests.oracle.words import Story, by_bytes, detail, done_by, is_inbound, of_message, sent_by

RESOLVED_BY = {"agent": "Agent", "ai": "Virtual Agent", "bulk": "Bulk Resolve"}


def channel_columns(story: Story, prefix: str = "") -> Row:
    channel = story.channel
    return {
        "Medium": channel.get("medium"),
        f"{prefix}Channel": channel.get("name"),
        f"{prefix}Channel Display Name": channel.get("display_name"),
    }


def conversation_columns(view: View, story: Story) -> Row:
    """The columns that resolved- and open-conversations share, under the headers of resolved-conversations."""
    conversation, resolve = story.conversation, story.first_resolve
    resolver = done_by(resolve, "agent") if resolve else None
    received = sum(map(is_inbound, story.messages))
    locks = story.lock_times()
    response = story.first_response
    return {
        "Conversation ID": story.id,
        **channel_columns(story),
        "Contact Profile ID": story.contact_id,
        "Contact Primary identifier": story.contact.get("primary_identifier"),
        "Contact Secondary identifier": story.contact.get("secondary_identifier"),
        "Created at (Date / Time)": view.time(conversation["created_at"]),
        **last_change_columns(view, story),
        "Current Status": conversation["status"].capitalize(),
        **resolve_columns(view, resolve),
        "Resolved At (Date / Time)": view.time(resolve["at"] if resolve else None),
        "Resolved Agent ID": resolver,
        "Resolved Agent Name": view.name("agent", resolver),
        "Resolved Agent Reference": view.state.get("agent", resolver).get("reference"),
        "Number of Inbound Messages": received,
        "Number of Outbound Messages": len(story.messages) - received,
        "First Response Time (s)": seconds(response[0]) if response else None,
        "Handle Time (s)": seconds(locks["handle"]),
        "No-Reply Time (s)": seconds(locks["no-reply"]),
        "Cherry-Picking Time (s)": seconds(locks["cherry-picking"]),
        "Resolution Time (s)": seconds(story.resolution),
        "Topic IDs": story.topics,
        "Topic Names": view.names("topic", story.topics),
        "Conversation URL": conversation["url"],
        "Last Updated": view.time(conversation["updated_at"]),
        "Language": conversation["language"],
    }


def last_change_columns(view: View, story: Story) -> Row:
    changes = story.status_changes("pending", "resolved")
    last = changes[-1] if changes else None
    agent, team = (done_by(last, "agent"), view.team_of_event(last)) if last else (None, None)
    return {
        "Last Status Change Agent ID": agent,
        "Last Status Change Agent Name": view.name("agent", agent),
        "Last Status Change Agent Reference": view.state.get("agent", agent).get("reference"),
        "Last Status Change Team ID": team,
        "Last Status Change Team Name": view.name("team", team),
    }


def resolve_columns(view: View, resolve: Entity | None) -> Row:
    if resolve is None:
        return dict.fromkeys(("Resolved By", "Resolve Reason", "Resolve Comment", "Resolve Trigger"))
    actor = resolve["actor"] or {}
    return {
        "Resolved By": RESOLVED_BY.get(actor.get("kind", ""), "System"),
        "Resolve Reason": detail(resolve, "reason"),
        "Resolve Comment": detail(resolve, "comment"),
        "Resolve Trigger": detail(resolve, "trigger"),
    }


def resolved_conversations(view: View) -> Iterator[Row]:
    found = [s for s in view.stories if s.known and s.first_resolve and view.in_range(s.first_resolve["at"])]
    for story in sorted(found, key=lambda s: (s.first_resolve["at"], by_bytes(s.id))):  # type: ignore[index]
        csat: dict[str, Any] = story.conversation["csat"] or {}
        yield conversation_columns(view, story) | {
            "CSAT Score": csat.get("score"),
            "CSAT Completed Status": csat.get("completed_status"),
            "CSAT Follow-up Question": csat.get("question"),
            "CSAT Follow-up Answer": csat.get("answer"),
        }


def open_conversations(view: View) -> Iterator[Row]:
    found = [s for s in view.stories if s.known and s.conversation["status"] in ("new", "pending")]
    without = ("Resolve Reason", "Resolve Comment", "Resolve Trigger")
    renamed = {"Resolved Agent ID": "Resolve Agent ID", "Resolved Agent Name": "Resolve Agent Name"}
    for story in sorted(found, key=lambda s: (s.conversation["created_at"], by_bytes(s.id))):
        yield {renamed.get(h, h): cell for h, cell in conversation_columns(view, story).items() if h not in without}


def messages(view: View) -> Iterator[Row]:
    found = [(m, story) for story in view.stories for m in story.messages if view.in_range(m["created_at"])]
    for message, story in sorted(found, key=lambda f: of_message(f[0])):
        agent, team, tags = sent_by(message, "agent"), view.team_of_message(message), story.tags_of(message["id"])
        yield {
            "Message ID": message["id"],
            "Created at (Date / Time)": view.time(message["created_at"]),
            "Conversation ID": story.id,
            **channel_columns(story),
            "Contact Profile ID": story.contact_id,
            "Contact Primary Identifier": story.contact.get("primary_identifier"),
            "Contact Secondary identifier": story.contact.get("secondary_identifier"),
            "Message Type": message["message_type"],
            "Origin": message["origin"],
            "Outbound Message Type": message["outbound_message_type"],
            "Direction": "Inbound" if is_inbound(message) else "Outbound",
            "Agent ID": agent,
            "Agent Name": view.name("agent", agent),
            "Agent Reference": view.state.get("agent", agent).get("reference"),
            "Team ID": team,
            "Team Name": view.name("team", team),
            "Tag IDs": tags,
            "Tag Names": view.names("tag", tags),
            "Content": message["content"],
            "Conversation URL": story.conversation.get("url"),
            "Post URL": message["post_url"],
            "Last Updated": view.time(message["updated_at"]),
            "Deleted at": view.time(message["deleted_at"]),
        }


def response_times(view: View) -> Iterator[Row]:
    found = [(r, story) for story in view.stories for r in story.responses if view.in_range(r.message["created_at"])]
    for response, story in sorted(found, key=lambda f: of_message(f[0].message)):
        queued, message = response.queued, response.message
        agent, since = sent_by(message, "agent"), queued["at"]
        inbound = detail(queued, "message_id")
        if inbound is None:
            last = story.inbound_before(since)
            inbound = last["id"] if last else None
        yield {
            "Conversation ID": story.id,
            **channel_columns(story, "Sender "),
            "Contact Profile ID": story.contact_id,
            "Started By": detail(queued, "started_by"),
            "Handover Reason": detail(queued, "handover_reason"),
            "From": view.time(since),
            "To": view.time(message["created_at"]),
            "Agent Response Time (s)": seconds(message["created_at"] - since),
            "Replying Agent ID": agent,
            "Replying Agent Name": view.name("agent", agent),
            "Replying Agent Reference": view.state.get("agent", agent).get("reference"),
            "Inbound Message ID": inbound,
            "Outbound Message ID": message["id"],
            "Conversation URL": story.conversation.get("url"),
        }


def user_presence(view: View) -> Iterator[Row]:
    start, end = view.range
    assert start is not None
    assert end is not None
    found = [p for p in view.state.of["presence"].values() if p["from"] < end and (p["to"] is None or p["to"] > start)]
    for presence in sorted(found, key=lambda p: (p["from"], by_bytes(p["id"]))):
        agent = view.state.get("agent", presence["agent_id"])
        yield {
            "User ID": presence["agent_id"],
            "User Name": agent.get("name"),
            "User Email Address": agent.get("email"),
            "Type": presence["type"],
            "Away State": presence["away_state"],
            "From": view.time(presence["from"]),
            "To": view.time(presence["to"]),
            "Duration (s)": None if presence["to"] is None else seconds(presence["to"] - presence["from"]),
        }


def contact_attributes(view: View) -> Iterator[Row]:
    found = {s.contact_id for s in view.stories for m in s.messages if is_inbound(m) and view.in_range(m["created_at"])}
    for id in sorted(found & view.state.of["contact"].keys(), key=by_bytes):  # type: ignore[arg-type]
        contact = view.state.get("contact", id)
        for attribute in contact["attributes"] or []:
            yield {
                "Contact Profile ID": id,
                "Contact Primary Identifier": contact["primary_identifier"],
                "Contact Secondary Identifier": contact["secondary_identifier"],
                "Attribute ID": attribute["id"],
                "Attribute Name": attribute["name"],
                "Attribute Value": attribute.get("value"),
                "Attribute Type": attribute.get("type"),
            }


DATASETS = {
    "resolved-conversations": resolved_conversations,
    "open-conversations": open_conversations,
    "messages": messages,
    "response-times": response_times,
    "user-presence": user_presence,
    "contact-attributes": contact_attributes,
}
