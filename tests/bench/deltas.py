"""Deltas over a large organisation: a thousand changed messages, a changed name that they show, and a name that every row may show."""

import json
import secrets

import httpx

from tests.bench.context import Context
from tests.bench.data import FROM, TO, MessageSet, ensure_messages
from tests.bench.report import Section, seconds_cell
from tests.bench.stack import DIRECTORY_STORE, BenchError, Stack
from tests.bench.waybill import Caller

CHANGED = 1_000


def _send(stack: Stack, data: MessageSet, records: list[dict[str, object]]) -> None:
    headers = {"Authorization": f"Bearer {stack.api_key(data.org_id)}"}
    body = "".join(json.dumps(record) + "\n" for record in records).encode()
    answer = httpx.post(f"{stack.env['WAYBILL_URL']}/v1/records", content=body, headers=headers, timeout=60, trust_env=False)
    if answer.status_code != 200 or answer.json()["refused_count"]:
        raise BenchError(f"POST /v1/records: {answer.status_code} {answer.text[:300]}")


def _messages(stack: Stack, data: MessageSet) -> list[dict[str, object]]:
    """Every so many messages, with another text each time."""
    found = stack.sql(
        "SELECT id, conversation_id, created_at FROM ingest.messages_current WHERE org_id = %s AND hashtext(id) %% %s = 0 LIMIT %s",
        data.org_id, max(1, data.rows // CHANGED // 2), CHANGED,
    )  # fmt: skip
    return [
        {"type": "message", "id": id_, "data": {"conversation_id": talk, "created_at": at.isoformat(), "content": secrets.token_hex(20)}}
        for id_, talk, at in found
    ]


def deltas(context: Context) -> Section:
    """From the request to the last file, beside a whole export of the same rows."""
    stack = context.stack
    stack.up(WAYBILL_STORE=DIRECTORY_STORE)
    data, lines = ensure_messages(stack, context.rows), []
    (contact,) = stack.sql(
        "SELECT contact_id FROM ingest.conversations_current WHERE org_id = %s AND contact_id IS NOT NULL LIMIT 1", data.org_id
    )[0]
    (agent,) = stack.sql("SELECT id FROM ingest.agents_current WHERE org_id = %s LIMIT 1", data.org_id)[0]
    changes = {
        "1,000 changed messages": lambda: _messages(stack, data),
        "a contact's name": lambda: [{"type": "contact", "id": contact, "data": {"primary_identifier": secrets.token_hex(4), "created_at": FROM}}],
        "an agent's name: every row is looked at": lambda: [{"type": "agent", "id": agent, "data": {"name": secrets.token_hex(4)}}],
    }  # fmt: skip
    with Caller(stack, data.org_id) as caller:
        whole = [caller.run({"dataset": "messages", "format": "csv", "from": FROM, "to": TO}) for _ in range(context.rounds)]
        lines.append(["a whole export", f"{whole[-1].rows:,}", "", seconds_cell([done.seconds for done in whole])])
        base = whole[-1]
        for name, made in changes.items():
            runs = []
            for _ in range(context.rounds):
                _send(stack, data, made())
                runs.append(caller.run({"dataset": "messages", "since": base.id}))
                base = runs[-1]
            excluded = sum(each["rows"] for each in runs[-1].export["excluded"])
            lines.append([name, f"{runs[-1].rows:,}", f"{excluded:,}", seconds_cell([done.seconds for done in runs])])
            context.say(f"{name}: {', '.join(f'{done.seconds:.2f} s' for done in runs)}")
    notes = [f"{data.rows:,} messages as CSV into a directory; each delta since the export before."]
    return Section("deltas", "Deltas", ["What changed", "Rows written", "Looked at besides", "Time"], lines, notes)
