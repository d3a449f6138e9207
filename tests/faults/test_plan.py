"""The script of a round: the same for the same seed, and every fault, way and state somewhere among the seeds."""

import hashlib
from collections import Counter, defaultdict

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.faults.plan import (
    DEPENDENCIES,
    FIRST_LINKS,
    FIRST_SERVICES,
    FIRST_TOPICS,
    LATER_FROM,
    SCHEDULE_STAGES,
    SCHEDULES_FROM,
    SCORE_TOPICS,
    SENDS_SHOWN,
    STAGES,
    STORE_SAYS_NO,
    faults_known,
    faults_known_later,
    faults_known_of_schedules,
    plan,
)  # fmt: skip
from tests.faults.records import MARKED, PULSES, current

SEEDS = st.integers(0, 2**40)


@settings(deadline=None)
@given(SEEDS)
def test_a_seed_is_a_script(seed: int) -> None:
    assert plan(seed) == plan(seed)


@settings(deadline=None)
@given(SEEDS)
def test_a_script_can_be_played(seed: int) -> None:
    script = plan(seed)
    assert 2 <= len(script.base) <= 3
    assert [ask.number for ask in script.asks] == list(range(len(script.asks)))
    for ask in script.asks:
        assert ask.organisation < len(script.base)
        assert 0 <= ask.after < SENDS_SHOWN
        assert not (ask.wrong and ask.cancel)
    for fault in script.faults:
        assert (fault.kind, fault.target) in (*faults_known(), *faults_known_later(), *faults_known_of_schedules())
        moment = fault.moment
        if moment.export is None and moment.stage:
            assert moment.stage in SCHEDULE_STAGES
        elif moment.export is None:
            assert 0 <= moment.twelfths <= SENDS_SHOWN
        else:
            assert moment.stage in STAGES
            assert not script.asks[moment.export].wrong


@settings(deadline=None)
@given(SEEDS)
def test_what_must_be_there_does_not_hang_on_the_order_of_arrival(seed: int) -> None:
    """Both ways run side by side, so only ids without versions, which go by Kafka alone, may depend on order."""
    script = plan(seed)
    for organisation in range(len(script.base)):
        sent = script.sent(organisation)
        versioned = [r for r in sent if r.version is not None]
        assert current(versioned) == current(list(reversed(versioned)))
        assert {r.type for r in sent} <= MARKED.keys()
        plain = {r.id for r in sent if r.version is None and r.op != "erase"}
        assert not plain & {r.id for r in versioned}
        over_http = {r.id for s in script.sends if s.organisation == organisation and s.way != "kafka" for r in s.records}
        assert not over_http & {r.id for s in script.sends if s.organisation == organisation for r in s.records if r.version is None}


@settings(deadline=None)
@given(SEEDS)
def test_pulses_are_atomic_and_in_order(seed: int) -> None:
    script = plan(seed)
    seen: dict[int, int] = defaultdict(lambda: 1)
    for send in script.sends:
        if send.way == "atomic":
            assert len(send.records) == 2 * PULSES
            assert {r.version for r in send.records} == {seen[send.organisation] + 1}
            seen[send.organisation] += 1


def test_seeds_in_a_row_go_through_every_fault() -> None:
    known = faults_known()
    first = {(s.faults[0].kind, s.faults[0].target) for s in map(plan, range(1000, 1000 + len(known)))}
    assert first == set(known)
    kinds = defaultdict(set)
    for kind, target in known:
        kinds[kind].add(target)
    assert kinds["kill"] == kinds["freeze"] == kinds["stop"] == set(FIRST_SERVICES)
    assert kinds["crash"] == kinds["restart"] == set(DEPENDENCIES)
    assert kinds["cut"] == kinds["hang"] == kinds["slow"] == {f"{s}>{d}" for s, d in FIRST_LINKS} | {f"*>{d}" for d in DEPENDENCIES}
    assert kinds["repeat"] == set(FIRST_TOPICS)


def test_what_was_learned_later_comes_once_a_round_and_changes_no_earlier_script() -> None:
    later = faults_known_later()
    seeds = range(LATER_FROM, LATER_FROM + len(later))
    assert {(s.faults[-1].kind, s.faults[-1].target) for s in map(plan, seeds)} == set(later)
    assert not [f for seed in range(0, LATER_FROM, 9) for f in plan(seed).faults if (f.kind, f.target) in later]
    assert {s.refusal for s in map(plan, seeds)} == {None, *STORE_SAYS_NO.values()}
    assert {target for kind, target in later if kind == "repeat"} == set(SCORE_TOPICS)


def test_schedules_come_into_rounds_from_their_first_seed_on_and_each_fault_of_theirs_at_both_stages() -> None:
    known, seeds = faults_known_of_schedules(), range(SCHEDULES_FROM, SCHEDULES_FROM + 2 * len(faults_known_of_schedules()))
    last = [plan(seed).faults[-1] for seed in seeds]
    assert {(f.kind, f.target, f.moment.stage) for f in last} == {(*f, stage) for f in known for stage in SCHEDULE_STAGES}
    assert all(plan(seed).windows_missed >= 2 and plan(seed).refusal is None for seed in seeds)
    assert not any(plan(seed).windows_missed for seed in (1000, LATER_FROM, SCHEDULES_FROM - 1))


def test_a_seed_means_for_good_what_it_meant() -> None:
    """Seeds are written down, and played again on later code."""
    scripts = "".join(repr(plan(seed)) for seed in range(1000, 1040))
    assert hashlib.sha256(scripts.encode()).hexdigest().startswith("2ec01d9c9bce6054")


def test_every_state_is_met_and_every_kind_of_export_asked_for() -> None:
    scripts = [plan(seed) for seed in range(300)]
    stages = Counter(f.moment.stage for s in scripts for f in s.faults)
    assert all(stages[stage] > 5 for stage in STAGES)
    assert stages[""] > 50
    assert sum(f.moment.during for s in scripts for f in s.faults) > 50
    assert not any(s.faults[0].moment.during for s in scripts)
    asks = [ask for s in scripts for ask in s.asks]
    assert {a.compression for a in asks} == {"none", "gzip", "zstd"}
    assert {name for a in asks for name in a.formats} == {"csv", "json", "jsonl", "txt"}
    assert {a.cancel for a in asks} == {None, *STAGES[:6]}
    for flag in ("wrong", "max_rows_per_file"):
        assert any(getattr(a, flag) for a in asks)
    assert any(r.bulk for s in scripts for r in s.base[1])
    assert {(s.way, r.op) for sc in scripts for s in sc.sends for r in s.records} >= {
        ("kafka", "delete"),
        ("http", "delete"),
        ("atomic", "upsert"),
    }
