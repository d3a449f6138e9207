"""What every measurement is given."""

from dataclasses import dataclass

from tests.bench.stack import Stack


@dataclass(frozen=True)
class Context:
    """A running stack and how much to measure."""

    stack: Stack
    rows: int  # of the large data set
    rounds: int  # runs of each side
    records: int  # of an ingest run
    small_runs: int

    def say(self, line: str) -> None:
        print(f"  {line}", flush=True)
