"""Who may do what in Kafka: worked out from the topics' files, and compared with what the brokers hold.

The broker refuses what isn't allowed. Reading and writing include describing; writing includes an idempotent producer's number (Kafka 3.0 and newer), so
nothing is allowed on the cluster, and nobody of these may make a topic, a right or a user: that is the cluster's administrator's.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from shared.topics import Topic, dead_letters_of

OPERATORS, ANYONE = "operators", "anyone"
WATCHER = "export_request"  # asks how far every group is behind, and how many dead letters lie there
REPLAY_GROUPS = "waybill-dlq-replay-"  # one for each topic of dead letters, with its name


class Kind(StrEnum):
    topic = "topic"
    group = "group"


Operation = Literal["read", "write", "describe"]
Pattern = Literal["literal", "prefixed"]


@dataclass(frozen=True, order=True)
class Right:
    """`principal` may do `operation`; a prefixed `name` stands for all that begin with it."""

    principal: str
    kind: Kind
    name: str
    operation: str
    pattern: Pattern = "literal"
    host: str = "*"

    def __str__(self) -> str:
        star = "*" if self.pattern == "prefixed" else ""
        return f"{self.principal} may {self.operation} {self.kind} {self.name}{star}{'' if self.host == '*' else f' from {self.host}'}"


@dataclass(frozen=True)
class Change:
    """What makes the brokers' rights those that are wanted. `unwanted` are ours to take away, and stay where nobody asks for it."""

    missing: tuple[Right, ...]
    unwanted: tuple[Right, ...]


def user_of(role: str) -> str:
    """The Kafka user of a service, or of the operators: the name that the service's role in PostgreSQL has too."""
    return f"waybill_{'operator' if role == OPERATORS else role}"


def principals(topics: Mapping[str, Topic], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """Role → principal; `given` for those that aren't User:waybill_<role> (a certificate's name, say). Raises ValueError for what is no role."""
    named = {role for topic in topics.values() for role in (*topic.writers, *topic.readers, *topic.groups)}
    roles = [*sorted(named - {ANYONE, OPERATORS}), OPERATORS]
    if unknown := sorted(set(given or {}) - set(roles)):
        raise ValueError(f"'{unknown[0]}' is none of {', '.join(roles)}")
    return {role: f"User:{user_of(role)}" for role in roles} | dict(given or {})


def wanted(topics: Mapping[str, Topic], who: Mapping[str, str], clients: Iterable[str] = ()) -> frozenset[Right]:
    """Every right that Waybill's users need, and no other. `clients`: users outside, who write and read what anyone may."""
    outside = {f"User:{name}": name for name in clients}

    def those(role: str) -> list[str]:
        return list(outside) if role == ANYONE else [who[role]]

    rights = {Right(principal, Kind.group, name, "read", "prefixed") for principal, name in outside.items()}
    for topic in topics.values():
        rights |= {Right(principal, Kind.topic, topic.name, "write") for role in topic.writers for principal in those(role)}
        readers = [*topic.readers, *topic.groups]
        rights |= {Right(principal, Kind.topic, topic.name, "read") for role in readers for principal in those(role)}
        rights |= {Right(who[service], Kind.group, group, "read") for service, group in topic.groups.items()}
    rights |= _replaying(topics, who)
    return frozenset(rights | (_looking(topics, who) - _included(rights)))


def _looking(topics: Mapping[str, Topic], who: Mapping[str, str]) -> set[Right]:
    """For metrics, and for `waybill doctor`."""
    groups = {group for topic in topics.values() for group in topic.groups.values()}
    things = [(Kind.topic, name) for name in topics] + [(Kind.group, name) for name in groups]
    return {Right(who[role], kind, name, "describe") for role in (WATCHER, OPERATORS) for kind, name in things}


def _replaying(topics: Mapping[str, Topic], who: Mapping[str, str]) -> set[Right]:
    """Dead letters go back to the topics that they came from."""
    rights = {Right(who[OPERATORS], Kind.group, REPLAY_GROUPS, "read", "prefixed")}
    return rights | {Right(who[OPERATORS], Kind.topic, name, "write") for name in topics if dead_letters_of(name) in topics}


def _included(rights: Iterable[Right]) -> set[Right]:
    """What the brokers allow whom they allow more."""
    return {Right(r.principal, r.kind, r.name, "describe", r.pattern, r.host) for r in rights}


def compare(held: Iterable[Right], should: frozenset[Right], topics: Mapping[str, Topic], who: Mapping[str, str]) -> Change:
    """Ours are: our topics and groups by name, whatever our users have, and the groups of a client that loses our topics."""
    there = frozenset(held)
    names = {(Kind.topic, name) for name in topics} | {(Kind.group, group) for topic in topics.values() for group in topic.groups.values()}
    ours = {right for right in there if (right.kind, right.name) in names or right.principal in set(who.values())}
    touched = {right.principal for right in ours if right.kind is Kind.topic}
    ours |= {
        right for right in there if right.kind is Kind.group and right.principal in touched and right.principal == f"User:{right.name}"
    }
    return Change(tuple(sorted(should - there)), tuple(sorted(ours - should)))
