"""Records of all fifteen types, by seed: what conversations leave behind, edge cases included.

    records = generate(seed, conversations=5_000)
    body = ndjson(records)                          # for POST /v1/records, in this order

Every record is valid by records.yaml and none is refused; some are stale (Oracle.state counts them). About 17 records a conversation. What the texts leave
open (README.md) is kept out where a difference would only say so: whole numbers beyond 2^53, empty ids, ids of system senders, operating hours at a change
of clocks, one unknown message id tagged in two conversations. Erasures too: they do more than take a record away.
"""

import json
from random import Random

from tests.oracle.making.organisation import SETTINGS as SETTINGS
from tests.oracle.making.records import Record
from tests.oracle.making.talk import Talk
from tests.oracle.texts import maybe


def generate(seed: int, conversations: int = 100, longest: int = 30_000) -> list[Record]:
    """`longest`: code points of the longest message (xlsx takes 32,767, records.yaml 256 KiB)."""
    return Maker(Random(seed), conversations, longest).records()


def ndjson(records: list[Record]) -> bytes:
    """A line each; every other one in ASCII with escapes."""
    return "".join(json.dumps(record, ensure_ascii=number % 2 == 0) + "\n" for number, record in enumerate(records)).encode()


class Maker(Talk):
    def records(self) -> list[Record]:
        for kind in ("channel", "team", "bot", "topic", "tag", "campaign", "agent", "contact", "lead"):
            for id in self.ids[kind]:
                self.add(kind, id, getattr(self, kind)())
        self.add("bot", self.quiet_bot, self.bot())
        for _ in range(self.conversations):
            self.conversation()
        for agent in [*self.ids["agent"], "agent_ghost"]:
            self.presences(agent)
        for _ in range(self.conversations * 3 // 2):
            visit = {"visitor_id": self.random.choice(self.visitors), "at": self.stamp(self.start()), "url": maybe(self.random)}
            self.add("visit", self.new_id("visit"), visit)
        return [record for _, record in sorted(self._made, key=lambda made: made[0])]
