"""Previews through the gateway and on the command line: what would break is told before, where, and is what breaks then."""

import csv
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import Stack
from tests.e2e.conftest import Organisation

RANGE = {"from": "2026-03-01", "to": "2026-04-01"}
ASKED: dict[str, Any] = {"dataset": "messages", "formats": ["csv", "xlsx"], **RANGE}
LONG = 37  # which message is longer than a cell takes
WAYBILL = str(Path(sys.executable).with_name("waybill"))


def records() -> bytes:
    people = [{"type": "contact", "id": "ann", "data": {"primary_identifier": "ann@acme.example", "created_at": "2026-03-01T08:00:00Z"}},
              {"type": "conversation", "id": "c", "data": {"contact_id": "ann", "created_at": "2026-03-01T08:00:00Z"}}]  # fmt: skip
    said = [
        {"conversation_id": "c", "created_at": f"2026-03-02T08:{n:02}:00Z", "content": "x" * 40_000 if n == LONG else f"=1+{n}, said Ann"}
        for n in range(60)
    ]
    return b"".join(
        json.dumps(r).encode() + b"\n" for r in [*people, *({"type": "message", "id": f"m{n:02}", "data": d} for n, d in enumerate(said))]
    )


def test_what_would_break_is_told_before_and_where(stack: Stack, organisation: Organisation) -> None:
    assert organisation.send(records())["refused_count"] == 0
    shown = organisation.http.post("/v1/exports/preview", json=ASKED).raise_for_status().json()
    assert organisation.http.get("/v1/exports").json()["data"] == []
    (problem,) = shown["problems"]
    assert (problem["row"], problem["column"], shown["estimated_rows"], shown["estimate"]) == (LONG + 1, "Content", 60, "counted")
    assert {"agent_name", "content"} <= set(shown["personal_columns"])

    environment = {"WAYBILL_URL": stack.url, "WAYBILL_API_KEY": organisation.api_key, "PATH": "", "COLUMNS": "200"}
    flags = [
        "--dataset",
        "messages",
        "--format",
        "csv,xlsx",
        "--from",
        RANGE["from"],
        "--to",
        RANGE["to"],
        "--columns",
        "message_id,content",
    ]
    told = subprocess.run([WAYBILL, "exports", "preview", *flags], capture_output=True, text=True, env=environment, timeout=60)
    assert told.returncode == 0, told.stderr
    assert "content *" in told.stdout
    assert f"{LONG + 1}" in told.stdout.split("longer than a cell takes")[0].splitlines()[-1]

    failed = organisation.ended(organisation.ask(ASKED)["id"])
    assert (failed["status"], failed["error"]["code"]) == ("failed", "cell_too_long")
    assert f"row {LONG + 1}" in failed["error"]["message"].lower()
    made = organisation.completed(ASKED | {"formats": ["csv"]})
    content = organisation.download(made)
    _head, *rows = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    assert shown["rows"] == rows[:50]
    assert 0.8 * len(content) <= shown["estimated_bytes_by_format"]["csv"] <= 1.2 * len(content)
