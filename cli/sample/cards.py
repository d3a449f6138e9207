"""What a conversation is about and with whom: the records of itself, its contact and its lead."""

from cli.sample.clock import HOUR
from cli.sample.people import ATTRIBUTES, INDUSTRIES, PLANS
from cli.sample.pools import escaped
from cli.sample.rows import Rows

INTENTS = ("order_status", "billing", "pricing", "support", "returns", "demo_request")
COMPLETED = ("Successful", "Successful", "Successful", "Skipped", "Customer did not respond", "Customer's response was not recognized")
COMMENTS = ("Sehr hilfreich!", "too slow", "Merci, très aimable.", "👍", "", "ありがとうございました", 'It took three days, "really".')


def truth(value: bool) -> str:
    return "true" if value else "false"


class Cards(Rows):
    """Adds the records that are written twice: as the conversation begins, and as it ends (the same id, a higher version)."""

    def _state(self, at: int, *, final: bool) -> None:
        """The conversation itself: as it begins, and as it is in the end (the same id, a higher version)."""
        rng, who, channel = self._rng, self._who, self._channel
        parts = [f'"channel_id":"{channel.id}","contact_id":"contact_{self._ids.tag}{who.code}","status":"{self._status}"']
        parts.append(f'"language":"{self._region.language.name}","url":"https://care.acme.example/c/{self._number:x}"')
        if who.lead:
            parts.append(f'"lead_id":"lead_{self._ids.tag}{who.code}"')
        if channel.medium == "Web chat" or who.lead:
            parts.append(f'"visitor_id":"visitor_{self._ids.tag}{who.code}"')
        start = self._started
        parts.append(f'"created_at":"{self._at(start)}"')
        if final:
            parts += self._outcome()
        if self._number % 9 == 0:
            browser = ("Firefox", "Safari", "Chrome")[self._number % 3]
            parts.append(
                f'"metadata":{{"browser":"{browser}","screens":[{self._number % 4},1]}},"parameters":{{"utm_source":"newsletter"}}'
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
            parts.append(f'"qualification_triggered":{truth(self._score is not None)},"meeting_booked":{truth(booked)}')
            parts.append(f'"engagement_score":{min(100.0, self.messages * 6 + int(rng.random() * 60) / 2)}')
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
            where = f'"country":"{self._region.country}","time_zone":"{self._region.zone}"'
            parts.append(f'"profile":{{{where},"orders":{draw.randrange(40)},"vip":{truth(draw.random() < 0.1)}}}')
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
        source = "chat" if self._channel.medium == "Web chat" else "form"
        parts = [f'"email":"{who.email}","name":"{who.name}","status":"{status}","source":"{source}"']
        parts += [f'"{key}":"{value}"' for key, value in (("company", who.company), ("title", who.title), ("phone", who.phone)) if value]
        parts.append(
            f'"source_url":"https://www.acme.example/{("pricing", "demo", "")[self._number % 3]}","last_intent":"{INTENTS[self._topic]}"'
        )
        if self._assigned and now > at:
            parts.append(f'"assigned_to":"{self._agent.id}"')
        tags = ",".join(
            f'"{tag}"' for tag in ("webinar", "newsletter", "Messe München", "q&a")[: self._number % 5 if self._number % 3 == 0 else 0]
        )
        parts.append(f'"tags":[{tags}],"custom_properties":{{{self._custom_properties()}}}')
        seen, last, became = self._clock.utc(at - HOUR), self._clock.utc(now), self._clock.utc(at)
        parts.append(f'"first_seen_at":"{seen}","last_activity_at":"{last}","created_at":"{became}","updated_at":"{last}"')
        self.lines.append(self._ids.line("lead", f"lead_{self._ids.tag}{who.code}", now, ",".join(parts)))

    def _custom_properties(self) -> str:
        n = self._number
        if n % 4 == 0:
            return ""
        return (
            f'"plan":"{PLANS[n // 4 % 4]}","seats":{1 + n * 7919 % 500},"newsletter":{truth(n % 2 == 1)},"industry":"{INDUSTRIES[n % 8]}"'
        )
