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
    if out.json_mode:
        out.document(answer)
        return
    names = ("id", "email", "name", "company", "status", "score", "lastActiveAt")
    out.table(
        ["id", "email", "name", "company", "status", "score", "last active"],
        [[lead.get(n) for n in names] for lead in rows_of(answer)],
        "No lead.",
    )
    _say_page(out, answer)


def list_hits(out: Output, answer: Row) -> None:
    if out.json_mode:
        out.document(answer)
        return
    names = ("id", "email", "name", "company", "status", "score", "matchField")
    out.table(
        ["id", "email", "name", "company", "status", "score", "found in"],
        [[hit.get(n) for n in names] for hit in rows_of(answer)],
        "Nothing found.",
    )
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
