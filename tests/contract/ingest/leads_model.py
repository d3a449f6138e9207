"""The Leads API and records of leads as a model in memory: what each operation must answer, and what it leaves, one after the other."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

UNKNOWN = "known to nobody yet"  # an entity tag
Life = tuple[str, str, str]  # e-mail, name, status


@dataclass(frozen=True)
class Answered:
    """What an operation on the service came to. `status` of a record: 200 where it was accepted, 0 where it was stale."""

    status: int
    lead_id: str = ""  # made, or the one that has the address already
    etag: str = ""


@dataclass(frozen=True)
class Held:
    """A lead that is there. `by_record`: what a record gave it, and nobody has changed since."""

    life: Life
    version: int | None
    etag: str
    by_record: bool


@dataclass(frozen=True)
class Model:
    """`seen`: ids of which something was ever held; `versions`: of deleted ones the highest version seen."""

    leads: Mapping[str, Held] = field(default_factory=dict)
    versions: Mapping[str, int] = field(default_factory=dict)
    seen: frozenset[str] = frozenset()
    erased: frozenset[str] = frozenset()

    def holders(self, email: str) -> set[str]:
        return {id_ for id_, held in self.leads.items() if held.life[0].lower() == email.lower()}

    def put(self, id_: str, held: Held) -> "Model":
        versions = {name: version for name, version in self.versions.items() if name != id_}
        return replace(self, leads={**self.leads, id_: held}, versions=versions, seen=self.seen | {id_})

    def without(self, id_: str) -> "Model":
        return replace(self, leads={name: held for name, held in self.leads.items() if name != id_})


@dataclass(frozen=True)
class Create:
    email: str
    name: str

    def fits(self, model: Model, answer: Answered) -> Model | None:
        """The model after it; null where it can't have been answered like this."""
        if holders := model.holders(self.email):
            return model if answer.status == 409 and answer.lead_id in holders else None
        if answer.status != 201 or answer.lead_id in model.seen:
            return None
        return model.put(answer.lead_id, Held((self.email, self.name, "new"), None, answer.etag, by_record=False))


@dataclass(frozen=True)
class Change:
    lead_id: str
    changes: Mapping[str, str]
    if_match: str | None

    def fits(self, model: Model, answer: Answered) -> Model | None:
        held = model.leads.get(self.lead_id)
        if held is None:
            return model if answer.status == 404 else None
        if self.if_match is not None and self.if_match != held.etag:
            return model if answer.status == 412 else None
        email, name, status = held.life
        taken = self.changes.get("email", email)
        if taken != email and (others := model.holders(taken) - {self.lead_id}):
            return model if answer.status == 409 and answer.lead_id in others else None
        if answer.status != 200:
            return None
        life = (taken, self.changes.get("name", name), self.changes.get("status", status))
        return model.put(self.lead_id, Held(life, held.version, answer.etag, by_record=False))


@dataclass(frozen=True)
class Erase:
    lead_id: str

    def fits(self, model: Model, answer: Answered) -> Model | None:
        known = self.lead_id in model.seen and self.lead_id not in model.erased
        if answer.status != (202 if known else 404):
            return None
        return replace(model.without(self.lead_id), erased=model.erased | {self.lead_id}) if known else model


@dataclass(frozen=True)
class Upsert:
    lead_id: str
    life: Life
    version: int | None

    def fits(self, model: Model, answer: Answered) -> Model | None:
        if (highest := _highest(model, self.lead_id, self.version)) is False:
            return model if answer.status == 0 else None
        if answer.status != 200:
            return None
        held = model.leads.get(self.lead_id)
        same = held is not None and held.by_record and (held.life, held.version) == (self.life, highest)
        return model.put(self.lead_id, Held(self.life, highest, held.etag if held and same else UNKNOWN, by_record=True))


@dataclass(frozen=True)
class Delete:
    lead_id: str
    version: int | None

    def fits(self, model: Model, answer: Answered) -> Model | None:
        if (highest := _highest(model, self.lead_id, self.version)) is False:
            return model if answer.status == 0 else None
        if answer.status != 200:
            return None
        gone = model.without(self.lead_id)
        if highest is None:
            return gone
        return replace(gone, versions={**gone.versions, self.lead_id: highest}, seen=gone.seen | {self.lead_id})


Operation = Create | Change | Erase | Upsert | Delete


def _highest(model: Model, lead_id: str, version: int | None) -> int | bool | None:
    """The highest version seen once a record has been applied; False where it is stale."""
    held = model.leads.get(lead_id)
    before = held.version if held else model.versions.get(lead_id)
    if lead_id in model.erased or (version is not None and before is not None and version <= before):
        return False
    return max((v for v in (version, before) if v is not None), default=None)


def view(model: Model) -> dict[str, Any]:
    return {id_: held.life for id_, held in model.leads.items()}


def with_etags(model: Model, etags: Mapping[str, str]) -> Model | None:
    """The model with the entity tags that the service shows; null where one is another than it answered."""
    if any(held.etag not in (UNKNOWN, etags[id_]) for id_, held in model.leads.items()):
        return None
    return replace(model, leads={id_: replace(held, etag=etags[id_]) for id_, held in model.leads.items()})
