"""Care family, datasets of figures: virtual agents, teams, users, contacts, topics and tags."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from fractions import Fraction

from tests.oracle.care_rows import channel_columns
from tests.oracle.files import Row
from tests.oracle.state import Entity
from tests.oracle.times import overlap
from tests.oracle.values import seconds
from tests.oracle.view import View, channel_key
from tests.oracle.words import Story, by_bytes, detail, done_by, is_inbound, sent_by

VIRTUAL_AGENT_FIGURES = (
    "Total Conversations", "Handover to Agent", "Handover due to error", "Resolved", "Total Conversations with Topic",
    "Total Messages Tagged", "Total Tags Applied",
)  # fmt: skip


def average(milliseconds: list[int]) -> int | None:
    """Exact milliseconds averaged, then rounded to seconds once; over nothing empty."""
    return seconds(Fraction(sum(milliseconds), len(milliseconds))) if milliseconds else None


def channel_rows(view: View) -> dict[str | None, Row]:
    """The channel's columns by channel id, from the conversations; None for those without a channel."""
    return {story.channel_id: channel_columns(story) for story in view.stories}


def virtual_agents(view: View) -> Iterator[Row]:
    bots = {id: bot for id, bot in view.state.of["bot"].items() if bot["kind"] == "virtual_agent"}
    figures: dict[tuple[str, str | None], dict[str, set[object]]] = defaultdict(lambda: defaultdict(set))
    for story in view.stories:
        for bot, figure, thing in virtual_agent_acts(view, story):
            if bot in bots:
                figures[bot, story.channel_id][figure].add(thing)
    channels = channel_rows(view)
    for id, channel in sorted(figures, key=lambda key: (by_bytes(key[0]), channel_key(key[1]))):
        counted = figures[id, channel]
        yield {"Agent ID": id, "Agent Name": bots[id]["name"]} | channels[channel] | {f: len(counted[f]) for f in VIRTUAL_AGENT_FIGURES}


def virtual_agent_acts(view: View, story: Story) -> Iterator[tuple[str | None, str, object]]:
    """Each act in range: by whom, the figure that it counts in, and what is counted once there."""
    for message in story.messages:
        if view.in_range(message["created_at"]):
            yield sent_by(message, "ai"), "Total Conversations", story.id
    for event in story.events:
        if not view.in_range(event["at"]):
            continue
        bot, kind = done_by(event, "ai"), event["kind"]
        if kind == "handover":
            yield bot, "Handover to Agent", story.id
            if detail(event, "reason") == "VA_ENCOUNTERED_ERROR":
                yield bot, "Handover due to error", story.id
        elif kind == "status_changed" and detail(event, "to") == "resolved":
            yield bot, "Resolved", story.id
        elif kind == "topic_applied":
            yield bot, "Total Conversations with Topic", event["id"]
        elif kind == "tag_applied":
            yield bot, "Total Tags Applied", event["id"]
            if detail(event, "message_id") is not None:
                yield bot, "Total Messages Tagged", detail(event, "message_id")


class Work:
    """What one team or agent did in the range."""

    def __init__(self) -> None:
        self.messages: list[Entity] = []
        self.contacts: set[str] = set()
        self.with_reply = self.without_reply = self.tags = 0
        self.first_responses: list[int] = []
        self.resolutions: list[int] = []
        self.locks = {"handle": 0, "no-reply": 0, "cherry-picking": 0}
        self.handled: set[str] = set()
        self.locked = False

    @property
    def first_message(self) -> int | None:
        return min((m["created_at"] for m in self.messages), default=None)

    @property
    def average_handle_time(self) -> int | None:
        return seconds(Fraction(self.locks["handle"], len(self.handled))) if self.handled else None

    @property
    def resolves(self) -> int:
        return self.with_reply + self.without_reply


Whose = Callable[[Entity], str | None]


def work(view: View, of_message: Whose, of_event: Whose, of_lock: Whose) -> dict[str, Work]:
    """By id of whom the three functions name as the one a message, event or lock belongs to."""
    done: dict[str | None, Work] = defaultdict(Work)
    for story in view.stories:
        for message in story.messages:
            if view.in_range(message["created_at"]):
                whose = done[of_message(message)]
                whose.messages.append(message)
                if story.contact_id is not None:
                    whose.contacts.add(story.contact_id)
        if story.first_response and view.in_range(story.first_response[1]["created_at"]):
            took, message = story.first_response
            done[of_message(message)].first_responses.append(took)
        resolve_counts(view, story, done, of_event)
        for lock in story.locks:
            kind = story.lock_class(lock)
            if kind and view.in_range(lock["to"]):
                whose = done[of_lock(lock)]
                whose.locked = True
                whose.locks[kind] += lock["to"] - lock["from"]
                if kind == "handle":
                    whose.handled.add(story.id)
        for event in story.events_of("tag_applied"):
            if view.in_range(event["at"]):
                done[of_event(event)].tags += 1
    return {id: whose for id, whose in done.items() if id is not None}


def resolve_counts(view: View, story: Story, done: dict[str | None, Work], of_event: Whose) -> None:
    """Where the first resolve is in range and by an agent."""
    resolve = story.first_resolve
    if resolve is None or not view.in_range(resolve["at"]) or done_by(resolve, "agent") is None:
        return
    whose = done[of_event(resolve)]
    if story.resolved_with_reply:
        whose.with_reply += 1
    else:
        whose.without_reply += 1
    if story.resolution is not None:
        whose.resolutions.append(story.resolution)


