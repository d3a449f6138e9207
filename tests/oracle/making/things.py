"""Things that others name: channels, teams, bots, people, leads; and when agents were there."""

from tests.oracle.making.organisation import SETTINGS
from tests.oracle.making.records import DAY, FIRST, HOUR, NUMBERS, Data, Records
from tests.oracle.texts import PEOPLE, SENDER_NAMES

MEDIA = ("Web chat", "Twitter", "Email", "WhatsApp", "SMS", 'Wéb, "chat"', "=medium")


class Things(Records):
    def channel(self) -> Data:
        medium = self.random.choice(MEDIA)
        return {"medium": medium, "name": f"{medium} EU" if self.luck(0.7) else self.text(), "display_name": self.maybe()}

    def team(self) -> Data:
        return {"name": self.text()}

    def topic(self) -> Data:
        return {"name": self.text()}

    def bot(self) -> Data:
        kind = self.random.choice(("virtual_agent", "virtual_agent", "virtual_agent", "support_bot", "channel_bot"))
        name = self.random.choice((*PEOPLE, ""))
        return {"name": name, "kind": kind, "channel_id": self.one("channel", 0.3), "created_at": self.maybe_stamp(self.start())}

    def tag(self) -> Data:
        return {
            "name": self.text(),
            "description": self.maybe(),
            "channel_id": self.one("channel", 0.3),
            "follower_ids": self.list_of("agent"),
            "created_at": self.maybe_stamp(self.start()),
        }

    def list_of(self, kind: str) -> list[str | None] | None:
        return self.random.choice((None, [], [self.one(kind)], [self.one(kind), self.one(kind)]))

    def campaign(self) -> Data:
        return {"type": self.random.choice(("oneTimeMsg", "campaign")), "name": self.maybe(), "created_at": self.maybe_stamp(self.start())}

    def agent(self) -> Data:
        watch = ("all", "info", "none", None)
        flag = (True, False, None)
        return {
            "name": self.random.choice(SENDER_NAMES),
            "email": f"agent{self._numbers['agent']}.{self.random.randrange(10**6)}@support.example" if self.luck(0.7) else None,
            "reference": self.maybe(),
            "team_id": self.one("team", 0.2),
            "channel_id": self.one("channel", 0.3),
            "account_id": self.maybe(),
            "username": self.maybe(),
            "mobile_number": self.random.choice(("+32470123456", "0032470123456", None)),
            "role": self.random.choice(("owner", "member", None)),
            "removed": self.random.choice(flag),
            "created_at": self.maybe_stamp(self.start()),
            **{f"default_{what}_watch": self.random.choice(watch) for what in ("group", "direct_chat", "user_chat")},
            "operator": self.random.choice(flag),
            "operator_email_reminder": self.random.choice(flag),
        }

    def contact(self) -> Data:
        at = self.start()
        return {
            "medium": self.random.choice((*MEDIA, None)),
            "primary_identifier": self.maybe(),
            "secondary_identifier": self.maybe(),
            "name": self.random.choice((*PEOPLE, "", None)),
            "email": f"c{self.random.randrange(10**9)}@mail.example" if self.luck(0.7) else None,
            "mobile_number": self.random.choice(("+32470123456", "0032470123456", None)),
            "member_id": self.random.choice(("12345678901234567890", "m1", "", None)),
            "lead_id": self.one("lead", 0.5),
            "profile": self.free(("plan", "age", "vip", "Région", 'a b"c', "😀", "=x")),
            "attributes": self.attributes(),
            "created_at": self.stamp(at),
            "updated_at": self.maybe_stamp(at + self.random.randrange(30 * DAY)),
        }

    def attributes(self) -> list[Data] | None:
        if self.luck(0.3):
            return self.random.choice((None, []))
        return [
            {"id": self.random.choice(("attr_1", "attr_2", "=attr", "é")), "name": self.text()}
            | self.random.choice(({}, {"value": None}, {"value": self.text()}, {"value": ""}))
            | self.random.choice(({}, {"type": "Freeform"}, {"type": "Dropdown"}, {"type": None}))
            for _ in range(self.random.randint(1, 4))
        ]

    def lead(self) -> Data:
        at = self.start()
        name = self.random.choice((*PEOPLE, "", None))
        return {
            "email": f"{self.random.choice(('jane', 'josé', 'x+y', 'O.Brien'))}{self.random.randrange(10**9)}@{self.random.choice(('acme.example', 'GMAIL.com'))}",
            "name": name,
            "company": self.random.choice(("Acme Corp", "株式会社", "Müller & Söhne, GmbH", "=Evil", "50% off", "", None)),
            "title": self.random.choice(("Engineer", "VP", None)),
            "phone": self.random.choice(("+1-555-0123", "01234567890123456789", "=5", None)),
            "status": self.random.choice(("new", "qualified", "contacted", "converted", "lost", None)),
            "source": self.random.choice(("chat", "api", "import", "form", None)),
            "source_url": self.random.choice(("https://yoursite.example/pricing?utm=a,b", 'https://例え.example/道?q="x"', "", None)),
            "tags": self.random.choice(
                (None, [], ["webinar"], ["webinar", "enterprise"], ["=tag"], ["a,b", "é", "e\u0301"], [""], ["é", "é"])
            ),
            "assigned_to": self.random.choice((self.one("agent"), "alex@yourteam.example", None)),
            "custom_properties": self.properties(),
            "last_intent": self.random.choice(("demo_request", "", None)),
            "first_seen_at": self.maybe_stamp(at - HOUR),
            "last_activity_at": self.maybe_stamp(at + self.random.randrange(30 * DAY)),
            "created_at": self.stamp(at),
            "updated_at": self.maybe_stamp(at + self.random.randrange(30 * DAY)),
        }

    def properties(self) -> Data | None:
        """Also of another type than declared, and undeclared ones."""
        if self.luck(0.2):
            return self.random.choice((None, {}))
        names = (*(made["name"] for made in SETTINGS["custom_properties"][:-1]), "undeclared", "\ue000", "😀")
        return {
            name: self.random.choice((self.text(), self.text(), self.random.choice(NUMBERS), True, False, None))
            for name in self.random.sample(names, self.random.randrange(len(names)))
        }

    # --- presence

    def presences(self, agent: str) -> None:
        """One after another, over ends of ranges, some of no length; a last one open at times."""
        at = self.random.choice((FIRST - 20 * DAY, self.start()))
        for _ in range(self.random.randrange(8)):
            end = self.random.choice(
                (at, at + 1, at + self.random.randrange(3 * DAY), at + self.random.randrange(60 * DAY), max(at, self.start()))
            )
            self.presence(agent, at, end)
            at = end + self.random.choice((0, 1, HOUR))
        if self.luck(0.4):
            self.presence(agent, at, None)

    def presence(self, agent: str, start: int, end: int | None) -> None:
        data = {
            "agent_id": agent,
            "type": self.random.choice(("Available", "Away")),
            "away_state": self.random.choice(("Lunch", "=away", "", None)),
            "from": self.stamp(start),
            "to": None if end is None else self.stamp(end),
        }
        self.add("presence", self.new_id("presence"), data)
