"""Runs rounds on one stack: load, faults, quiet, facts, verdict."""

import secrets
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from shared.topics import all_topics
from tests.faults.collect import Collector, new_organisation
from tests.faults.faults import Befallen, Faults
from tests.faults.kafka import EventLog, Kafka, Places
from tests.faults.load import Load
from tests.faults.oracle import Facts, judge
from tests.faults.plan import DEPENDENCIES, SERVICES, Script, plan
from tests.faults.reference import Reference
from tests.faults.scheduled import EXPORTS, RUNS, STATE, ScheduleFacts, begin, judge_schedule
from tests.faults.stack import FaultStack
from tests.faults.watch import RUNNING, Watch
from tests.faults.webhooks import Receiver

MOMENT_SECONDS = 8.0  # a moment that hasn't come by then is taken as come
SENT_SECONDS = 120.0  # one of the records' way in comes for certain, on a busy machine later
QUIET_SECONDS = 60.0
RECONCILED_SECONDS = 40.0  # an upload that nobody ended is removed once it is old, as are parts on the second round
RECONCILIATIONS = "/v1/operator/reconciliations"
RERUN_EVERY = 4  # one export in so many is asked for again once all is quiet


@dataclass
class Result:
    """A round as it went. `recovery`: seconds from the end of the last fault (or of the load, where that ended later) until all was done."""

    seed: int
    faults: list[Befallen]
    violations: list[str]
    seconds: float
    recovery: float
    records: int
    exports: int
    notes: list[str] = field(default_factory=list)


