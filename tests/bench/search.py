"""Search: one caller's requests, one after the other, over a million leads of one organisation, by what is looked for."""

import time

import httpx

from tests.bench.context import Context
from tests.bench.paths import HERE
from tests.bench.postgres import fill
from tests.bench.report import Section
from tests.bench.stack import BenchError, Stack
from tests.bench.timing import percentile

ORG, LEADS = "org_bench_leads", 1_000_000
REQUESTS = 200  # of each kind, each of another text
TARGET = "p95 < 50 ms"
# Texts of leads that are drawn evenly; an e-mail's and a name's are looked for as they are. One letter of the word in the middle is another one.
KINDS = {
    "full name": "name",
    "one word of a name": "split_part(name, ' ', 1 + mod(n::int, 2))",
    "e-mail address": "email",
    "company": "company",
    "custom field": "custom_properties::json ->> 'industry'",
    "custom field and name": "custom_properties::json ->> 'industry' || ' ' || split_part(name, ' ', 2)",
    "beginning of a word": "left(split_part(name, ' ', 2), 2 + mod(n::int, 3))",
    "beginnings of two words": "left(split_part(name, ' ', 1), 3) || ' ' || left(split_part(name, ' ', 2), 3)",
    "typing error in a name": "overlay(split_part(name, ' ', 2) PLACING 'q' FROM 3 FOR 1)",
    "typing error, two words": "overlay(split_part(name, ' ', 2) PLACING 'q' FROM 3 FOR 1) || ' ' || split_part(company, ' ', 1)",
    "nothing like it": "'xq' || substr(md5(id), 1, 8)",
}


def ensure_leads(stack: Stack) -> None:
    """The organisation with its leads; made by SQL where it isn't there yet."""
    stack.api_key(ORG)
    if not stack.sql("SELECT 1 FROM ingest.leads_current WHERE org_id = %s LIMIT 1", ORG):
        fill(stack.database_url, HERE / "leads.sql", org_id=ORG, leads=LEADS)


def _texts(stack: Stack, shown: str) -> list[str]:
    """What is looked for: of leads that lie evenly in the order of their ids."""
    rows = stack.sql(
        f"""SELECT {shown} FROM (SELECT row_number() OVER (ORDER BY id) AS n, * FROM ingest.leads_current WHERE org_id = %s AND custom_properties <> '{{}}'
            AND length(split_part(name, ' ', 2)) >= 5) l WHERE n %% %s = 0 LIMIT %s""", ORG, LEADS // 5 // REQUESTS, REQUESTS,
    )  # fmt: skip
    return [str(text) for (text,) in rows]


def _ask(http: httpx.Client, texts: list[str]) -> tuple[list[float], int]:
    """Seconds of each request; how many found something."""
    seconds, found = [], 0
    for text in texts:
        began = time.perf_counter()
        answer = http.get("/v1/leads/search", params={"q": text})
        seconds.append(time.perf_counter() - began)
        if answer.status_code != 200:
            raise BenchError(f"search answered {answer.status_code}: {answer.text[:500]}")
        found += answer.json()["pagination"]["total"] > 0
    return seconds, found


def search(context: Context) -> Section:
    """p50 and p95 of a search over a million leads, by kind."""
    stack, lines = context.stack, []
    stack.up()
    ensure_leads(stack)
    headers = {"Authorization": f"Bearer {stack.api_key(ORG)}"}
    with httpx.Client(base_url=stack.env["WAYBILL_URL"], headers=headers, timeout=60) as http:
        for kind, shown in KINDS.items():
            texts = _texts(stack, shown)
            seconds, found = _ask(http, texts)
            cells = [f"{percentile(seconds, share) * 1000:.1f} ms" for share in (0.5, 0.95, 1.0)]
            context.say(f"{kind}: {found} of {len(texts)} found, p50 {cells[0]}, p95 {cells[1]}, longest {cells[2]}")
            lines.append([kind, texts[0], f"{found} of {len(texts)}", *cells, TARGET])
    notes = [
        f"{LEADS:,} leads of one organisation; one request after the other through the gateway, each for another lead's text, pages of 25; nothing is left out as a first call."
    ]
    return Section("search", "Search", ["Looked for", "For example", "Found", "p50", "p95", "longest", "Target"], lines, notes)
