"""What `doctor` found, and the pure half of finding it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    ok = "ok"
    note = "note"  # worth knowing, not wrong
    wrong = "wrong"


@dataclass(frozen=True)
class Finding:
    """One thing looked at. `advice` says what to do where `verdict` isn't ok."""

    name: str
    verdict: Verdict
    says: str
    advice: str = ""


@dataclass(frozen=True)
class GroupLag:
    """A consumer group's distance from the end of one topic, in messages."""

    group: str
    topic: str
    lag: int
    members: int


def missing_topics(wanted: Mapping[str, int], found: Mapping[str, int]) -> list[str]:
    """What is wrong with the topics: each that isn't there, or has fewer partitions than its file says."""
    wrong = [f"{name} is not there" for name in sorted(wanted) if name not in found]
    return wrong + [
        f"{name} has {found[name]} of {wanted[name]} partitions" for name in sorted(wanted) if name in found and found[name] < wanted[name]
    ]


def lag_findings(lags: Iterable[GroupLag]) -> list[Finding]:
    """One finding a group: wrong where messages wait and nobody reads."""
    by_group: dict[str, list[GroupLag]] = {}
    for each in lags:
        by_group.setdefault(each.group, []).append(each)
    found = []
    for group, all_of in sorted(by_group.items()):
        lag, members = sum(each.lag for each in all_of), max(each.members for each in all_of)
        says = f"{lag:,} messages behind, {members} readers"
        if lag and not members:
            found.append(Finding(f"group {group}", Verdict.wrong, says, "Nobody reads: start the service, or look into its log."))
        else:
            found.append(Finding(f"group {group}", Verdict.ok, says))
    return found


CLOCK_NOTE_SECONDS, CLOCK_WRONG_SECONDS = 2.0, 30.0


def clock_finding(name: str, ahead_seconds: float) -> Finding:
    """How far another clock is ahead of this machine's."""
    off = abs(ahead_seconds)
    if off < CLOCK_NOTE_SECONDS:
        return Finding(name, Verdict.ok, "as here")
    says = f"{off:,.0f} s {'ahead of' if ahead_seconds > 0 else 'behind'} this machine's"
    verdict = Verdict.wrong if off >= CLOCK_WRONG_SECONDS else Verdict.note
    return Finding(name, verdict, says, "Let NTP set both clocks: signatures, expiry and leases are by the clock.")


def java_major(version_text: str) -> int | None:
    """The major version in what `java -version` prints: 17 of `openjdk version "17.0.15"`, 8 of `1.8.0_392`."""
    parts = version_text.split('"')
    if len(parts) < 2:
        return None
    numbers = parts[1].replace("-", ".").split(".")
    major = numbers[1] if numbers[0] == "1" and len(numbers) > 1 else numbers[0]
    return int(major) if major.isdecimal() else None
