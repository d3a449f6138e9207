"""A few rounds of the fault suite, on a stack of its own. `make faults` runs as many as one wants."""

import math
import os
from collections.abc import Iterator

import pytest

from deploy.local.ports import free_base
from deploy.local.state import ROOT
from tests.faults import report
from tests.faults.bringing import houses, round_of
from tests.faults.runner import Session, rounds, session
from tests.faults.stack import FaultStack

# A formatter, delivery and a scheduler killed, a service frozen, ways cut and hung, messages repeated.
SEEDS = (1143, 3000, 2607)
BRINGING_SEED = 4002  # a full store, a name that moves inside, a recipient told to come again, delivery killed, a way cut


@pytest.fixture(scope="module")
def opened() -> Iterator[Session]:
    outside = dict(os.environ)
    os.environ["WAYBILL_PORT_BASE"] = str(free_base(start=30000))
    try:
        with session(FaultStack(ROOT / ".local-test-faults")) as found:
            yield found
    finally:
        os.environ.clear()
        os.environ.update(outside)


def test_nothing_is_lost_and_nothing_is_there_twice_whatever_goes_wrong(opened: Session) -> None:
    results = rounds(opened, SEEDS, math.inf, lambda result: print("\n".join(report.lines(result))))
    assert len(results) == len(SEEDS)
    broken = {result.seed: result.violations for result in results if result.violations}
    assert not broken, f"make faults SEED={min(broken)} ROUNDS=1 plays it again"


def test_every_file_is_at_its_destination_once_whatever_goes_wrong(opened: Session) -> None:
    with houses(opened.stack) as destinations:
        made = round_of(opened.stack, destinations, BRINGING_SEED)
    print("\n".join(made.lines))
    assert not made.wrong and len(made.befell) == 5
