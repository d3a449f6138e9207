"""The cursor API: one walker, a page after the other, without its limit."""

import http.client
import re
import time
from statistics import median
from urllib.parse import urlencode, urlsplit

from tests.bench.context import Context
from tests.bench.data import MessageSet, ensure_messages
from tests.bench.report import Section
from tests.bench.stack import BenchError, Stack

# What each row has once, and no text can hold: a quotation mark in a text is escaped.
EACH_ROW = {"messages": b'"conversation_id":', "conversations": b'"parameters":'}
_NEXT = re.compile(rb'"next_cursor":(?:null|"([^"]*)"),"has_more":(?:true|false)}$')


def _walk(stack: Stack, data: MessageSet, endpoint: str) -> tuple[int, float, float]:
    """(rows, seconds, MB) of one walk to its end."""
    address = urlsplit(stack.env["WAYBILL_URL"])
    connection = http.client.HTTPConnection(address.hostname or "", address.port, timeout=60)
    headers = {"Authorization": f"Bearer {stack.api_key(data.org_id)}"}
    rows, size, parameters, began = 0, 0, {"limit": "1000"}, time.monotonic()
    while True:
        connection.request("GET", f"/v1/export/{endpoint}?{urlencode(parameters)}", headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise BenchError(f"the cursor API answered {answer.status}: {body[:500]!r}")
        rows, size = rows + body.count(EACH_ROW[endpoint]), size + len(body)
        found = _NEXT.search(body)
        if found is None or found[1] is None:
            return rows, time.monotonic() - began, size / 1e6
        parameters["cursor"] = found[1].decode()


def walk(context: Context) -> Section:
    """Records a second of the cursor API through the gateway, pages of 1,000."""
    stack = context.stack
    stack.up(WAYBILL_CURSOR_REQUESTS_PER_SECOND="0")
    data, lines = ensure_messages(stack, context.rows), []
    for endpoint in EACH_ROW:
        runs = [_walk(stack, data, endpoint) for _ in range(context.rounds)]
        (expected,) = stack.sql(f"SELECT count(*) FROM ingest.{endpoint}_current WHERE org_id = %s", data.org_id)[0]
        if {run[0] for run in runs} != {expected}:
            raise BenchError(f"walks of {endpoint} gave {[run[0] for run in runs]} rows of {expected}")
        rates = [rows / seconds for rows, seconds, _ in runs]
        context.say(f"{endpoint}: {', '.join(f'{rate:,.0f}/s' for rate in rates)}")
        lines.append(
            [endpoint, f"{expected:,}", f"{runs[0][2]:,.0f} MB", f"{median(rates):,.0f}", "≥ 100,000" if endpoint == "messages" else ""]
        )
    notes = ["One connection through the gateway; the next page is asked for when the one before is read."]
    return Section("walk", "Cursor API", ["Endpoint", "Records", "JSON", "Records/s", "Target"], lines, notes)
