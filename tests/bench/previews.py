"""Previews of every dataset: how long they take, and how far what they estimate is from the export that follows."""

import time
from collections import Counter
from collections.abc import Mapping
from statistics import median
from typing import Any

import httpx

from shared.datasets import registry
from tests.bench.binary import NESTED_ORG, ensure_nested
from tests.bench.context import Context
from tests.bench.data import ensure_care
from tests.bench.datasets import asked
from tests.bench.report import Section
from tests.bench.stack import DIRECTORY_STORE, BenchError, Stack
from tests.bench.timing import percentile
from tests.bench.waybill import Caller

PREVIEWS, PREVIEWS_QUICK = 10, 3
COLUMNS = ["Dataset", "Rows", "Formats", "p50", "p95", "Rows off by", "Bytes off by", "Seconds: estimated", "Taken"]


def _body(dataset: str) -> dict[str, object]:
    formats = sorted(registry.get(dataset).formats, key=("xlsx", "parquet", "pdf").count)  # rows are shown in the first
    return asked(dataset) | {"formats": formats}


def _previews(stack: Stack, org_id: str, body: Mapping[str, object], count: int) -> tuple[dict[str, Any], list[float]]:
    """The last answer, and what each took."""
    seconds: list[float] = []
    headers = {"Authorization": f"Bearer {stack.api_key(org_id)}"}
    with httpx.Client(base_url=stack.env["WAYBILL_URL"], headers=headers, timeout=60, trust_env=False) as http:
        for _ in range(count):
            started = time.perf_counter()
            answer = http.post("/v1/exports/preview", json=dict(body))
            seconds.append(time.perf_counter() - started)
            if answer.status_code != 200:
                raise BenchError(f"POST /v1/exports/preview of {body['dataset']}: {answer.status_code} {answer.text[:300]}")
    return dict(answer.json()), seconds


def _off(told: float, real: float) -> float:
    """By how much what was told is more or less, as a share."""
    return (told - real) / real if real else 0.0 if told == real else 1.0


def _line(told: Mapping[str, Any], export: Mapping[str, Any], seconds: list[float], taken: float) -> list[str]:
    sizes: Counter[str] = Counter()
    for file in export["files"]:
        sizes[file["format"]] += file["bytes"]
    rows = export["progress"]["rows_written"]
    off = {name: _off(told["estimated_bytes_by_format"][name], size) for name, size in sizes.items()}
    worst = max(off, key=lambda name: abs(off[name]))
    mark = "" if told["estimate"] == "counted" else f" ({told['estimate']})"
    return [
        f"`{told['dataset']}`", f"{rows:,}", ", ".join(sizes), f"{median(seconds):.2f} s", f"{percentile(seconds, 0.95):.2f} s",
        f"{_off(told['estimated_rows'], rows):+.0%}{mark}", f"{off[worst]:+.0%} ({worst})", f"{told['estimated_seconds']:.1f} s", f"{taken:.1f} s",
    ]  # fmt: skip


def previews(context: Context) -> Section:
    """A preview of every dataset in all of its formats over a third of the messages, then the export itself."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data = ensure_care(stack, context.rows // 3)
    ensure_nested(stack)
    lines = []
    for dataset in registry.names():
        org_id, body = NESTED_ORG if dataset == "leads" else data.org_id, _body(dataset)
        told, seconds = _previews(stack, org_id, body, PREVIEWS_QUICK if context.rounds == 1 else PREVIEWS)
        with Caller(stack, org_id) as caller:
            done = caller.run(body)
            caller.cancel_or_delete(done.id)
        lines.append(_line(told, done.export, seconds, done.seconds))
        context.say("  ".join(lines[-1]))
    notes = [
        f"{data.rows:,} messages and what belongs to them; `leads` are 200,000 with 300,000 conversations. Bytes are those of the format that is off by most; aim: 20 % for rows and bytes.",
        "Seconds are those of an export in all of the formats at once, with nothing else under way.",
    ]
    return Section("previews", f"Previews over {data.rows:,} messages", COLUMNS, lines, notes)
