"""How a round is told: on the screen, in the log, and in docs/reliability.md, whose figures are worked out from the log."""

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from deploy.local.state import ROOT
from tests.faults.runner import Result

if TYPE_CHECKING:
    from tests.faults.bringing import Round

LOG, DELIVERIES = Path(__file__).with_name("log.jsonl"), Path(__file__).with_name("deliveries.jsonl")
PAGE = ROOT / "docs" / "reliability.md"
MARKS = "<!-- {}: begin -->", "<!-- {}: end -->"


def lines(result: Result) -> list[str]:
    """A round for a person: a line, and one for each fault, violation and note."""
    verdict = "FAILED" if result.violations else "ok"
    told = [
        f"seed {result.seed}: {verdict}, {result.seconds:.1f} s, recovered in {result.recovery:.1f} s "
        f"({result.records} records, {result.exports} exports)"
    ]
    for befallen in result.faults:
        late = ", whose moment did not come" if befallen.late else ""
        note = f" ({befallen.note})" if befallen.note else ""
        told.append(f"    {befallen.fault}: {befallen.begun:.1f} to {befallen.ended:.1f} s{late}{note}")
    return told + [f"    ✗ {what}" for what in result.violations] + [f"    · {what}" for what in result.notes]


def entry(result: Result, commit: str) -> str:
    """A round as a line of the log."""
    kept: dict[str, Any] = {
        "seed": result.seed, "commit": commit, "ok": not result.violations, "seconds": round(result.seconds, 1),
        "recovery": round(result.recovery, 1), "faults": [str(b.fault) for b in result.faults],
    }  # fmt: skip
    kept |= {"violations": result.violations[:10]} if result.violations else {}
    kept |= {"notes": result.notes} if result.notes else {}
    return json.dumps(kept, ensure_ascii=False)


def keep(result: Result, commit: str) -> None:
    """Add a round to the log, and bring the page's figures up to date."""
    _keep(LOG, entry(result, commit), "figures", figures)


def keep_deliveries(made: "Round", commit: str) -> None:
    """The same of a round of deliveries."""
    troubles = [
        {"what": f"{b.trouble.kind} {b.trouble.type}", "after": b.trouble.after, "status": b.status, "seconds": round(b.seconds, 1)}
        for b in made.befell
    ]
    kept: dict[str, Any] = {"seed": made.seed, "commit": commit, "ok": not made.wrong, "troubles": troubles}
    kept |= {"wrong": made.wrong[:10]} if made.wrong else {}
    _keep(DELIVERIES, json.dumps(kept, ensure_ascii=False), "deliveries", deliveries)


def _keep(log: Path, line: str, mark: str, told: Callable[[Sequence[Mapping[str, Any]]], str]) -> None:
    with log.open("a", encoding="utf-8") as file:
        file.write(line + "\n")
    rounds = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    begin, end = (each.format(mark) for each in MARKS)
    before, _, rest = PAGE.read_text("utf-8").partition(begin)
    PAGE.write_text(f"{before}{begin}\n{told(rounds)}\n{end}{rest.partition(end)[2]}", "utf-8")


def deliveries(rounds: Sequence[Mapping[str, Any]]) -> str:
    """The log of deliveries as a table: what befell them, how often, and what came of it."""
    by_kind: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in rounds:
        for trouble in each["troubles"]:
            by_kind[trouble["what"]].append(trouble)
    failed = [str(each["seed"]) for each in rounds if not each["ok"]]
    wrong = f"{len(failed)} of them failed (seeds {', '.join(failed)})" if failed else "none of them failed"
    told = [
        f"{len(rounds)} rounds of deliveries, {wrong}.",
        "",
        "| what befell it | times | delivered | given up at first | seconds to the end: median | longest |",
    ]
    told.append("|---|---|---|---|---|---|")
    for name, of in sorted(by_kind.items()):
        seconds, delivered = sorted(e["seconds"] for e in of), sum(e["status"] == "delivered" for e in of)
        told.append(f"| {name} | {len(of)} | {delivered} | {len(of) - delivered} | {statistics.median(seconds):.1f} | {seconds[-1]:.1f} |")
    return "\n".join(told)


def figures(rounds: Sequence[Mapping[str, Any]]) -> str:
    """The log in two tables: by commit, and by what went wrong."""
    by_commit: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    by_fault: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for each in rounds:
        by_commit[each["commit"]].append(each)
        for name in {_name(fault) for fault in each["faults"]}:
            by_fault[name].append(each)
    failed = [each for each in rounds if not each["ok"]]
    told = [
        f"{len(rounds)} rounds, {len(failed)} of them failed; {Counter(e['ok'] for e in by_commit[rounds[-1]['commit']])[True]} passed on the last commit."
    ]
    told += ["", "| commit | rounds | failed seeds | recovery: median | 95 % | longest |", "|---|---|---|---|---|---|"]
    for commit, of in by_commit.items():
        seeds = ", ".join(str(e["seed"]) for e in of if not e["ok"]) or "none"
        told.append(f"| `{commit}` | {len(of)} | {seeds} | {_recovery(of)} |")
    told += ["", "| what went wrong in the round | rounds | failed | recovery: median | 95 % | longest |", "|---|---|---|---|---|---|"]
    for name, of in sorted(by_fault.items()):
        told.append(f"| {name} | {len(of)} | {sum(not e['ok'] for e in of)} | {_recovery(of)} |")
    return "\n".join(told)


def _name(fault: str) -> str:
    """A fault as the log has it, without its moment and the service at the link's end."""
    kind, target = fault.split(" ")[:2]
    dependency = target.partition(">")[2]
    return f"{kind} the way to {dependency}" if dependency else f"{kind} {target}"


def _recovery(rounds: Sequence[Mapping[str, Any]]) -> str:
    seconds = sorted(e["recovery"] for e in rounds if e["ok"])
    if not seconds:
        return "– | – | –"
    return f"{statistics.median(seconds):.1f} s | {seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))]:.1f} s | {seconds[-1]:.1f} s"
