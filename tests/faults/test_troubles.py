"""What befalls the deliveries of a round: the same for the same seed, and everything somewhere among seeds in a row."""

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.addresses import AddressRule
from services.delivery.core.destinations.problems import Code
from services.delivery.core.destinations.registry import all_kinds
from tests.faults.troubles import FIRST, INSIDE, LATER, LATER_FROM, MESSAGE_BYTES, MESSAGES, MORE, STAYS, TROUBLES, WAYS, plan


@given(st.integers(0, 2**40))
def test_a_seed_is_a_script(seed: int) -> None:
    troubles = plan(seed)
    assert plan(seed) == troubles
    assert len(troubles) == (TROUBLES if seed < LATER_FROM else FIRST + MORE)
    assert all(0 <= trouble.after < MESSAGES * MESSAGE_BYTES for trouble in troubles)


def test_seeds_in_a_row_go_through_all_of_it_for_every_type() -> None:
    seeds = range(LATER_FROM, LATER_FROM + len(LATER))
    found = {(trouble.type, trouble.kind) for seed in seeds for trouble in plan(seed)}
    known = {(type_, kind) for type_, kinds in WAYS.items() for kind in kinds}
    assert found == {*LATER, *known}
    assert {type_ for type_, _ in found} == set(all_kinds())
    for kind in ("kill", "stop", "cut", "hang", "die", "away"):
        assert {type_ for type_, each in found if each == kind} == set(all_kinds())


def test_a_seed_means_for_good_what_it_meant() -> None:
    scripts = "".join(f"{t.type} {t.kind} {t.after}\n" for seed in range(40) for t in plan(seed))
    assert hashlib.sha256(scripts.encode()).hexdigest().startswith("1303950c4f4d8a53")
    assert {(t.type, t.kind) for seed in range(300) for t in plan(seed)} == {
        (type_, kind) for type_, kinds in WAYS.items() for kind in kinds
    }


def test_what_a_delivery_may_fail_with_are_words_that_people_know() -> None:
    assert all(codes <= {*Code} for codes in STAYS.values())
    assert {trouble.codes for trouble in plan(LATER_FROM)} <= {frozenset(), *STAYS.values()}


def test_no_address_that_names_move_to_is_one_that_may_be_connected() -> None:
    assert [address for address in INSIDE if AddressRule(loopback=True).allows(address)] == []
