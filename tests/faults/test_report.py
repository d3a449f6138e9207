"""What is told of rounds."""

import json

from tests.faults.faults import Befallen
from tests.faults.plan import Fault, Moment
from tests.faults.report import deliveries, entry, figures, lines
from tests.faults.runner import Result

KILL = Befallen(Fault("kill", "delivery", Moment(2, "part")), 1.0, 2.5)
HANG = Befallen(Fault("hang", "ingest>kafka", Moment(None, twelfths=3), 4.0), 10.0, 14.0, late=True)


def result(seed: int, violations: list[str], recovery: float = 1.0) -> Result:
    return Result(seed, [KILL, HANG], violations, 12.0, recovery, 900, 5, ["s3 ended by itself"])


def test_a_round_is_told_with_its_seed_what_it_did_and_how_long_recovery_took() -> None:
    told = "\n".join(lines(result(7, ["export 2: lost"], 1.25)))
    for part in (
        "seed 7: FAILED",
        "recovered in 1.2 s",
        "kill delivery @ export 2 part",
        "moment did not come",
        "✗ export 2: lost",
        "s3 ended",
    ):
        assert part in told


def test_the_log_becomes_figures() -> None:
    rounds = [json.loads(entry(result(seed, ["lost"] if seed == 3 else [], seed), "abc" if seed < 5 else "def")) for seed in range(1, 9)]
    page = figures(rounds)
    assert "8 rounds, 1 of them failed; 4 passed on the last commit." in page
    assert "| `abc` | 4 | 3 | 2.0 s | 4.0 s | 4.0 s |" in page
    assert "| `def` | 4 | none |" in page
    assert "| kill delivery | 8 | 1 |" in page
    assert "| hang the way to kafka | 8 | 1 |" in page


def test_the_log_of_deliveries_becomes_a_table() -> None:
    def trouble(what: str, status: str, seconds: float) -> dict[str, object]:
        return {"what": what, "after": 1, "status": status, "seconds": seconds}

    page = deliveries([
        {"seed": 4000, "ok": True, "troubles": [trouble("cut sftp", "delivered", 2.0), trouble("away s3", "failed", 12.0)]},
        {"seed": 4001, "ok": False, "troubles": [trouble("cut sftp", "delivered", 4.0)], "wrong": ["lost"]},
    ])  # fmt: skip
    assert "2 rounds of deliveries, 1 of them failed (seeds 4001)." in page
    assert "| cut sftp | 2 | 2 | 0 | 3.0 | 4.0 |" in page
    assert "| away s3 | 1 | 0 | 1 | 12.0 | 12.0 |" in page
