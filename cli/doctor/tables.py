"""What the tables say: who may do what, what is under way for too long, what waits to be published."""

from typing import Any

import psycopg

from cli.core.findings import Finding, Verdict

Connection = psycopg.Connection[tuple[Any, ...]]
ROLES = ("ingest", "export_request", "formatter", "delivery")
SCHEMAS = ("ingest", "tenancy", "exports", "delivery")
SILENT_SECONDS, OUTBOX_SECONDS = 600, 60
NAMED_MAX = 5


def roles(connection: Connection) -> Finding:
    """Services log in as roles that own nothing and pass no row security."""
    found = {
        name: (login, above)
        for name, login, above in connection.execute(
            "SELECT rolname, rolcanlogin, rolsuper OR rolbypassrls OR rolcreaterole FROM pg_roles WHERE rolname LIKE 'waybill\\_%'"
        )
    }
    wrong = [f"waybill_{service} is not there" for service in ROLES if f"waybill_{service}" not in found]
    wrong += [f"{name} can't log in" for name in (f"waybill_{s}" for s in ROLES) if name in found and not found[name][0]]
    wrong += [f"{name} may pass row security" for name, (_, above) in sorted(found.items()) if above]
    owned = connection.execute(
        "SELECT DISTINCT relowner::regrole::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE nspname = ANY(%s) AND relkind IN ('r', 'p') AND relowner::regrole::text <> 'waybill_owner'",
        [list(SCHEMAS)],
    )
    wrong += [f"{owner} owns tables" for (owner,) in owned]
    if wrong:
        return Finding(
            "roles",
            Verdict.wrong,
            "; ".join(wrong),
            "`waybill migrate` makes them as they should be; ALTER ROLE takes back what is too much.",
        )
    return Finding("roles", Verdict.ok, "services own nothing and see one organisation at a time")


def row_security(connection: Connection) -> Finding:
    """Forced on every table with an org_id."""
    rows = connection.execute(
        "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'org_id' "
        "WHERE n.nspname = ANY(%s) AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT (c.relrowsecurity AND c.relforcerowsecurity) ORDER BY 1",
        [list(SCHEMAS)],
    )
    if open_ := [name for (name,) in rows]:
        says = f"off on {', '.join(open_[:NAMED_MAX])}{'' if len(open_) <= NAMED_MAX else ' …'}"
        return Finding("row security", Verdict.wrong, says, "ALTER TABLE … ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY.")
    return Finding("row security", Verdict.ok, "forced on every table with customers' data")


def running(connection: Connection) -> list[Finding]:
    """Exports under way; wrong where one that has work out is silent."""
    rows = connection.execute(
        "SELECT e.id, e.status, extract(epoch FROM clock_timestamp() - e.progressed_at)::integer, NOT e.planned OR e.status IN ('assembling', 'publishing') "
        "OR EXISTS (SELECT FROM exports.chunks c WHERE c.export_id = e.id AND c.state = 'released') FROM exports.exports e "
        "WHERE e.status IN ('accepted', 'awaiting_approval', 'planning', 'formatting', 'assembling', 'publishing') ORDER BY e.progressed_at"
    ).fetchall()
    silent = [f"{id_} ({status}, silent for {seconds:,} s)" for id_, status, seconds, out in rows if out and seconds > SILENT_SECONDS]
    if silent:
        says = f"{len(silent)} of {len(rows)} are stuck: {', '.join(silent[:NAMED_MAX])}"
        advice = "Is a formatter, and delivery, ready (below)? docs/runbook/WaybillExportSilent.md goes on from here."
        return [Finding("exports", Verdict.wrong, says, advice)]
    return [Finding("exports", Verdict.ok, f"{len(rows)} under way")]


def outboxes(connection: Connection) -> list[Finding]:
    """What waits to be published, schema by schema."""
    found = []
    for schema in ("exports", "delivery"):
        query = f"SELECT count(*), coalesce(extract(epoch FROM clock_timestamp() - min(created_at)), 0)::integer FROM {schema}.outbox"
        count, age = connection.execute(query.encode()).fetchone() or (0, 0)
        says = f"{count:,} messages wait" + (f", the oldest for {age:,} s" if count else "")
        late = age > OUTBOX_SECONDS
        advice = "Is Kafka there (above), and the service that publishes them? docs/runbook/WaybillOutboxStuck.md goes on." if late else ""
        found.append(Finding(f"outbox of {schema}", Verdict.wrong if late else Verdict.ok, says, advice))
    return found
