"""Makes docs/metrics.md from the code: every metric that a module of shared/ or services/ defines.

`python -m tools.metrics_catalogue` says whether the page is up to date and whether every metric keeps to the rules; `--write` writes the page.
"""

import argparse
import importlib
import pkgutil
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from prometheus_client.metrics import MetricWrapperBase

import services
import shared

PAGE = Path(__file__).resolve().parent.parent / "docs" / "metrics.md"
NAME = re.compile(r"waybill(_[a-z0-9]+)+")
UNITS = ("_seconds", "_bytes", "_messages", "_rows")
IDS = {"org_id", "export_id", "key_id", "endpoint_id", "chunk", "file", "path", "url"}  # labels that would have no end
HEAD = """# Metrics

Made from the code by `python -m tools.metrics_catalogue --write`; `make check` fails where it is out of date. Each service shows its own at `/metrics` on its own
address. Counters are shown here as they are scraped, histograms without `_bucket`, `_sum` and `_count`. What makes alerts of them is in
`deploy/prometheus/alerts.yml`, with a page for each in [runbook/](runbook/README.md); a dashboard for Grafana is in `deploy/grafana/`.
"""


@dataclass(frozen=True)
class Entry:
    """One metric as it is scraped."""

    name: str
    kind: str
    labels: tuple[str, ...]
    says: str
    module: str


def entries() -> list[Entry]:
    """Every metric of the code, by module."""
    found = []
    for package in (shared, services):
        for info in sorted(pkgutil.walk_packages(package.__path__, f"{package.__name__}."), key=lambda i: i.name):
            if info.name.endswith(".__main__"):
                continue
            module = importlib.import_module(info.name)
            found += [_entry(value, info.name) for value in vars(module).values() if isinstance(value, MetricWrapperBase)]
    defined: dict[str, Entry] = {}
    for entry in sorted(found, key=lambda e: not e.module.endswith("metrics")):  # where it is imported, it is seen again
        defined.setdefault(entry.name, entry)
    return sorted(defined.values(), key=lambda e: (not e.module.startswith("shared"), e.module, e.name))


def _entry(metric: MetricWrapperBase, module: str) -> Entry:
    name = str(metric._name) + ("_total" if metric._type == "counter" else "")
    return Entry(name, str(metric._type), tuple(metric._labelnames), str(metric._documentation), module)


def problems(found: list[Entry]) -> list[str]:
    """What breaks the rules."""
    wrong = []
    for entry in found:
        if not NAME.fullmatch(entry.name):
            wrong.append(f"{entry.name}: must be waybill_<subject>_<what>_<unit>")
        if entry.kind == "histogram" and not entry.name.endswith(UNITS):
            wrong.append(f"{entry.name}: a histogram ends in its unit, one of {', '.join(UNITS)}")
        if not entry.module.endswith("metrics"):
            wrong.append(f"{entry.name}: belongs in a module called metrics, not in {entry.module}")
        if IDS & set(entry.labels):
            wrong.append(f"{entry.name}: the labels {', '.join(sorted(IDS & set(entry.labels)))} would have no end")
        if not entry.says or entry.says.endswith("."):
            wrong.append(f"{entry.name}: needs a help text, without a full stop")
    return wrong


def page(found: list[Entry]) -> str:
    parts = [HEAD]
    for module in dict.fromkeys(entry.module for entry in found):
        title = "Every service" if module == "shared.metrics" else module.removeprefix("services.").removesuffix(".metrics")
        first = (sys.modules[module].__doc__ or "").split("\n")[0]
        parts.append(f"\n## {title}\n\n{first}\n\n| metric | kind | labels | what it says |\n|---|---|---|---|\n")
        for entry in found:
            if entry.module == module:
                parts.append(f"| `{entry.name}` | {entry.kind} | {', '.join(f'`{label}`' for label in entry.labels)} | {entry.says} |\n")
    return "".join(parts)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write docs/metrics.md")
    found = entries()
    wrong = problems(found)
    if parser.parse_args().write:
        PAGE.write_text(page(found), "utf-8")
    if not PAGE.exists() or PAGE.read_text("utf-8") != page(found):
        wrong.append("docs/metrics.md is out of date: python -m tools.metrics_catalogue --write")
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(found)} metrics: {'ok' if not wrong else f'{len(wrong)} problems'}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