class Session:
    """A stack that is up, and the suite's own ways to it."""

    def __init__(self, stack: FaultStack) -> None:
        self.stack = stack
        self._kafka = Kafka(stack.env["WAYBILL_KAFKA"])
        self._events = EventLog(self._kafka)
        self._events.start()
        self._receiver = Receiver()
        self._reference = Reference(_formatter_dsn(stack))
        self._collector = Collector(stack, self._kafka, self._reference)

    def close(self) -> None:
        self._events.stop()
        self._receiver.stop()
        self._reference.close()
        self._collector.close()

    def round(self, seed: int) -> Result:
        """One round. Its organisations are new, so that it depends on none before it."""
        script, started = plan(seed), time.monotonic()
        since = self._kafka.ends(all_topics())
        load = self._load(script)
        before = self.stack.pids()
        befallen = [Befallen(fault) for fault in script.faults]
        wrong, quiet_at = self._disturb(script, load, befallen, since)
        wrong += [b.wrong for b in befallen if b.wrong]
        try:
            violations = judge(self._facts(load, since, wrong))
            if load.watch.schedule_id:
                violations += [f"schedule: {what}" for what in judge_schedule(self._schedule(load))]
            violations += self._reconciled() if not violations else []
        except Exception as error:  # what the product does then must not hide what was seen before
            violations = [*wrong, f"the facts can't be had: {type(error).__name__}: {error}"]
        for organisation in load.organisations:
            organisation.http.close()
        over = max([load.ended_at, *(started + b.ended for b in befallen)])
        return Result(
            seed, befallen, violations, time.monotonic() - started, max(0.0, quiet_at - over), sum(len(s.records) for s in script.sends),
            len(script.asks), self._ended_by_themselves(before, befallen),
        )  # fmt: skip

    def _load(self, script: Script) -> Load:
        nonce = secrets.token_hex(3)
        with self.stack.operator as operator:
            organisations = [new_organisation(operator, self.stack.env["WAYBILL_URL"], f"of{nonce}x{i}z") for i in range(len(script.base))]
        for organisation in organisations:
            self._receiver.subscribe(organisation)
        keys = {a.number: f"{nonce}-{a.number}" for a in script.asks}
        due = sum(not a.wrong for a in script.asks)
        watch = Watch(self.stack.env["WAYBILL_DATABASE_URL"], keys, len(script.sends), due)
        load = Load(script, organisations, self._kafka, watch)
        load.base()
        if script.windows_missed:
            watch.schedule_id = begin(organisations[0].http, self.stack.env["WAYBILL_DATABASE_URL"], script.seed, script.windows_missed)
        return load

    # ---- the disturbed part

    def _disturb(self, script: Script, load: Load, befallen: list[Befallen], since: Places) -> tuple[list[str], float]:
        """Load and faults together, then wait until all is done. What was wrong on the way, and when it was quiet."""
        faults, started = Faults(self.stack, self._kafka, since, script.seed), time.monotonic()
        threads = [threading.Thread(target=self._befall, args=[faults, b, load.watch, started, befallen[0]], daemon=True) for b in befallen]
        for thread in threads:
            thread.start()
        lanes = load.start()
        load.finish(lanes)
        load.watch.load_is_over()
        for thread in threads:
            thread.join()
        assert self.stack.network
        self.stack.network.heal()
        wrong = [w for w in [self.stack.wait_ready((*DEPENDENCIES, *SERVICES))] if w]
        unfinished = self._wait_quiet(load)
        load.watch.stop()
        return [*wrong, *load.wrong, *unfinished, *self._kafka.failed], time.monotonic()

    def _befall(self, faults: Faults, befallen: Befallen, watch: Watch, started: float, first: Befallen) -> None:
        moment = befallen.fault.moment
        befallen.late = not watch.wait(moment, SENT_SECONDS if moment.is_certain else MOMENT_SECONDS)
        befallen.begun = time.monotonic() - started
        if befallen is first:
            watch.first_fault_begins()
        try:
            faults.befall(befallen)
        except Exception as error:
            befallen.wrong = f"{befallen.fault}: {type(error).__name__}: {error}"
        befallen.ended = time.monotonic() - started

    def _wait_quiet(self, load: Load) -> list[str]:
        """Nothing once every message is acknowledged, every outbox empty and every export ended; else what is not, after a long while."""
        deadline, quiet, busy = time.monotonic() + QUIET_SECONDS, 0, []
        while quiet < 2 and time.monotonic() < deadline:
            busy = self._busy(load)
            quiet = 0 if busy else quiet + 1
            time.sleep(0.05)
        return [f"not done after {QUIET_SECONDS:.0f} s: {what}" for what in busy] if quiet < 2 else []

    def _busy(self, load: Load) -> list[str]:
        keys = {load.key_of(ask.number): ask for ask in load.script.asks if not ask.wrong}
        rows = self._collector.query("SELECT id, request_id, status FROM exports.exports WHERE request_id = ANY(%s)", list(keys))
        missing = keys.keys() - {row["request_id"] for row in rows}
        busy = [f"export {keys[key].number} is not accepted" for key in missing]
        busy += [f"export {keys[r['request_id']].number} ({r['id']}) is {r['status']}" for r in rows if r["status"] in RUNNING]
        if load.watch.schedule_id:
            (schedule,) = self._collector.query(STATE, load.watch.schedule_id)
            busy += ["the schedule has windows to run"] if schedule["due"] or schedule["open_run"] else []
        # In the order of the roads, so that what goes on its way between two looks is met by the second.
        if unpublished := self._collector.unpublished():
            busy.append(f"{unpublished} notes of leads to be scored are left")
        if unsent := self._collector.unsent():
            busy.append(f"{unsent} messages lie in outboxes")
        if not busy:
            busy = [f"{count} messages of {where} are not acknowledged" for where, count in self._kafka.lag().items()]
        if unheard := self._collector.unheard([organisation.org_id for organisation in load.organisations]):
            busy.append(f"{unheard} webhooks are not delivered")
        return busy

    # ---- the facts

    def _facts(self, load: Load, since: Places, wrong: list[str]) -> Facts:
        calm = not wrong
        while not self._events.caught_up():
            time.sleep(0.02)
        tokens = [organisation.token for organisation in load.organisations]
        keys = [*(load.key_of(ask.number) for ask in load.script.asks), *load.watch.ids.values()]
        events = self._events.heard(keys)
        heard = self._receiver.heard(tokens)
        wrong = wrong + [f"a webhook of {h.org_id} is {h.wrong}" for h in heard if h.wrong]
        exports = tuple(
            self._collector.export(
                load, asked, tokens, events, heard, again=calm and number % RERUN_EVERY == load.script.seed % RERUN_EVERY
            )
            for number, asked in load.asked.items()
        )
        organisations = tuple(
            self._collector.organisation(load, place, since, list(_paths(exports, not_of=place)), calm)
            for place in range(len(load.organisations))
        )
        left = self._collector.left([o.org_id for o in load.organisations], calm)
        due = tuple(f"{load.organisations[0].org_id}/lead/bad_{n}" for n in range(load.script.bad))
        letters = tuple(self._collector.letters(since))
        return Facts(organisations, exports, letters, due, tuple(left), tuple(wrong), load.script.refusal)

    def _reconciled(self) -> list[str]:
        """Store and tables agree once what crashed has been tidied up; else how they differ."""
        deadline, report = time.monotonic() + RECONCILED_SECONDS, dict[str, Any]()
        with self.stack.operator as operator:
            while time.monotonic() < deadline:
                asked = operator.post(RECONCILIATIONS, json={"repair": False}).raise_for_status().json()
                while asked["ended_at"] is None and time.monotonic() < deadline + RECONCILED_SECONDS:
                    time.sleep(0.2)
                    asked = operator.get(f"{RECONCILIATIONS}/{asked['id']}").raise_for_status().json()
                report = asked["report"] or {"error": asked["error"]}
                if report.get("agree"):
                    return []
        return [f"store and tables do not agree: {report}"]

    def _schedule(self, load: Load) -> ScheduleFacts:
        id_ = load.watch.schedule_id
        (state,), (count,) = self._collector.query(STATE, id_), self._collector.query(EXPORTS, id_)
        return ScheduleFacts(load.script.windows_missed, state["next_from"], self._collector.query(RUNS, id_), count["exports"])

    def _ended_by_themselves(self, before: dict[str, int | None], befallen: list[Befallen]) -> list[str]:
        ours = {b.fault.target for b in befallen if b.fault.kind in ("kill", "stop", "crash", "restart")}
        return [f"{name} ended by itself" for name, pid in self.stack.pids().items() if pid != before[name] and name not in ours]


