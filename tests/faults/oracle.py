"""What must be true after a round, whatever went wrong in it. Pure: facts in, violations out.

`Facts` is what collect.py found; nothing here asks the product, and nothing here is the product's code.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from tests.faults.plan import Ask
from tests.faults.records import PULSES, Record, current, current_data
from tests.scoring import oracle as scoring

ENDS = ("completed", "failed", "cancelled", "expired")
ONCE = ("accepted", "started", "completed", "failed", "cancelled", "expired")
Row = tuple[int | None, str | None]  # version, mark


@dataclass(frozen=True)
class FileFacts:
    """One file: as the export shows it, as the manifest shows it, as it was downloaded, and as it is without faults."""

    name: str
    format: str
    rows: int
    bytes: int
    sha256: str
    manifest_rows: int
    manifest_sha256: str
    parts_rows: int
    actual_bytes: int
    actual_sha256: str
    actual_rows: int | None  # null: the format doesn't tell rows apart
    reference_sha256: str
    again_sha256: str | None = None  # of the same file of a rerun, where one was asked for
    strangers: tuple[str, ...] = ()  # tokens of other organisations in it


@dataclass(frozen=True)
class ExportFacts:
    """One ask and what became of it. `found`: the exports of its key. `pulses`: (format, generation) → records of it in the files."""

    ask: Ask
    key: str
    floor: int
    removed: int | None
    found: tuple[str, ...]
    status: str = ""
    error: str = ""
    rows_planned: int = 0
    rows_written: int = 0
    rows_excluded: int = 0
    deleted: bool = False
    files: tuple[FileFacts, ...] = ()
    pulses: Mapping[tuple[str, int], int] = field(default_factory=dict)
    events: tuple[tuple[str, str], ...] = ()  # (type without its prefix, ce_id), of the export's id or, refused, of its key
    webhooks: tuple[tuple[str, str], ...] = ()  # (type without its prefix, webhook-id), as the organisation's endpoint heard them


@dataclass(frozen=True)
class OrganisationFacts:
    """One organisation: what it sent in an order that has the same end, and what is there, in the tables and in a last undisturbed export."""

    org_id: str
    sent: tuple[Record, ...]
    rows: Mapping[tuple[str, str], Sequence[Row]]
    exported: Mapping[str, Sequence[tuple[str, str]]]  # record type → (id, mark) of each row
    answers: Mapping[str, int] = field(default_factory=dict)  # path of another organisation's → status
    scores: Mapping[str, scoring.Scored] = field(default_factory=dict)  # lead → (score, reasons) as kept
    scores_exported: Mapping[str, int] | None = None  # lead → score in that last export, where there was one


@dataclass(frozen=True)
class Facts:
    organisations: tuple[OrganisationFacts, ...]
    exports: tuple[ExportFacts, ...]
    letters: tuple[tuple[str, str], ...] = ()  # dead letters of the round: (topic, key)
    letters_due: tuple[str, ...] = ()  # keys that must be among those of records-dlq
    left: tuple[str, ...] = ()  # what lies in the store or in tables of exports that have ended
    wrong: tuple[str, ...] = ()  # what was seen on the way: a wrong answer, a process that didn't come back
    refusal: str | None = None  # the reason that an export may have failed with: the store was made to say no


def judge(facts: Facts) -> list[str]:
    """Every rule that was broken, in words; nothing where all hold."""
    found = [*facts.wrong]
    for organisation in facts.organisations:
        found += _records(organisation)
        found += _scores(organisation)
        found += [f"{organisation.org_id} got {status} for {path}" for path, status in organisation.answers.items() if status != 404]
    for export in facts.exports:
        found += [
            f"export {export.ask.number} ({', '.join(export.found) or export.key}): {what}" for what in _export(export, facts.refusal)
        ]
    found += _ids(facts.exports)
    found += _letters(facts)
    return found + [f"left behind: {what}" for what in facts.left]


# ---- records


def _records(facts: OrganisationFacts) -> Iterator[str]:
    wanted = current(facts.sent)
    for key in sorted(wanted.keys() | facts.rows.keys()):
        rows = list(facts.rows.get(key, ()))
        if len(rows) > 1:
            yield f"{facts.org_id}: {'/'.join(key)} is there {len(rows)} times"
        elif key not in wanted:
            yield f"{facts.org_id}: {'/'.join(key)} is there as {rows[0]} and must not be"
        elif rows != [wanted[key]]:
            yield f"{facts.org_id}: {'/'.join(key)} is {rows[0] if rows else 'not there'} and must be {wanted[key]}"
    for kind, shown in facts.exported.items():
        must = {(id_, mark) for (type_, id_), (_, mark) in wanted.items() if type_ == kind}
        counted = Counter(shown)
        yield from (f"{facts.org_id}: the export lacks {kind} {row}" for row in sorted(must - counted.keys()))
        yield from (f"{facts.org_id}: the export has {kind} {row} {n} times" for row, n in counted.items() if n > 1 or row not in must)


def _scores(facts: OrganisationFacts) -> Iterator[str]:
    """Each lead that is there has the score that follows from what was sent, worked out once more from nothing else."""
    there = current_data(facts.sent, facts.org_id)
    wanted = {id_: scoring.score(id_, there, scoring.default_rules) for type_, id_ in there if type_ == "lead"}
    for lead in sorted(wanted.keys() | facts.scores.keys()):
        if facts.scores.get(lead) != wanted.get(lead):
            yield f"{facts.org_id}: the score of {lead} is {facts.scores.get(lead)} and must be {wanted.get(lead)}"
    if facts.scores_exported is not None and facts.scores_exported != {lead: score for lead, (score, _) in wanted.items()}:
        yield f"{facts.org_id}: the export's scores are {facts.scores_exported}"


# ---- exports


def _export(facts: ExportFacts, refusal: str | None) -> Iterator[str]:
    kinds = Counter(kind for kind, _ in facts.events)
    if facts.ask.wrong:
        if facts.found:
            yield "it must be refused, and was accepted"
        if not kinds["refused"]:
            yield "nobody was told that it is refused"
        return
    if len(facts.found) != 1:
        yield f"one key gave {len(facts.found)} exports"
        return
    if facts.removed == 204:
        if not facts.deleted:
            yield "it was deleted, and is there"
        return
    yield from _end(facts, kinds, refusal)
    if facts.status == "completed":
        yield from _whole(facts)
    elif facts.files:
        yield f"it is {facts.status} and shows files"


def _end(facts: ExportFacts, kinds: Counter[str], refusal: str | None) -> Iterator[str]:
    if facts.status not in ENDS:
        yield f"it never ended: it is {facts.status}"
        return
    due = "cancelled" if facts.removed == 202 else "completed"
    refused = facts.status == "failed" and refusal is not None and refusal in facts.error
    if facts.status != due and not refused:
        yield f"it is {facts.status} and must be {due} ({facts.error})"
    for kind in ("accepted", facts.status):
        if not kinds[kind]:
            yield f"nobody was told that it is {kind}"
    for kind in ENDS:
        if kinds[kind] and kind != facts.status:
            yield f"it is {facts.status}, and {kind} was told"
    told = {event_id for kind, event_id in facts.events if kind == facts.status}
    heard = set(facts.webhooks)
    if heard != {(facts.status, event_id) for event_id in told}:
        yield f"webhooks: {sorted(heard) or 'none'} came, due was {facts.status} as {sorted(told)}"


def _whole(facts: ExportFacts) -> Iterator[str]:
    if facts.rows_planned != facts.rows_written + facts.rows_excluded:
        yield f"{facts.rows_planned} rows planned, {facts.rows_written} written, {facts.rows_excluded} excluded"
    by_format: dict[str, int] = defaultdict(int)
    for file in facts.files:
        by_format[file.format] += file.rows
        yield from (f"{file.name}: {what}" for what in _file(file))
    for name in facts.ask.formats:
        if by_format[name] + facts.rows_excluded != facts.rows_planned:
            yield f"{by_format[name]} rows in {name} files, {facts.rows_planned} planned"
    yield from _instant(facts)


def _file(file: FileFacts) -> Iterator[str]:
    if {file.manifest_sha256, file.actual_sha256, file.sha256} != {file.reference_sha256}:
        yield (
            f"its bytes are not those of the same export without faults: file {file.actual_sha256[:12]}, shown {file.sha256[:12]}, "
            f"manifest {file.manifest_sha256[:12]}, without faults {file.reference_sha256[:12]}"
        )
    if file.again_sha256 is not None and file.again_sha256 != file.sha256:
        yield f"a rerun with nothing in its way has other bytes: {file.again_sha256[:12] or 'none'}, first {file.sha256[:12]}"
    if file.bytes != file.actual_bytes:
        yield f"{file.bytes} bytes shown, {file.actual_bytes} there"
    counts = {file.rows, file.manifest_rows, file.parts_rows, file.rows if file.actual_rows is None else file.actual_rows}
    if len(counts) > 1:
        yield f"rows: {file.rows} shown, {file.manifest_rows} in the manifest, {file.parts_rows} in its parts, {file.actual_rows} in the file"
    if file.strangers:
        yield f"it holds what belongs to {', '.join(file.strangers)}"


def _instant(facts: ExportFacts) -> Iterator[str]:
    """Records that change together: all of one generation, and none from before what was answered when the export was asked for."""
    if facts.ask.dataset == "conversations":
        return
    for name in facts.ask.formats:
        seen = {generation: n for (fmt, generation), n in facts.pulses.items() if fmt == name}
        if len(seen) != 1 or set(seen.values()) != {PULSES}:
            yield f"{name}: not one instant: records that change together are of {dict(sorted(seen.items()))}"
        elif min(seen) < facts.floor:
            yield f"{name}: generation {min(seen)}, and {facts.floor} was answered before it was asked for"


# ---- events, dead letters


def _ids(exports: Sequence[ExportFacts]) -> Iterator[str]:
    owners: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for export in exports:
        by_kind: dict[str, set[str]] = defaultdict(set)
        for kind, event_id in export.events:
            by_kind[kind].add(event_id)
            owners[event_id].add((export.key, kind))
        for kind in (*ONCE, "refused"):
            if len(by_kind[kind]) > 1:
                yield f"export {export.ask.number}: {kind} was told under {len(by_kind[kind])} ids"
    yield from (f"event id {event_id} is of {sorted(of)}" for event_id, of in owners.items() if len(of) > 1)


def _letters(facts: Facts) -> Iterator[str]:
    due, kept = set(facts.letters_due), {key for topic, key in facts.letters if topic == "records-dlq"}
    yield from (f"no dead letter for {key}" for key in sorted(due - kept))
    yield from (f"a dead letter in {topic} for {key}" for topic, key in facts.letters if topic != "records-dlq" or key not in due)
