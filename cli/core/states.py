"""What an export's state means to someone who waits."""

from collections.abc import Mapping
from typing import Any

ENDED = frozenset({"completed", "failed", "cancelled", "expired"})


def has_ended(export: Mapping[str, Any]) -> bool:
    return export.get("status") in ENDED


def merged(export: dict[str, Any], news: object) -> dict[str, Any]:
    """`export` with what an event says: a whole export, or its progress alone. Anything else changes nothing."""
    if not isinstance(news, Mapping):
        return export
    known = {k: v for k, v in news.items() if k in export or k in ("status", "progress", "error", "files")}
    inside = {
        k: v
        for k, v in news.items()
        if k in ("percent", "rows_written", "rows_planned", "chunks_planned", "chunks_done", "eta_seconds", "queue_position")
    }
    result = {**export, **known}
    if inside:
        result["progress"] = {**(result.get("progress") or {}), **inside}
    return result


def line_of(export: Mapping[str, Any]) -> str:
    """State and progress in a few words: `formatting 42 % · 420,000 of 1,000,000 rows · 12 s left`, `formatting · 10,000 of 60,000 rows found so far`."""
    progress = export.get("progress") or {}
    words = [str(export.get("status", ""))]
    if export.get("status") not in ENDED and progress.get("percent") is not None:
        words[0] += f" {progress['percent']:.0f} %"
    written, planned = progress.get("rows_written"), progress.get("rows_planned")
    if written is not None and not planned:
        words.append(f"{written:,} rows")
    elif written is not None and planned is not None:
        # There is a percentage once the plan says how many there are: until then more are being found.
        whole = progress.get("percent") is not None or export.get("status") in ENDED
        words.append(f"{written:,} of {planned:,} rows" if whole else f"{written:,} of {planned:,} rows found so far")
    if progress.get("queue_position"):
        words.append(f"number {progress['queue_position']} in line")
    if progress.get("eta_seconds") is not None and export.get("status") not in ENDED:
        words.append(f"{progress['eta_seconds']:.0f} s left")
    return " · ".join(words)


def failure_of(export: Mapping[str, Any]) -> str | None:
    """Why an ended export is no success, None where it is one."""
    status = export.get("status")
    if status == "completed":
        return None
    error = export.get("error") or {}
    reason = f": {error.get('message')} ({error.get('code')})" if error else ""
    return f"{export.get('id')} ended {status}{reason}."
