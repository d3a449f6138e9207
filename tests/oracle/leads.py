"""Leads family: leads, and conversations with their messages and events as JSON and as a transcript to read."""

import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from tests.oracle.files import Row
from tests.oracle.state import Entity
from tests.oracle.times import local
from tests.oracle.values import lead_time, seconds
from tests.oracle.view import View, listed, part_of, tags_match
from tests.oracle.words import Story, by_bytes, is_agents, sender_kind, sent_by

BREAKS = re.compile("\r\n|[\r\n\v\f\x85\u2028\u2029]")


def by_creation(story: Story) -> tuple[int, bytes]:
    return story.conversation["created_at"], by_bytes(story.id)


# --- leads


def leads(view: View) -> Iterator[Row]:
    found = [lead for lead in view.state.of["lead"].values() if is_wanted_lead(view, lead)]
    their: dict[str | None, list[Story]] = defaultdict(list)
    if view.format != "csv":
        for story in sorted(view.every_story.known, key=by_creation):
            their[story.conversation["lead_id"]].append(story)
    for lead in sorted(found, key=lambda lead: (lead["created_at"], by_bytes(lead["id"]))):
        agent_email = view.state.get("agent", lead["assigned_to"]).get("email")
        row = {
            **{field: lead[field] for field in ("id", "email", "name", "phone", "company", "status")},
            "score": view.scores.get(lead["id"], 0),
            "source_url": lead["source_url"],
            "created_at": lead_time(lead["created_at"]),
            "last_activity_at": lead_time(lead["last_activity_at"]),
            "tags": lead["tags"],
            "assigned_to": lead["assigned_to"] if agent_email is None else agent_email,
        }
        properties = lead["custom_properties"]
        if view.format == "csv":
            yield row | {f"custom_{name}": (properties or {}).get(name) for name in property_names(view)}
        else:
            yield row | {"custom_properties": properties, "conversations": [summary(story) for story in their[lead["id"]]]}


def property_names(view: View) -> list[str]:
    return [made["name"] for made in view.settings.get("custom_properties") or []]


def summary(story: Story) -> dict[str, Any]:
    return {"id": story.id, "started_at": lead_time(story.conversation["created_at"]), "message_count": len(story.messages)}


def is_wanted_lead(view: View, lead: Entity) -> bool:
    wanted = view.filter
    if wanted.get("ids") is not None:
        return view.one_of("ids", lead["id"])
    score = view.scores.get(lead["id"], 0)
    texts = [lead["name"], lead["email"], lead["company"]]
    texts += [value for value in (lead["custom_properties"] or {}).values() if isinstance(value, str)]
    return (
        view.in_range(lead["created_at"])
        and all(view.one_of(name, lead[name]) for name in ("status", "source", "assigned_to"))
        and (wanted.get("tags") is None or tags_match(wanted["tags"], lambda tag: tag in (lead["tags"] or [])))
        and (wanted.get("score_min") is None or score >= wanted["score_min"])
        and (wanted.get("score_max") is None or score <= wanted["score_max"])
        and view.after_and_before("created_after", "created_before", lead["created_at"])
        and (wanted.get("q") is None or part_of(wanted["q"], texts))
    )


# --- conversations


def wanted_conversations(view: View) -> list[Story]:
    return sorted((story for story in view.every_story.known if is_wanted_conversation(view, story)), key=by_creation)


def is_wanted_conversation(view: View, story: Story) -> bool:
    if view.filter.get("ids") is not None:
        return view.one_of("ids", story.id)
    created = story.conversation["created_at"]
    return (
        view.in_range(created)
        and view.one_of("lead_id", story.conversation["lead_id"])
        and view.after_and_before("started_after", "started_before", created)
        and belongs(view, story)
    )


