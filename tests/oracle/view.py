"""What a dataset's module works on: the state, one request read, and the helpers that several need."""

from collections.abc import Callable, Iterable
from typing import Any

from tests.oracle.state import Entity, State
from tests.oracle.times import Range, bound, inside
from tests.oracle.values import Bare, care_time
from tests.oracle.words import Stories, Story, by_bytes, done_by, sent_by

Settings = dict[str, Any]


class View:
    def __init__(
        self, state: State, stories: Stories, settings: Settings, scores: dict[str, int], request: dict[str, Any], fmt: str
    ) -> None:
        self.state, self.settings, self.scores, self.request, self.format = state, settings, scores, request, fmt
        self.timezone: str = request.get("timezone") or settings.get("timezone") or "UTC"
        self.filter: dict[str, Any] = request.get("filter") or {}
        self.range: Range = (self._end("from"), self._end("to"))
        self._stories = stories

    def _end(self, name: str) -> int | None:
        text = self.request.get(name)
        return None if text is None else bound(text, self.timezone)

    # --- the care family's filter

    @property
    def stories(self) -> list[Story]:
        """Care family: `channel` and `medium` keep what belongs to conversations on them."""
        return [story for story in self._stories if self._is_on_channel(story)]

    def _is_on_channel(self, story: Story) -> bool:
        return self.one_of("channel", story.channel_id) and self.one_of("medium", story.channel.get("medium"))

    @property
    def every_story(self) -> Stories:
        """For datasets with filters of their own."""
        return self._stories

    def one_of(self, name: str, value: str | None) -> bool:
        """A list means any of, a single value is a list of one; true where the request doesn't filter by `name`."""
        if self.filter.get(name) is None:
            return True
        return value is not None and value in listed(self.filter[name])

    def after_and_before(self, after: str, before: str, at: int) -> bool:
        low, high = self.filter.get(after), self.filter.get(before)
        return (low is None or at > bound(low, self.timezone)) and (high is None or at < bound(high, self.timezone))

    # --- shorthands

    def in_range(self, at: int | None) -> bool:
        return inside(at, self.range)

    def time(self, at: int | None) -> Bare | None:
        return care_time(at, self.timezone)

    def name(self, kind: str, id: str | None) -> str | None:
        name: str | None = self.state.get(kind, id).get("name")
        return name

    def names(self, kind: str, ids: Iterable[str]) -> list[str]:
        """An unknown one is an empty entry."""
        return [self.name(kind, id) or "" for id in ids]

    # --- teams

    def team_of_agent(self, id: str | None) -> str | None:
        return self.state.get("agent", id).get("team_id")

    def team_of_message(self, message: Entity) -> str | None:
        return self.team_of_agent(sent_by(message, "agent"))

    def team_of_event(self, event: Entity) -> str | None:
        return event["team_id"] if event["team_id"] is not None else self.team_of_agent(done_by(event, "agent"))

    def team_of_lock(self, lock: Entity) -> str | None:
        return lock["team_id"] if lock["team_id"] is not None else self.team_of_agent(lock["agent_id"])


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def tags_match(wanted: Any, has: Callable[[str], bool]) -> bool:
    """`{"any": […]}`, `{"all": […]}`, a bare list is any."""
    if isinstance(wanted, dict):
        return all(
            test(has(tag) for tag in listed(wanted[word])) for word, test in (("any", any), ("all", all)) if wanted.get(word) is not None
        )
    return any(has(tag) for tag in listed(wanted))


def part_of(q: str, texts: Iterable[str | None]) -> bool:
    """Whether one of the texts holds `q`, in any case."""
    return any(q.lower() in text.lower() for text in texts if text is not None)


def channel_key(id: str | None) -> tuple[bool, bytes]:
    """Rows without a channel come after those with one."""
    return id is None, by_bytes(id or "")