def teams(view: View) -> Iterator[Row]:
    done = work(view, view.team_of_message, view.team_of_event, view.team_of_lock)
    for id in sorted((id for id in done if done[id].messages), key=by_bytes):
        team = done[id]
        yield {
            "Created At": view.time(team.first_message),
            "Team ID": id,
            "Team Name": view.name("team", id),
            "Resolves With Reply": team.with_reply,
            "Resolves without Reply": team.without_reply,
            "Avg. First Response Time (s)": average(team.first_responses),
            "Avg. Resolution Time (s)": average(team.resolutions),
            "Total Handle Time (s)": seconds(team.locks["handle"]),
            "Total No-Reply Time (s)": seconds(team.locks["no-reply"]),
            "Total Cherry-Picking Time (s)": seconds(team.locks["cherry-picking"]),
            "Avg. Handle Time (s)": team.average_handle_time,
            "Contacts Helped": len(team.contacts),
        }


def presence_times(view: View) -> dict[str, dict[str, int]]:
    """Milliseconds of the range by agent and type; agents with an interval that overlaps it."""
    start, end = view.range
    assert start is not None
    assert end is not None
    times: dict[str, dict[str, int]] = {}
    for presence in view.state.of["presence"].values():
        if presence["from"] < end and (presence["to"] is None or presence["to"] > start):
            sums = times.setdefault(presence["agent_id"], {"Available": 0, "Away": 0})
            sums[presence["type"]] += overlap(presence["from"], presence["to"], view.range)
    return times


def users(view: View) -> Iterator[Row]:
    done = work(view, lambda m: sent_by(m, "agent"), lambda e: done_by(e, "agent"), lambda lock: lock["agent_id"])
    present = presence_times(view)
    active = {id for id, user in done.items() if user.messages or user.locked or user.resolves or user.tags}
    for id in sorted(active | present.keys(), key=by_bytes):
        user, agent, times = done.get(id, Work()), view.state.get("agent", id), present.get(id, {})
        yield {
            "Created At": view.time(user.first_message),
            "User ID": id,
            "User Name": agent.get("name"),
            "User Email Address": agent.get("email"),
            "User Reference": agent.get("reference"),
            "Available Time (s)": seconds(times.get("Available", 0)),
            "Away Time (s)": seconds(times.get("Away", 0)),
            "Contacts Handled": len(user.contacts),
            "Avg. Handle Time (s)": user.average_handle_time,
            "Handle Time (s)": seconds(user.locks["handle"]),
            "No-Reply Time (s)": seconds(user.locks["no-reply"]),
            "Cherry-Picking Time (s)": seconds(user.locks["cherry-picking"]),
            "Replies": len(user.messages),
            "Resolves With Reply": user.with_reply,
            "Resolves No-Reply": user.without_reply,
            "Tags Added": user.tags,
        }


def contacts(view: View) -> Iterator[Row]:
    found: dict[str, list[tuple[Story, Entity]]] = defaultdict(list)
    for story in view.stories:
        for message in story.messages:
            if story.contact_id is not None and view.in_range(message["created_at"]):
                found[story.contact_id].append((story, message))
    for id in sorted(found, key=by_bytes):
        contact, inbound = view.state.get("contact", id), [m for _, m in found[id] if is_inbound(m)]
        yield {
            "Contact Profile ID": id,
            "Medium": contact.get("medium"),
            "Primary identifier": contact.get("primary_identifier"),
            "Secondary identifier": contact.get("secondary_identifier"),
            "Created At": view.time(min((m["created_at"] for m in inbound), default=None)),
            "Number of Conversations": len({story.id for story, _ in found[id]}),
            "Number of Inbound Messages": len(inbound),
            "Number of Outbound Messages": len(found[id]) - len(inbound),
            "Last Updated": view.time(contact.get("updated_at")),
        }


def topics(view: View) -> Iterator[Row]:
    found: dict[tuple[str, str | None], dict[str, Story]] = defaultdict(dict)
    for story in view.stories:
        for event in story.events_of("topic_applied"):
            if view.in_range(event["at"]):
                found[event["data"]["topic_id"], story.channel_id][story.id] = story
    channels = channel_rows(view)
    for id, channel in sorted(found, key=lambda key: (by_bytes(key[0]), channel_key(key[1]))):
        stories = found[id, channel].values()
        yield {
            "Topic ID": id,
            "Topic Name": view.name("topic", id),
            "Total Conversations": len(stories),
            "Total Current Conversations": sum(id in story.topics for story in stories),
            **channels[channel],
        }


def tags(view: View) -> Iterator[Row]:
    """A message that two conversations name is counted once, and holds the tag where either's events leave it."""
    found: dict[tuple[str, str | None], list[tuple[Story, str]]] = defaultdict(list)
    for story in view.stories:
        for event in story.events_of("tag_applied"):
            message = detail(event, "message_id")
            if message is not None and view.in_range(event["at"]):
                found[event["data"]["tag_id"], story.channel_id].append((story, message))
    channels = channel_rows(view)
    for id, channel in sorted(found, key=lambda key: (by_bytes(key[0]), channel_key(key[1]))):
        tagged = found[id, channel]
        yield {
            "Tag ID": id,
            "Tag Name": view.name("tag", id),
            "Total Contacts": len({story.contact_id for story, _ in tagged} - {None}),
            "Total Messages": len({message for _, message in tagged}),
            "Total Current Messages": len({message for story, message in tagged if id in story.tags_of(message)}),
            **channels[channel],
        }


DATASETS = {
    "virtual-agents": virtual_agents,
    "teams": teams,
    "users": users,
    "contacts": contacts,
    "topics": topics,
    "tags": tags,
}
