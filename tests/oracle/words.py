"""The words of derivations.md: order, holds, first resolve, lock class, first response, resolution, response."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

from tests.oracle.state import Entity, State


def by_bytes(id: str) -> bytes:
    """Ids compare as bytes (collation C)."""
    return id.encode()


class Place(NamedTuple):
    """Where a thing of a conversation stands in order: by time, then by id; of one time and id, a message before an event."""

    at: int
    id: bytes
    rank: int


def of_message(message: Entity) -> Place:
    return Place(message["created_at"], by_bytes(message["id"]), 0)


def of_event(event: Entity) -> Place:
    return Place(event["at"], by_bytes(event["id"]), 1)


def sender_kind(message: Entity) -> str | None:
    return message["sender"]["kind"] if message["sender"] else None


def is_inbound(message: Entity) -> bool:
    return sender_kind(message) == "visitor"


def is_agents(message: Entity) -> bool:
    return sender_kind(message) == "agent"


def sent_by(message: Entity, kind: str) -> str | None:
    """The id of its sender, where that is of this kind."""
    return message["sender"].get("id") if sender_kind(message) == kind else None


def done_by(event: Entity, kind: str) -> str | None:
    """The id of its actor, where that is of this kind."""
    actor = event["actor"]
    return actor.get("id") if actor and actor["kind"] == kind else None


def detail(event: Entity, key: str) -> str | None:
    """A text of the event's data."""
    return (event["data"] or {}).get(key)


class Held:
    """What is held after applied and removed, in the order of first application, ever."""

    def __init__(self) -> None:
        self._held: dict[str, bool] = {}

    def take(self, id: str, *, applied: bool) -> None:
        """A removal before any application does nothing."""
        if applied or id in self._held:
            self._held[id] = applied

    @property
    def ids(self) -> list[str]:
        return [id for id, held in self._held.items() if held]


@dataclass(frozen=True)
class Response:
    queued: Entity
    message: Entity


