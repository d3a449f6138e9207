"""Measuring side by side: A B A B …, medians, ratios."""

import os
import time
from collections.abc import Callable, Mapping
from statistics import median

Run = Callable[[], float | None]  # does the work once; its own measure of the seconds, None: take the wall clock around it


def interleave(runs: Mapping[str, Run], rounds: int, say: Callable[[str], None]) -> dict[str, list[float]]:
    """Run each in turn, `rounds` times over; the seconds of every run, by name. Written pages are flushed before each run, outside of its time."""
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(rounds):
        for name, run in runs.items():
            os.sync()
            started = time.perf_counter()
            own = run()
            seconds[name].append(time.perf_counter() - started if own is None else own)
            say(f"{name}: {seconds[name][-1]:.2f} s")
    return seconds


def ratio(ours: list[float], peer: list[float]) -> float:
    """The median of ours over the median of the peer's."""
    return median(ours) / median(peer)


def percentile(values: list[float], share: float) -> float:
    """Nearest-rank percentile; `share` from 0 to 1."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, -(-int(share * 1000) * len(ordered) // 1000) - 1))]