def _paths(exports: tuple, not_of: int) -> Iterator[str]:  # type: ignore[type-arg]
    """What another organisation than `not_of` has: one of its exports, its manifest and a file."""
    for export in exports:
        if export.ask.organisation != not_of and export.files:
            base = f"/v1/exports/{export.found[0]}"
            yield from (base, f"{base}/manifest", f"{base}/files/{export.files[0].name}")
            return


def _formatter_dsn(stack: FaultStack) -> str:
    password = stack.state.load_secrets()["formatter_password"]
    return f"postgresql://waybill_formatter:{password}@{stack.ports.address('postgres')}/waybill"


@contextmanager
def session(stack: FaultStack) -> Iterator[Session]:
    """A stack brought up, and down again whatever happens. Raises StackError."""
    try:
        stack.up()
        opened = Session(stack)
        try:
            yield opened
        finally:
            opened.close()
    finally:
        stack.down()


def rounds(
    opened: Session, seeds: Iterable[int], seconds: float, tell: Callable[[Result], None], first_failure: bool = False
) -> list[Result]:
    """Rounds until the seeds or the seconds are over, or with the first that fails; `tell` hears of each."""
    deadline, results = time.monotonic() + seconds, []
    for seed in seeds:
        if results and time.monotonic() > deadline:
            break
        results.append(opened.round(seed))
        tell(results[-1])
        if first_failure and results[-1].violations:
            break
    return results
