"""The filters that conversations and chats share: what a request may ask, and the conditions on the conversation `c`."""

from collections.abc import Mapping
from typing import Any

from shared.datasets import filters
from shared.datasets.base import any_of
from shared.datasets.filters import Filter, TagFilter, Texts
from shared.datasets.sql import texts, there

Status = filters.one_of("new", "pending", "resolved")


class TalkFilter(Filter):
    """The conversations that a request wants; `ids` beat the rest."""

    ids: Texts | None = None
    status: filters.list_of(Status) | None = None  # type: ignore[valid-type]
    channel: Texts | None = None
    medium: Texts | None = None
    agent_id: Texts | None = None
    team_id: Texts | None = None
    tags: TagFilter | None = None


def conditions(f: Mapping[str, Any], snapshot: str) -> list[str]:
    """`f` as PostgreSQL conditions on `c`, without ids."""
    parts = [any_of(sql, f[name]) for name, sql in (("status", "c.status"), ("channel", "c.channel_id")) if name in f]
    if "medium" in f:
        medium = any_of("ch.medium", f["medium"])
        parts.append(f"exists (select from {there('channels', 'ch', f'ch.id = c.channel_id and {medium}', snapshot)})")
    if "agent_id" in f:
        sent = _sent(snapshot, any_of("m.sender_id", f["agent_id"]))
        parts.append(f"({any_of('c.assignee_id', f['agent_id'])} or {sent})")
    if "team_id" in f:
        parts.append(_of_team(snapshot, f["team_id"]))
    if tags := f.get("tags"):
        groups = [tags["any"]] if "any" in tags else [[tag] for tag in tags["all"]]
        parts += [_holds_tag(snapshot, group) for group in groups]
    return parts


def _sent(snapshot: str, condition: str) -> str:
    theirs = f"m.conversation_id = c.id and m.sender_kind = 'agent' and {condition}"
    return f"exists (select from {there('messages', 'm', theirs, snapshot)})"


def _of_team(snapshot: str, teams: list[str]) -> str:
    def in_team(agent: str) -> str:
        theirs = f"a.id = {agent} and {any_of('a.team_id', teams)}"
        return f"exists (select from {there('agents', 'a', theirs, snapshot)})"

    return f"({in_team('c.assignee_id')} or {_sent(snapshot, in_team('m.sender_id'))})"


def _holds_tag(snapshot: str, tags: list[str]) -> str:
    """The conversation itself (not one of its messages) holds one of `tags`, each an id or a name."""
    named = there("tags", "t", f"t.id = e.tag_id and {any_of('t.name', tags)}", snapshot)
    tagging = f"""e.conversation_id = c.id and e.tag_id is not null and e.message_id is null and e.kind in ('tag_applied', 'tag_removed')
        and (e.tag_id = any({texts(tags)}) or exists (select from {named}))"""
    last = "(array_agg(e.kind order by e.at desc, e.id desc))[1]"
    return f"'tag_applied' in (select {last} from {there('events', 'e', tagging, snapshot)} group by e.tag_id)"
