"""The organisation around the conversations: channels, teams, agents, bots, topics, tags, campaigns, and the agents' presences."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from cli.sample.clock import DAY, HOUR, MINUTE, Clock, Zone, weekday
from cli.sample.people import person
from cli.sample.pools import Language, Region, escaped

GROUPS = {"EMEA": "Europe/Brussels", "AMER": "America/New_York", "APAC": "Asia/Singapore"}
MEDIUMS = (("Web chat", 30), ("WhatsApp", 24), ("Email", 16), ("Facebook Messenger", 10), ("Twitter", 8), ("Instagram", 7), ("SMS", 5))
TEAMS = ("Customer Care", "Sales", "Billing & Payments", "Technical Support")
TOPICS = (
    "Delivery", "Billing", "Pricing", "Technical problem", "Returns", "Appointment", "Complaint", "Compliment", "Account, access",
    "Product question", "Warranty", "Spam",
)  # fmt: skip
TAGS = (
    "vip", "urgent", "follow up", "refund", "bug", "feature request", "churn risk", "Zufrieden", "réclamation",
    "要フォロー", "b2b", "press",
    "=formula", "fraud?", "holiday, 2026", "translated",
)  # fmt: skip
CAMPAIGNS = (
    ("oneTimeMsg", "Spring sale"),
    ("campaign", "Welcome series"),
    ("campaign", "Win back"),
    ("oneTimeMsg", "Black Friday, early access"),
    ("campaign", "NPS"),
)
AWAY = ("Lunch", "Break", "Meeting", "Training")


@dataclass(frozen=True)
class Channel:
    id: str
    medium: str
    group: str
    bot: str | None
    bot_name: str
    zone: Zone | None  # upstream writes local times with their offset; None: UTC


@dataclass(frozen=True)
class Agent:
    id: str
    name: str
    team: str
    zone: Zone


@dataclass
class Setting:
    """What conversations refer to, and the lines that announce it."""

    lines: list[str] = field(default_factory=list)
    channels: dict[str, list[tuple[float, Channel]]] = field(default_factory=dict)
    agents: dict[str, list[Agent]] = field(default_factory=dict)
    topics: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    campaigns: list[str] = field(default_factory=list)
    support_bots: list[str] = field(default_factory=list)


class Ids:
    """Ids that tell samples of different seeds apart, and the beginning of every line."""

    def __init__(self, tag: str, org: str | None) -> None:
        self.tag = tag
        self._org = f'"org_id":"{escaped(org)}",' if org is not None else ""

    def line(self, kind: str, ident: str, version: int, data: str) -> str:
        return f'{{"type":"{kind}","id":"{ident}","version":{version},{self._org}"data":{{{data}}}}}\n'

    def head(self, kind: str) -> str:
        """What comes before the id's text of a `kind` record."""
        return f'{{{self._org}"type":"{kind}","id":"'


def build(ids: Ids, rng: random.Random, seed: int, clock: Clock, languages: list[Language], conversations: int) -> Setting:
    """The organisation for a sample of that many conversations; its agents grow with them."""
    setting, before = Setting(), clock.first - 30 * DAY
    regions = [region for language in languages for region in language.regions]
    for number, group in enumerate(GROUPS):
        _channels(setting, ids, clock, group, number, before)
        _agents(setting, ids, rng, seed, clock, [r for r in regions if r.group == group], group, conversations, before)
    for number, name in enumerate(TOPICS):
        setting.topics.append(f"topic_{ids.tag}{number:02d}")
        setting.lines.append(ids.line("topic", setting.topics[-1], before, f'"name":"{escaped(name)}"'))
    everyone = [agent.id for agents in setting.agents.values() for agent in agents]
    for number, name in enumerate(TAGS):
        setting.tags.append(f"tag_{ids.tag}{number:02d}")
        followers = ",".join(f'"{ident}"' for ident in rng.sample(everyone, number % 3))
        about = f'"name":"{escaped(name)}","description":"{escaped(name.capitalize())}"'
        data = f'{about},"follower_ids":[{followers}],"created_at":"{clock.utc(before)}"'
        setting.lines.append(ids.line("tag", setting.tags[-1], before, data))
    for number, (kind, name) in enumerate(CAMPAIGNS):
        setting.campaigns.append(f"camp_{ids.tag}{number:02d}")
        data = f'"type":"{kind}","name":"{escaped(name)}","created_at":"{clock.utc(before + number * DAY)}"'
        setting.lines.append(ids.line("campaign", setting.campaigns[-1], before, data))
    _leavers(setting, ids, before)
    return setting


def _leavers(setting: Setting, ids: Ids, before: int) -> None:
    """A tag and a topic that were made by mistake, and deleted again; a delete carries no data."""
    for kind in ("tag", "topic"):
        ident = f"{kind}_{ids.tag}zz"
        setting.lines.append(ids.line(kind, ident, before, '"name":"test"'))
        setting.lines.append(f'{ids.head(kind)}{ident}","op":"delete","version":{before + 1}}}\n')