def belongs(view: View, story: Story) -> bool:
    """The filters that conversations and chats share."""
    wanted = view.filter
    people = {story.conversation["assignee_id"], *(sent_by(message, "agent") for message in story.messages)} - {None}
    teams = {view.team_of_agent(agent) for agent in people} - {None}
    held = set(story.tags) | {view.name("tag", tag) for tag in story.tags}
    return (
        view.one_of("status", story.conversation["status"])
        and view.one_of("channel", story.channel_id)
        and view.one_of("medium", story.channel.get("medium"))
        and (wanted.get("agent_id") is None or not people.isdisjoint(listed(wanted["agent_id"])))
        and (wanted.get("team_id") is None or not teams.isdisjoint(listed(wanted["team_id"])))
        and (wanted.get("tags") is None or tags_match(wanted["tags"], lambda tag: tag in held))
    )


def conversations(view: View) -> Iterator[Row]:
    for story in wanted_conversations(view):
        conversation = story.conversation
        start, end = conversation["created_at"], conversation["ended_at"]
        yield {
            "conversation_id": story.id,
            "lead_id": conversation["lead_id"],
            "lead_email": view.state.get("lead", conversation["lead_id"]).get("email"),
            "started_at": lead_time(start),
            "ended_at": lead_time(end),
            "duration_seconds": None if end is None else seconds(end - start),
            "message_count": len(story.messages),
            "qualification_triggered": conversation["qualification_triggered"],
            "meeting_booked": conversation["meeting_booked"],
            "messages": [
                {"sender": sender_kind(m), "content": m["content"], "timestamp": lead_time(m["created_at"])} for m in story.messages
            ],
            "events": [event_object(event) for event in story.events],
        }


def event_object(event: Entity) -> dict[str, Any]:
    """Its own type and timestamp win."""
    own = {"type": event["kind"], "timestamp": lead_time(event["at"])}
    return own | {key: value for key, value in (event["data"] or {}).items() if key not in own}


# --- conversations' other sheets


def message_rows(view: View) -> Iterator[Row]:
    for story in wanted_conversations(view):
        for m in story.messages:
            yield {
                "conversation_id": story.id,
                "sender": sender_kind(m),
                "content": m["content"],
                "timestamp": lead_time(m["created_at"]),
            }


def event_rows(view: View) -> Iterator[Row]:
    for story in wanted_conversations(view):
        for event in story.events:
            yield {"conversation_id": story.id, "type": event["kind"], "timestamp": lead_time(event["at"]), "data": event["data"]}


# --- transcripts


def transcripts(view: View) -> bytes:
    return "\n".join(transcript(view, story) for story in wanted_conversations(view)).encode()


def transcript(view: View, story: Story) -> str:
    person = person_name(view, story)
    day = f"{local(story.conversation['created_at'], view.timezone):%Y-%m-%d}"
    lines = [f"Conversation {story.id} · {person or 'Visitor'} · {day} ({view.timezone})"]
    for message in story.messages:
        clock = local(message["created_at"], view.timezone)
        lines.append(f"[{clock:%I:%M} {'AM' if clock.hour < 12 else 'PM'}] {who(view, message, person)}: {message['content'] or ''}")
    return "".join(BREAKS.sub("\n  ", line) + "\n" for line in lines)


def person_name(view: View, story: Story) -> str | None:
    """The lead's or contact's name; an empty one counts as none."""
    return view.name("lead", story.conversation["lead_id"]) or story.contact.get("name") or None


def who(view: View, message: Entity, person: str | None) -> str:
    kind, sender = sender_kind(message), message["sender"] or {}
    if sender.get("name"):
        return str(sender["name"])
    if kind == "visitor":
        return person.split()[0] if person and person.split() else "Visitor"
    if is_agents(message):
        return view.name("agent", sender.get("id")) or "Agent"
    if kind in ("ai", "bot"):
        return view.name("bot", sender.get("id")) or view.settings.get("name") or ""
    return "System"


DATASETS = {"leads": leads, "conversations": conversations}
