"""One conversation from the first word to the last: its records, in an order that could have happened."""

import random
from bisect import bisect_left

from cli.sample.cards import COMMENTS, Cards
from cli.sample.clock import HOUR, MINUTE
from cli.sample.people import Person
from cli.sample.pools import Region, escaped
from cli.sample.setting import Agent

HANDOVER_REASONS = ("MANUALLY_BY_USER", "VA_ENCOUNTERED_ERROR", "USER_OFFLINE", "MANUALLY_BY_USER", "USER_DELETED", "CONVERSATION_RESOLVED")
SLOW = frozenset({"Email", "SMS", "Twitter"})
LENGTH_MAX = 3000


def length_of(rng: random.Random, conversations: int) -> int:
    """How many messages: mostly around nine, with a heavy tail of threads that go on for months."""
    if rng.random() < 0.003:
        return min(LENGTH_MAX, 150 + conversations // 4, int(60 * rng.paretovariate(1.1)))
    return 2 + int(rng.lognormvariate(1.95, 0.75))


class Conversation(Cards):
    """Builds the lines of one conversation after another."""

    def write(self, number: int, start: int, region: Region, who: Person, *, new: bool, length: int) -> None:
        """Builds conversation `number` of `who`, which starts at `start`; `new`: nobody has heard of them before."""
        rng = self._rng
        self.lines = []
        self.messages = self._events = self._locks = 0
        self._number, self._started, self._now, self._region, self._who = number, start, start, region, who
        self._id = f"conv_{self._ids.tag}{number:07x}"
        channels = self._setting.channels[region.group]
        self._channel = channels[min(bisect_left([share for share, _ in channels], who.channel_share), len(channels) - 1)][1]
        self._pace = 40.0 if self._channel.medium in SLOW else 1.0
        agents = self._setting.agents[region.group]
        self._agent: Agent = agents[rng.randrange(len(agents))]
        self._topic = rng.randrange(6)
        self._status, self._waiting, self._last_inbound = "new", False, ""
        self._resolved_at = self._score = None
        self._assigned = False
        if new:
            self._people(start)
        self._visits(start)
        self._state(start, final=False)
        self._talk(length)
        self._close()
        self._state(self._now, final=True)
        if new and who.lead:
            self._lead(start, self._now)

    # ---- the talk

    def _talk(self, length: int) -> None:
        rng, turns = self._rng, length
        if rng.random() < 0.05:
            self._say_agent(self._now, proactive=True)
            turns -= 1
            self._now += int(rng.expovariate(1 / (2 * HOUR))) + MINUTE
        elif self._channel.bot and rng.random() < 0.75:
            turns -= self._with_bot(turns)
        else:
            self._inbound(self._region.language.opening[self._topic])
            self._queued("NEW_CONVERSATION")
            turns -= 1
        while turns > 0 and self._now < self._clock.end and self._status != "resolved":
            turns -= self._with_agent(turns)

    def _with_bot(self, length: int) -> int:
        """The virtual agent's part; hands over where it isn't enough. How many messages it took."""
        rng, language, said = self._rng, self._region.language, 0
        self._inbound(language.opening[self._topic])
        rounds = min(length // 2, 1 + int(rng.random() * 3))
        for turn in range(rounds):
            self._now += 700 + int(rng.expovariate(1 / 1800))
            self._message("ai", self._channel.bot, self._channel.bot_name, language.ai, "Automation")
            said += 2 if turn else 1
            if turn + 1 < rounds:
                self._gap(30_000)
                self._inbound(language.visitor)
        if rng.random() < 0.6:
            self._event("topic_applied", f'"topic_id":"{self._setting.topics[self._topic]}"', "ai")
        if self._who.lead and rng.random() < 0.5:
            self._score = min(100, max(0, int(rng.gauss(58 if self._who.business else 35, 22))))
            self._event(
                "qualification_check", f'"result":"{"qualified" if self._score >= 60 else "not_qualified"}","score":{self._score}', "ai"
            )
        if said + 1 >= length and rng.random() < 0.7:
            self._resolve("ai", "Virtual Agent")
        elif self._now < self._clock.end:
            self._hand_over()
        return said + 1

    def _hand_over(self) -> None:
        rng = self._rng
        self._now += 500
        reason = HANDOVER_REASONS[int(rng.random() * 6)]
        self._event("handover", f'"reason":"{reason}"', "ai")
        self._now += 40
        self._queued("VA_HANDED_OVER_CONVERSATION", reason)

    def _with_agent(self, left: int) -> int:
        """One round: the agent answers, and where messages are left the visitor writes again. How many messages it took."""
        rng, language = self._rng, self._region.language
        reading = int(rng.expovariate(1 / (90_000 * self._pace))) + 2_000
        self._now = self._agent.zone.opening_from(self._now + reading)
        if rng.random() < 0.04:
            others = self._setting.agents[self._region.group]
            self._agent = others[rng.randrange(len(others))]
        if rng.random() < 0.06:
            self._lock(self._now - reading // 2, self._now - reading // 4)
        said = 1
        self._say_agent(self._now)
        while said < left and rng.random() < 0.2:
            self._now += 1_500 + int(rng.random() * 20_000)
            self._say_agent(self._now)
            said += 1
        self._mark()
        if said < left:
            self._gap(60_000)
            self._inbound(language.visitor if said + 2 < left else language.thanks)
            said += 1
            if said < left and self._now < self._clock.end and rng.random() < 0.5:
                self._queued("INBOUND_MESSAGE")
        return said

    def _gap(self, mean: int) -> None:
        """The visitor takes their time: mostly `mean` ms, now and then hours."""
        rng = self._rng
        self._now += 1_000 + int(rng.expovariate(1 / (mean * self._pace)))
        if rng.random() < 0.06:
            self._now += int(rng.expovariate(1 / (9 * HOUR)))

    def _mark(self) -> None:
        """What agents do beside answering: topics, tags, a pause until something is known."""
        rng = self._rng
        chance = rng.random()
        if chance < 0.08:
            topic = self._setting.topics[int(rng.random() * len(self._setting.topics))]
            self._event("topic_applied", f'"topic_id":"{topic}"', "agent")
            if chance < 0.015:
                self._event("topic_removed", f'"topic_id":"{topic}"', "agent")
        elif chance < 0.2:
            tag = self._setting.tags[int(rng.random() * len(self._setting.tags))]
            on = f',"message_id":"{self._last_inbound}"' if self._last_inbound and chance < 0.17 else ""
            self._event("tag_applied", f'"tag_id":"{tag}"{on}', "agent")
            if chance < 0.09:
                self._event("tag_removed", f'"tag_id":"{tag}"{on}', "agent")
        elif chance < 0.23 and self._status == "new":
            self._status = "pending"
            self._event("status_changed", '"to":"pending","reason":"Waiting for the customer","trigger":"Human Agent"', "agent")
        elif chance < 0.25 and self._status == "pending":
            self._status = "new"
            self._event("status_changed", '"to":"new","trigger":"Automation"', "automation")

    def _close(self) -> None:
        """Most conversations end: by their agent, in bulk, or by themselves; some come back, some stay open."""
        rng = self._rng
        if self._status == "resolved" or self._now >= self._clock.end or rng.random() < 0.12:
            return
        self._now += 5_000 + int(rng.expovariate(1 / (3 * MINUTE * self._pace)))
        chance = rng.random()
        if chance < 0.82:
            self._lock(self._now - 4_000, self._now + 500)
            self._resolve("agent", "Human Agent")
        elif chance < 0.9:
            self._now += 24 * HOUR
            self._resolve("automation", "Auto Resolve")
        else:
            self._now += 6 * HOUR
            self._resolve("bulk", "Automation")
        if rng.random() < 0.04 and self._now < self._clock.end:
            self._now += int(rng.expovariate(1 / (20 * HOUR))) + MINUTE
            self._inbound(self._region.language.visitor)
            self._status, self._resolved_at = "new", None
            self._event("status_changed", '"to":"new","trigger":"Automation"', "automation")
            self._queued("INBOUND_MESSAGE")

    def _resolve(self, actor: str, trigger: str) -> None:
        self._status, self._resolved_at, self._waiting = "resolved", self._now, False
        reason = ("Solved", "No answer needed", "Duplicate")[min(2, int(self._rng.expovariate(1.4)))]
        comment = f',"comment":"{escaped(COMMENTS[int(self._rng.random() * 7)])}"' if self._rng.random() < 0.1 else ""
        self._event("status_changed", f'"to":"resolved","reason":"{reason}"{comment},"trigger":"{trigger}"', actor)

    # ---- records

    def _inbound(self, pool: list[str]) -> None:
        name = self._who.name if self._rng.random() < 0.8 else ""
        self._last_inbound = self._message("visitor", None, name, pool, "Medium")

    def _queued(self, started_by: str, reason: str = "") -> None:
        if self._waiting:
            return
        self._waiting = True
        why = f',"handover_reason":"{reason}"' if reason else ""
        on = f',"message_id":"{self._last_inbound}"' if self._last_inbound and self._rng.random() < 0.8 else ""
        self._event("queued", f'"started_by":"{started_by}"{why}{on}', "automation")

    def _say_agent(self, at: int, *, proactive: bool = False) -> None:
        """An agent's message in the lock that its writing takes."""
        rng = self._rng
        writing = 3_000 + int(rng.expovariate(1 / 35_000))
        self._lock(at - writing, at + 200 + int(rng.random() * 9_000))
        self._assigned, self._waiting = True, False
        pool = self._region.language.agent
        self._message("agent", self._agent.id, self._agent.name, pool, "Workspace", "Proactive" if proactive else "Reply")
