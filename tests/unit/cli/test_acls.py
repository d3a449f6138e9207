"""Who may do what, worked out from the topics' files."""

import pytest

from cli.core.acls import Kind, Right, compare, principals, wanted
from shared.topics import all_topics

TOPICS, WHO = all_topics(), principals(all_topics())
RIGHTS = wanted(TOPICS, WHO, ["crm"])


def of(user: str, operation: str, kind: Kind = Kind.topic) -> set[str]:
    return {right.name for right in RIGHTS if (right.principal, right.operation, right.kind) == (f"User:{user}", operation, kind)}


def test_a_service_reads_and_writes_its_own_topics() -> None:
    assert of("waybill_formatter", "write") == {"export-parts", "export-chunks-dlq"}
    assert of("waybill_formatter", "read") == {"export-chunks", "export-chunks-express"}
    assert of("waybill_formatter", "read", Kind.group) == {"formatter-bulk", "formatter-express"}
    assert of("waybill_ingest", "write") == {"records-dlq", "audit-entries", "lead-changes", "lead-scores-dlq"}
    assert of("waybill_ingest", "read") == {"records", "lead-scores"}
    assert of("waybill_lead_scoring", "write") == {"lead-scores", "lead-changes-dlq"}
    assert of("waybill_lead_scoring", "read", Kind.group) == {"waybill-lead-scoring"}
    assert of("waybill_delivery", "read") == {"export-assemblies", "export-events"}


def test_a_client_writes_and_reads_what_anyone_may_with_groups_of_its_name() -> None:
    assert of("crm", "write") == {"records", "export-requests"}
    assert of("crm", "read") == {"export-events"}
    assert Right("User:crm", Kind.group, "crm", "read", "prefixed") in RIGHTS


def test_operators_send_dead_letters_back_and_read_the_audit_trail() -> None:
    assert of("waybill_operator", "read") == {name for name in TOPICS if name.endswith("-dlq")} | {"audit-entries"}
    assert of("waybill_operator", "write") == {name for name in TOPICS if not name.endswith("-dlq")}


def test_every_topic_has_one_who_writes_and_one_who_reads() -> None:
    for topic in TOPICS.values():
        assert {*topic.writers, *topic.readers, *topic.groups} <= {*WHO, "anyone"}, topic.name
        for operation in ("read", "write"):
            assert any((right.name, right.operation) == (topic.name, operation) for right in RIGHTS)


def test_nothing_is_described_that_may_be_read_or_written_anyway() -> None:
    described = {(r.principal, r.kind, r.name) for r in RIGHTS if r.operation == "describe"}
    assert not described & {(r.principal, r.kind, r.name) for r in RIGHTS if r.operation != "describe"}
    assert {name for _, _, name in described} >= {"records", "records-dlq", "waybill-ingest"}


def test_ours_are_taken_away_and_others_rights_are_not() -> None:
    others = {
        Right("User:backup", Kind.topic, "*", "read"), Right("User:crm", Kind.topic, "crm-changes", "write"),
        Right("User:shop", Kind.group, "shop", "read", "prefixed"),
    }  # fmt: skip
    old = {
        Right("User:old", Kind.topic, "records", "write"), Right("User:old", Kind.group, "old", "read", "prefixed"),
        Right("User:waybill_formatter", Kind.topic, "elsewhere", "write"), Right("User:x", Kind.group, "delivery", "read"),
    }  # fmt: skip
    change = compare(RIGHTS | others | old, RIGHTS, TOPICS, WHO)
    assert (change.missing, set(change.unwanted)) == ((), old)
    assert set(compare(others, RIGHTS, TOPICS, WHO).missing) == RIGHTS


def test_a_role_may_have_another_principal() -> None:
    who = principals(TOPICS, {"ingest": "User:CN=ingest,O=Acme"})
    assert Right("User:CN=ingest,O=Acme", Kind.topic, "records", "read") in wanted(TOPICS, who)
    with pytest.raises(ValueError, match="'ingset' is none of delivery, export_request, formatter, ingest, lead_scoring, operators"):
        principals(TOPICS, {"ingset": "User:x"})