class Story:
    """What is known of one conversation: its messages, events and locks, whether or not it is known itself."""

    def __init__(self, id: str, conversation: Entity, state: State) -> None:
        self.id, self.conversation, self._state = id, conversation, state
        self.messages: list[Entity] = []
        self.events: list[Entity] = []
        self.locks: list[Entity] = []

    def in_order(self) -> None:
        self.messages.sort(key=of_message)
        self.events.sort(key=of_event)

    # --- who it is about

    @property
    def known(self) -> bool:
        return bool(self.conversation)

    @property
    def channel_id(self) -> str | None:
        return self.conversation.get("channel_id")

    @property
    def channel(self) -> Entity:
        return self._state.get("channel", self.channel_id)

    @property
    def contact_id(self) -> str | None:
        return self.conversation.get("contact_id")

    @property
    def contact(self) -> Entity:
        return self._state.get("contact", self.contact_id)

    # --- what happened

    def events_of(self, *kinds: str) -> Iterator[Entity]:
        return (event for event in self.events if event["kind"] in kinds)

    def status_changes(self, *to: str) -> list[Entity]:
        return [event for event in self.events_of("status_changed") if detail(event, "to") in to]

    @cached_property
    def first_inbound(self) -> Entity | None:
        return next(filter(is_inbound, self.messages), None)

    def _first_after(self, place: Place, wanted: Iterable[Entity]) -> Entity | None:
        return next((message for message in wanted if of_message(message) > place), None)

    @cached_property
    def first_resolve(self) -> Entity | None:
        return next(iter(self.status_changes("resolved")), None)

    @cached_property
    def first_response(self) -> tuple[int, Entity] | None:
        """How long it took (ms) and the message that ended it."""
        handover = next(self.events_of("handover"), None)
        if handover:
            start, message = handover["at"], self._first_after(of_event(handover), filter(is_agents, self.messages))
        elif self.first_inbound:
            outbound = (message for message in self.messages if not is_inbound(message))
            start, message = self.first_inbound["created_at"], self._first_after(of_message(self.first_inbound), outbound)
        else:
            return None
        return (message["created_at"] - start, message) if message else None

    @cached_property
    def resolution(self) -> int | None:
        """From the first inbound to the first resolve, in milliseconds."""
        if self.first_inbound is None or self.first_resolve is None:
            return None
        took: int = self.first_resolve["at"] - self.first_inbound["created_at"]
        return took if took >= 0 else None

    @property
    def resolved_with_reply(self) -> bool:
        """Whether an outbound message stands before the first resolve."""
        assert self.first_resolve
        end = of_event(self.first_resolve)
        return any(of_message(message) < end for message in self.messages if not is_inbound(message))

    # --- what it holds

    @cached_property
    def topics(self) -> list[str]:
        held = Held()
        for event in self.events_of("topic_applied", "topic_removed"):
            held.take(event["data"]["topic_id"], applied=event["kind"] == "topic_applied")
        return held.ids

    @cached_property
    def _tags(self) -> dict[str | None, list[str]]:
        held: dict[str | None, Held] = defaultdict(Held)
        for event in self.events_of("tag_applied", "tag_removed"):
            held[detail(event, "message_id")].take(event["data"]["tag_id"], applied=event["kind"] == "tag_applied")
        return {message: tags.ids for message, tags in held.items()}

    @property
    def tags(self) -> list[str]:
        """Those on the conversation itself."""
        return self._tags.get(None, [])

    def tags_of(self, message_id: str) -> list[str]:
        return self._tags.get(message_id, [])

    # --- locks and waits

    def lock_class(self, lock: Entity) -> str | None:
        """handle, no-reply or cherry-picking; None without an end."""
        if lock["to"] is None:
            return None
        agent, start, end = lock["agent_id"], lock["from"], lock["to"]
        if any(start <= m["created_at"] <= end for m in self.messages if sent_by(m, "agent") == agent):
            return "handle"
        if any(start <= e["at"] <= end for e in self.status_changes("resolved") if done_by(e, "agent") == agent):
            return "no-reply"
        return "cherry-picking"

    def lock_times(self) -> dict[str, int]:
        """Milliseconds by class."""
        sums = {"handle": 0, "no-reply": 0, "cherry-picking": 0}
        for lock in self.locks:
            kind = self.lock_class(lock)
            if kind:
                sums[kind] += lock["to"] - lock["from"]
        return sums

    @cached_property
    def responses(self) -> list[Response]:
        """A queued event opens a wait unless one is open; the first agent message later in order closes it."""
        found, open_wait = [], None
        things = [(of_message(m), m, True) for m in self.messages if is_agents(m)]
        things += [(of_event(e), e, False) for e in self.events_of("queued")]
        for _, thing, is_message in sorted(things, key=lambda t: t[0]):
            if not is_message:
                open_wait = open_wait or thing
            elif open_wait:
                found.append(Response(open_wait, thing))
                open_wait = None
        return found

    def inbound_before(self, at: int) -> Entity | None:
        """The last inbound whose time is at or before `at`."""
        return next((m for m in reversed(self.messages) if is_inbound(m) and m["created_at"] <= at), None)


class Stories:
    """Every conversation that is known or named."""

    def __init__(self, state: State) -> None:
        self._all: dict[str, Story] = {id: Story(id, entity, state) for id, entity in state.of["conversation"].items()}
        for kind in ("message", "event", "lock"):
            for entity in state.of[kind].values():
                id = entity["conversation_id"]
                story = self._all.setdefault(id, Story(id, {}, state))
                getattr(story, kind + "s").append(entity)
        for story in self._all.values():
            story.in_order()

    def __iter__(self) -> Iterator[Story]:
        return iter(self._all.values())

    @property
    def known(self) -> list[Story]:
        return [story for story in self if story.known]
