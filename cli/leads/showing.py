"""Leads for people, or as JSON."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cli.output import Output
from cli.paging import rows_of

Row = Mapping[str, Any]


def path_of(lead_id: str) -> str:
    return f"/v1/leads/{quote(lead_id, safe='')}"


def list_leads(out: Output, answer: Row) -> None:
    _list(out, answer, "lastActiveAt", "last active", "No lead.")


def list_hits(out: Output, answer: Row) -> None:
    _list(out, answer, "matchField", "found in", "Nothing found.")


def _list(out: Output, answer: Row, last: str, header: str, empty: str) -> None:
    """A page of leads; `last` is what the last column shows of each."""
    if out.json_mode:
        out.document(answer)
        return
    names = ["id", "email", "name", "company", "status", "score"]
    out.table([*names, header], [[lead.get(n) for n in (*names, last)] for lead in rows_of(answer)], empty)
    _say_page(out, answer)


def show_lead(out: Output, lead: Row) -> None:
    if out.json_mode:
        out.document(lead)
        return
    fields = [(f"custom {name}", value) for name, value in (lead.get("customFields") or {}).items()]
    plain = [(name, value) for name, value in lead.items() if name not in ("customFields", "tags")]
    out.fields([*plain, ("tags", ", ".join(map(str, lead.get("tags") or []))), *fields])


def show_score(out: Output, score: Row) -> None:
    if out.json_mode:
        out.document(score)
        return
    out.fields(
        [
            ("lead", score.get("leadId")),
            ("score", score.get("score")),
            ("model version", score.get("modelVersion")),
            ("scored at", score.get("scoredAt")),
        ]
    )
    out.table(
        ["rule", "points"], [[reason.get("rule"), reason.get("points")] for reason in score.get("reasons") or []], "No rule gave points."
    )


def _say_page(out: Output, answer: Row) -> None:
    page = answer.get("pagination") or {}
    if page.get("hasMore"):
        out.note(
            f"Page {page.get('page')} of {page.get('totalPages')}, {page.get('total')} leads in all; --page {int(page.get('page') or 1) + 1} goes on."
        )