def _channels(setting: Setting, ids: Ids, clock: Clock, group: str, number: int, at: int) -> None:
    share, found = 0.0, []
    total = sum(weight for _, weight in MEDIUMS)
    for index, (medium, weight) in enumerate(MEDIUMS):
        ident, bot = f"chan_{ids.tag}{number}{index}", f"bot_{ids.tag}{number}{index}"
        share += weight / total
        served = medium not in ("Email", "SMS")
        name = ("Ada", "Robin", "ロボ")[number]
        local = clock.zones.get(GROUPS[group]) if index % 3 == 1 else None
        found.append((share, Channel(ident, medium, group, bot if served else None, escaped(name), local)))
        setting.lines.append(
            ids.line("channel", ident, at, f'"medium":"{medium}","name":"Acme {medium} {group}","display_name":"Acme {group.title()}"')
        )
        if served:
            data = f'"name":"{escaped(name)}","kind":"virtual_agent","channel_id":"{ident}","created_at":"{clock.utc(at)}"'
            setting.lines.append(ids.line("bot", bot, at, data))
    setting.channels[group] = found
    for kind in ("support_bot", "channel_bot"):
        ident = f"{kind.split('_', maxsplit=1)[0]}bot_{ids.tag}{number}"
        name = f"{kind.replace('_', ' ').title()} {group}"
        data = f'"name":"{name}","kind":"{kind}","channel_id":"{found[0][1].id}","created_at":"{clock.utc(at)}"'
        setting.lines.append(ids.line("bot", ident, at, data))
        if kind == "support_bot":
            setting.support_bots.append(ident)


def _agents(
    setting: Setting, ids: Ids, rng: random.Random, seed: int, clock: Clock, regions: list[Region], group: str, conversations: int, at: int
) -> None:
    teams = []
    for index, name in enumerate(TEAMS):
        teams.append(f"team_{ids.tag}{group.lower()}{index}")
        setting.lines.append(ids.line("team", teams[-1], at, f'"name":"{escaped(f"{name} {group}")}"'))
    found = []
    for number in range(min(80, 4 + conversations // 2500)):
        who = person(seed + 1, regions[rng.randrange(len(regions))], number + 900_000)
        ident, team = f"agent_{ids.tag}{group.lower()}{number:02d}", teams[0 if number % 2 else number // 2 % 4]
        login = f"{who.handle.rstrip('0123456789')}.{group.lower()}{number}"
        data = (
            f'"name":"{who.name}","email":"{login}@support.acme.example","reference":"{number:03d}","team_id":"{team}",'
            f'"account_id":"{10_000 + number}","username":"{login}","role":"{"member" if number else "owner"}",'
            f'"removed":{"true" if number == 3 else "false"},"created_at":"{clock.utc(at)}","operator":{"true" if number % 4 else "false"},'
            f'"default_group_watch":"{("all", "info", "none")[number % 3]}","operator_email_reminder":false'
        )
        setting.lines.append(ids.line("agent", ident, at, data))
        found.append(Agent(ident, who.name, team, clock.zones[GROUPS[group]]))
    setting.agents[group] = found


def presences(setting: Setting, ids: Ids, rng: random.Random, clock: Clock, conversations: int) -> Iterator[tuple[int, str]]:
    """(from, line) of the agents' presences day by day; fewer where there are few conversations."""
    agents = [agent for group in setting.agents.values() for agent in group]
    days = range(clock.first // DAY, -(-clock.end // DAY))
    share = min(1.0, (conversations + 40) / (2.2 * max(1, len(days) * len(agents))))
    number = 0
    for day in days:
        if weekday(day) >= 5:
            continue
        shifts = []
        for agent in agents:
            if rng.random() < share:
                start = day * DAY + 8 * HOUR + rng.randrange(90) * MINUTE + rng.randrange(60_000) - agent.zone.offset(day * DAY)
                shifts.append((start, agent))
        for start, agent in sorted(shifts, key=lambda each: each[0]):
            pause, length = start + (3 * 60 + rng.randrange(90)) * MINUTE, rng.randrange(10, 60) * MINUTE
            spans = (
                (start, pause, None),
                (pause, pause + length, AWAY[rng.randrange(4)]),
                (pause + length, start + (480 + rng.randrange(60)) * MINUTE, None),
            )
            for begin, finish, away in spans:
                number += 1
                state = f'"type":"Away","away_state":"{away}"' if away else '"type":"Available"'
                to = f',"to":"{clock.utc(finish)}"' if finish < clock.end else ""
                data = f'"agent_id":"{agent.id}",{state},"from":"{clock.utc(begin)}"{to}'
                yield begin, ids.line("presence", f"pres_{ids.tag}{number:07d}", begin, data)
