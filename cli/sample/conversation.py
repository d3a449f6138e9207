"""One conversation from the first word to the last: its records, in an order that could have happened."""

import random
from bisect import bisect_left

from cli.sample.clock import HOUR, MINUTE, Clock
from cli.sample.people import ATTRIBUTES, INDUSTRIES, PLANS, Person
from cli.sample.pools import Region, escaped
from cli.sample.setting import Agent, Channel, Ids, Setting

HANDOVER_REASONS = ("MANUALLY_BY_USER", "VA_ENCOUNTERED_ERROR", "USER_OFFLINE", "MANUALLY_BY_USER", "USER_DELETED", "CONVERSATION_RESOLVED")
INTENTS = ("order_status", "billing", "pricing", "support", "returns", "demo_request")
COMPLETED = ("Successful", "Successful", "Successful", "Skipped", "Customer did not respond", "Customer's response was not recognized")
COMMENTS = ("Sehr hilfreich!", "too slow", "Merci, très aimable.", "👍", "", "ありがとうございました", 'It took three days, "really".')
SLOW = frozenset({"Email", "SMS", "Twitter"})
LENGTH_MAX = 3000


def length_of(rng: random.Random, conversations: int) -> int:
    """How many messages: mostly around nine, with a heavy tail of threads that go on for months."""
    if rng.random() < 0.003:
        return min(LENGTH_MAX, 150 + conversations // 4, int(60 * rng.paretovariate(1.1)))
    return 2 + int(rng.lognormvariate(1.95, 0.75))


class Conversation:
    """Builds the lines of one conversation. `lines` holds them; `messages` counts distinct messages."""

    def __init__(self, ids: Ids, rng: random.Random, clock: Clock, setting: Setting, odd: list[str]) -> None:
        self._ids, self._rng, self._clock, self._setting, self._odd = ids, rng, clock, setting, odd
        self._heads = {kind: ids.head(kind) for kind in ("message", "event", "lock", "visit", "conversation")}

    def write(self, number: int, start: int, region: Region, who: Person, *, new: bool, length: int) -> None:
        """Builds conversation `number` of `who`, which starts at `start`; `new`: nobody has heard of them before."""
        rng = self._rng
        self.lines: list[str] = []
        self.messages = self._events = self._locks = 0
        self._number, self._now, self._region, self._who = number, start, region, who
        self._id = f"conv_{self._ids.tag}{number:07x}"
        channels = self._setting.channels[region.group]
        self._channel = channels[min(bisect_left([share for share, _ in channels], who.channel_share), len(channels) - 1)][1]
        self._pace = 40.0 if self._channel.medium in SLOW else 1.0
        agents = self._setting.agents[region.group]
        self._agent: Agent = agents[rng.randrange(len(agents))]
        self._topic = rng.randrange(6)
        self._status, self._waiting, self._last_inbound = "new", False, ""
        self._resolved_at: int | None = None
        self._score: int | None = None
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
        body = f'"conversation_id":"{self._id}","created_at":"{self._at(now)}","sender":{{"kind":"{kind}"{by}{called}}},"message_type":"text","origin":"{origin}"{more}'
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
        body = f'"conversation_id":"{self._id}","at":"{self._at(self._now)}","kind":"{kind}","actor":{{"kind":"{actor}"{by}}}{team},"data":{{{data}}}'
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
            visitor = (
                f"visitor_{self._ids.tag}{self._who.code}" if rng.random() < 0.6 else f"visitor_{self._ids.tag}x{self._number:07x}{page}"
            )
            url = (
                f"https://www.acme.example/{('', 'pricing', 'products/aurora-pro?ref=a,b', 'help/returns', 'cart')[int(rng.random() * 5)]}"
            )
            ident = f"visit_{self._ids.tag}{self._number:07x}{page}"
            self.lines.append(
                f'{self._heads["visit"]}{ident}","data":{{"visitor_id":"{visitor}","at":"{self._clock.utc(at)}","url":"{url}"}}}}\n'
            )
            if page == 0 and rng.random() < 0.05:
                body = f'"conversation_id":"{self._id}","at":"{self._at(at)}","kind":"page_viewed","actor":{{"kind":"visitor"}},"data":{{"url":"{url}","seconds":{int(rng.random() * 300)}}}'
                self.lines.append(f'{self._heads["event"]}{ident}pv","version":{at},"data":{{{body}}}}}\n')

    def _state(self, at: int, *, final: bool) -> None:
        """The conversation itself: as it begins, and as it is in the end (the same id, a higher version)."""
        rng, who, channel = self._rng, self._who, self._channel
        parts = [f'"channel_id":"{channel.id}","contact_id":"contact_{self._ids.tag}{who.code}","status":"{self._status}"']
        parts.append(f'"language":"{self._region.language.name}","url":"https://care.acme.example/c/{self._number:x}"')
        if who.lead:
            parts.append(f'"lead_id":"lead_{self._ids.tag}{who.code}"')
        if channel.medium == "Web chat" or who.lead:
            parts.append(f'"visitor_id":"visitor_{self._ids.tag}{who.code}"')
        start = self._started = at if not final else self._started
        parts.append(f'"created_at":"{self._at(start)}"')
        if final:
            parts += self._outcome()
        if self._number % 9 == 0:
            parts.append(
                f'"metadata":{{"browser":"{("Firefox", "Safari", "Chrome")[self._number % 3]}","screens":[{self._number % 4},1]}},"parameters":{{"utm_source":"newsletter"}}'
            )
        if self._number % 23 == 0:
            parts.append(f'"campaign_id":"{self._setting.campaigns[self._number % len(self._setting.campaigns)]}"')
        if self._number % 17 == 0:
            bot = self._setting.support_bots[self._number % 3]
            parts.append(f'"support_bot":{{"id":"{bot}","revision_id":"r{self._number % 5}","section_path":"root/{self._topic}"}}')
        version = at if not final else max(at, start + 1)
        self.lines.append(f'{self._heads["conversation"]}{self._id}","version":{version},"data":{{{",".join(parts)}}}}}\n')
        if final and self._status == "resolved" and rng.random() < 0.1:
            self._event("csat_sent", '"via":"link"', "automation")

    def _outcome(self) -> list[str]:
        rng, who = self._rng, self._who
        parts = [f'"updated_at":"{self._at(self._now)}","description":"{self._region.language.opening[self._topic][0]}"']
        if self._resolved_at is not None:
            parts.append(f'"ended_at":"{self._at(self._resolved_at)}"')
        if self._assigned:
            followers = self._setting.agents[self._region.group][: rng.randrange(3)]
            listed = ",".join(f'"{each.id}"' for each in followers)
            parts.append(f'"assignee_id":"{self._agent.id}","follower_ids":[{listed}]')
        if who.lead:
            booked = self._score is not None and self._score >= 60 and rng.random() < 0.4
            parts.append(
                f'"qualification_triggered":{"true" if self._score is not None else "false"},"meeting_booked":{"true" if booked else "false"}'
            )
            parts.append(
                f'"engagement_score":{min(100, self.messages * 6 + int(rng.random() * 30)) + int(rng.random() * 2) * 0.5 if self.messages < 15 else 97.5}'
            )
        if self._resolved_at is not None and rng.random() < 0.3:
            completed = COMPLETED[int(rng.random() * 6)]
            score = f'"score":{1 + min(4, int(rng.triangular(0, 5, 4.5)))},' if completed == "Successful" else ""
            answer = f',"question":"How did we do?","answer":"{escaped(COMMENTS[int(rng.random() * 7)])}"' if score else ""
            parts.append(f'"csat":{{{score}"completed_status":"{completed}"{answer}}}')
        return parts

    def _people(self, at: int) -> None:
        """A new contact, and the lead where sales knows them."""
        who, draw = self._who, self._who.draw
        secondary = f',"secondary_identifier":"{who.email}"' if who.phone else ""
        medium = self._channel.medium
        primary = {"Email": who.email, "WhatsApp": who.phone or who.email, "SMS": who.phone or who.email}.get(medium, f"@{who.handle}")
        parts = [f'"medium":"{medium}","primary_identifier":"{primary}"{secondary},"name":"{who.name}"']
        if draw.random() < 0.7:
            parts.append(f'"email":"{who.email}"')
        if who.phone:
            parts.append(f'"mobile_number":"{who.phone}"')
        if who.lead:
            parts.append(f'"lead_id":"lead_{self._ids.tag}{who.code}"')
        if draw.random() < 0.4:
            parts.append(f'"member_id":"m{who.code}"')
            parts.append(
                f'"profile":{{"country":"{self._region.country}","time_zone":"{self._region.zone}","orders":{draw.randrange(40)},"vip":{"true" if draw.random() < 0.1 else "false"}}}'
            )
        if draw.random() < 0.35:
            values = (
                PLANS[draw.randrange(4)],
                f"{draw.randrange(10**6):07d}",
                self._region.country,
                self._odd[draw.randrange(len(self._odd) - 1)],
            )
            chosen = sorted(draw.sample(range(4), 1 + draw.randrange(3)))
            listed = ",".join(
                f'{{"id":"{ATTRIBUTES[n][0]}","name":"{ATTRIBUTES[n][1]}","value":"{values[n]}","type":"{ATTRIBUTES[n][2]}"}}'
                for n in chosen
            )
            parts.append(f'"attributes":[{listed}]')
        parts.append(f'"created_at":"{self._at(at)}","updated_at":"{self._at(at)}"')
        self.lines.append(self._ids.line("contact", f"contact_{self._ids.tag}{who.code}", at, ",".join(parts)))
        if who.lead:
            self._lead(at, at)

    def _lead(self, at: int, now: int) -> None:
        """The lead as it is at `now`; `at` is when it became one."""
        who, draw = self._who, self._who.draw
        status = "new"
        if now > at:
            status = ("contacted", "qualified", "contacted", "qualified", "converted", "lost")[
                int(draw.random() * (6 if self._score else 3))
            ]
        parts = [
            f'"email":"{who.email}","name":"{who.name}","status":"{status}","source":"{"chat" if self._channel.medium == "Web chat" else "form"}"'
        ]
        parts += [f'"{key}":"{value}"' for key, value in (("company", who.company), ("title", who.title), ("phone", who.phone)) if value]
        parts.append(
            f'"source_url":"https://www.acme.example/{("pricing", "demo", "")[self._number % 3]}","last_intent":"{INTENTS[self._topic]}"'
        )
        if self._assigned and now > at:
            parts.append(f'"assigned_to":"{self._agent.id}"')
        tags = ",".join(
            f'"{tag}"' for tag in ("webinar", "newsletter", "Messe München", "q&a")[: self._number % 5 if self._number % 3 == 0 else 0]
        )
        seats = 1 + (self._number * 7919) % 500
        custom = f'{{"plan":"{PLANS[self._number % 4]}","seats":{seats},"newsletter":{"true" if self._number % 2 else "false"},"industry":"{INDUSTRIES[self._number % 8]}"}}'
        parts.append(f'"tags":[{tags}],"custom_properties":{custom if self._number % 4 else "{}"}')
        parts.append(
            f'"first_seen_at":"{self._clock.utc(at - HOUR)}","last_activity_at":"{self._clock.utc(now)}","created_at":"{self._clock.utc(at)}","updated_at":"{self._clock.utc(now)}"'
        )
        self.lines.append(self._ids.line("lead", f"lead_{self._ids.tag}{who.code}", now, ",".join(parts)))

    def _at(self, ms: int) -> str:
        zone = self._channel.zone
        return self._clock.local(ms, zone) if zone is not None else self._clock.utc(ms)


__all__ = ["Channel", "Conversation", "length_of"]
