"""The records that a conversation leaves as it goes on: messages, events, locks, visits."""

import random

from cli.sample.clock import Clock
from cli.sample.people import Person
from cli.sample.pools import Region
from cli.sample.setting import Agent, Channel, Ids, Setting

PAGES = ("", "pricing", "products/aurora-pro?ref=a,b", "help/returns", "cart")


class Rows:
    """One conversation under way, and how its records are spelled. `lines` holds them; `messages` counts distinct messages."""

    lines: list[str]
    messages: int
    _events: int
    _locks: int
    _number: int
    _id: str
    _started: int
    _now: int
    _region: Region
    _who: Person
    _channel: Channel
    _agent: Agent
    _topic: int
    _status: str
    _resolved_at: int | None
    _score: int | None
    _assigned: bool

    def __init__(self, ids: Ids, rng: random.Random, clock: Clock, setting: Setting, odd: list[str]) -> None:
        self._ids, self._rng, self._clock, self._setting, self._odd = ids, rng, clock, setting, odd
        self._heads = {kind: ids.head(kind) for kind in ("message", "event", "lock", "visit", "conversation")}

    def _at(self, ms: int) -> str:
        zone = self._channel.zone
        return self._clock.local(ms, zone) if zone is not None else self._clock.utc(ms)

    def _message(self, kind: str, sender: str | None, name: str, pool: list[str], origin: str, outbound: str = "") -> str:
        rng, now = self._rng, self._now
        content = pool[int(rng.random() * len(pool))]
        chance = rng.random()
        if chance < 0.42:
            content = f"{content} {pool[int(chance * 2.38 * len(pool))]}"
        elif chance < 0.426:
            content = self._odd[int(rng.random() * len(self._odd))]
        ident = f"msg_{self._ids.tag}{self._number:07x}{self.messages:04x}"
        self.messages += 1
        by = f',"id":"{sender}"' if sender else ""
        called = f',"name":"{name}"' if name else ""
        kind_out = outbound or ("Reply" if kind == "ai" else "")
        more = f',"outbound_message_type":"{kind_out}"' if kind_out else ""
        if self._channel.medium == "Twitter":
            more += f',"post_url":"https://twitter.example/acme/status/{1_700_000_000_000 + self._number * 4096 + self.messages}"'
        head = f'{self._heads["message"]}{ident}","version":'
        body = (
            f'"conversation_id":"{self._id}","created_at":"{self._at(now)}","sender":{{"kind":"{kind}"{by}{called}}},'
            f'"message_type":"text","origin":"{origin}"{more}'
        )
        self.lines.append(f'{head}{now},"data":{{{body},"content":"{content}"}}}}\n')
        if chance > 0.98:
            self._afterwards(head, body, content, now, chance)
        return ident

    def _afterwards(self, head: str, body: str, content: str, now: int, chance: float) -> None:
        """Some messages are edited, some deleted by who wrote them, and very few are taken out altogether."""
        later = now + 8_000 + int(self._rng.random() * 200_000)
        if chance > 0.9996:
            self.lines.append(f'{head}{later},"op":"delete"}}\n')
        elif chance > 0.996:
            self.lines.append(
                f'{head}{later},"data":{{{body},"content":"{content}","updated_at":"{self._at(later)}","deleted_at":"{self._at(later)}"}}}}\n'
            )
        else:
            self.lines.append(f'{head}{later},"data":{{{body},"content":"{content} (✎)","updated_at":"{self._at(later)}"}}}}\n')

    def _event(self, kind: str, data: str, actor: str) -> None:
        ident = f"evt_{self._ids.tag}{self._number:07x}{self._events:04x}"
        self._events += 1
        by, team = "", ""
        if actor == "agent":
            by = f',"id":"{self._agent.id}"'
            team = f',"team_id":"{self._agent.team}"' if self._rng.random() < 0.5 else ""
        elif actor == "ai":
            by = f',"id":"{self._channel.bot}"'
        body = (
            f'"conversation_id":"{self._id}","at":"{self._at(self._now)}","kind":"{kind}",'
            f'"actor":{{"kind":"{actor}"{by}}}{team},"data":{{{data}}}'
        )
        self.lines.append(f'{self._heads["event"]}{ident}","version":{self._now},"data":{{{body}}}}}\n')

    def _lock(self, begin: int, finish: int) -> None:
        ident = f"lock_{self._ids.tag}{self._number:07x}{self._locks:04x}"
        self._locks += 1
        team = f',"team_id":"{self._agent.team}"' if self._rng.random() < 0.5 else ""
        to = f',"to":"{self._at(finish)}"' if finish < self._clock.end else ""
        body = f'"conversation_id":"{self._id}","agent_id":"{self._agent.id}"{team},"from":"{self._at(begin)}"{to}'
        self.lines.append(f'{self._heads["lock"]}{ident}","version":{finish},"data":{{{body}}}}}\n')

    def _visits(self, start: int) -> None:
        """Pages seen before the first word, and by some who never say one."""
        rng = self._rng
        if self._channel.medium != "Web chat" and rng.random() < 0.7:
            return
        at = start
        for page in range(1 + int(rng.random() * 3)):
            at -= 5_000 + int(rng.random() * 90_000)
            known = rng.random() < 0.6
            visitor = f"visitor_{self._ids.tag}{self._who.code if known else f'x{self._number:07x}{page}'}"
            url = f"https://www.acme.example/{PAGES[int(rng.random() * 5)]}"
            ident = f"visit_{self._ids.tag}{self._number:07x}{page}"
            data = f'"visitor_id":"{visitor}","at":"{self._clock.utc(at)}","url":"{url}"'
            self.lines.append(f'{self._heads["visit"]}{ident}","data":{{{data}}}}}\n')
            if page == 0 and rng.random() < 0.05:
                seen = f'"kind":"page_viewed","actor":{{"kind":"visitor"}},"data":{{"url":"{url}","seconds":{int(rng.random() * 300)}}}'
                body = f'"conversation_id":"{self._id}","at":"{self._at(at)}",{seen}'
                self.lines.append(f'{self._heads["event"]}{ident}pv","version":{at},"data":{{{body}}}}}\n')
