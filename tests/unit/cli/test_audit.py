"""`waybill audit`: what is found in a chain that was tampered with, over the API and in a file, also offline."""

import json
from pathlib import Path
from typing import Any

import pytest

from shared.audit_chain import Head, linked
from shared.signing import sign
from tests.unit.cli.conftest import Waybill
from tests.unit.cli.fake_api import SIGNER, Fake, key_of

STRANGER = bytes(range(1, 33))


def entry(head: Head, action: str) -> dict[str, Any]:
    said = {
        "at": "2026-03-01T00:00:00.000Z",
        "org_id": "org_1",
        "actor": "key:k",
        "address": "",
        "action": action,
        "subject": "\x1b[31m",
        "details": {},
        "purpose": "",
    }
    return linked(head, said)


def chain(count: int) -> list[dict[str, Any]]:
    head, entries = Head(), []
    for number in range(count):
        entries.append(entry(head, f"t.{number}"))
        head = Head(entries[-1]["seq"], entries[-1]["hash"])
    return entries


def checkpoint(of: dict[str, Any], private: bytes = SIGNER, **other: Any) -> dict[str, Any]:
    return sign({"org_id": of["org_id"], "seq": of["seq"], "hash": of["hash"], "at": "2026-03-01T00:01:00.000Z", **other}, private)


@pytest.fixture
def trail(fake: Fake) -> list[dict[str, Any]]:
    """Six entries, checkpoints at the second and the last."""
    fake.trail = chain(6)
    fake.checkpoints = [checkpoint(fake.trail[5]), checkpoint(fake.trail[1])]
    return fake.trail


def problems(waybill: Waybill, *arguments: str) -> tuple[int, list[tuple[str, int | None]]]:
    result = waybill("audit", "verify", *arguments, "--json")
    return result.exit_code, [(p["code"], p["entry"]) for p in json.loads(result.stdout)["problems"]]


def test_a_whole_chain_over_the_api_and_in_a_file(waybill: Waybill, fake: Fake, trail: list[dict[str, Any]]) -> None:
    assert problems(waybill) == (0, [])
    assert waybill("audit", "export", "--out", "a.ndjson").exit_code == 0
    assert Path("waybill-signing-keys.json").exists()
    fake.trail = []
    said = waybill("audit", "verify", "a.ndjson", env={"WAYBILL_URL": "http://127.0.0.1:1"})
    assert (said.exit_code, "The chain is whole." in said.stderr) == (0, True)
    assert "6 entries of org_1" in said.stdout and "2 checkpoints" in said.stdout and f"signed with {key_of(SIGNER).id}" in said.stdout
    assert problems(waybill, "a.ndjson", "--pin", key_of(SIGNER).id) == (0, [])
    fake.trail = trail
    exported = waybill("audit", "export", "--after", "4", "--operator")
    assert [json.loads(line).get("seq") for line in exported.stdout.splitlines()] == [5, 6, 6]


def test_what_was_done_to_entries_is_named(waybill: Waybill, fake: Fake, trail: list[dict[str, Any]]) -> None:
    fake.trail = [*trail[:2], trail[2] | {"actor": "key:another"}, *trail[3:]]
    assert problems(waybill) == (1, [("changed", 3)])
    fake.trail = [*trail[:3], *trail[4:]]
    assert problems(waybill) == (1, [("removed", 4)])
    fake.trail = [trail[0], trail[1], trail[3], trail[2], *trail[4:]]
    assert ("repeated", 3) in problems(waybill)[1]
    said = waybill("audit", "verify")
    assert (said.exit_code, "✗ entry 3 repeated" in said.stdout) == (1, True)


def test_a_cut_tail_and_a_chain_made_anew_are_seen_by_checkpoints(waybill: Waybill, fake: Fake, trail: list[dict[str, Any]]) -> None:
    fake.trail = trail[:4]
    assert problems(waybill) == (1, [("truncated", 5)])
    fake.trail = [entry(Head(), "other"), *trail[1:]][:1]
    fake.trail += [entry(Head(1, fake.trail[0]["hash"]), "other")]
    fake.checkpoints = fake.checkpoints[1:]
    assert problems(waybill) == (1, [("rewritten", 2)])


def test_checkpoints_that_were_kept_elsewhere_bind_also_who_could_delete_them_here(
    waybill: Waybill, fake: Fake, trail: list[dict[str, Any]]
) -> None:
    assert waybill("audit", "export", "--out", "kept.ndjson").exit_code == 0
    fake.trail, fake.checkpoints = trail[:3], []
    assert problems(waybill) == (0, [])
    assert problems(waybill, "--kept", "kept.ndjson") == (1, [("truncated", 4)])


def test_checkpoints_that_prove_nothing_are_problems(waybill: Waybill, fake: Fake, trail: list[dict[str, Any]]) -> None:
    fake.checkpoints = [
        checkpoint(trail[5], STRANGER),
        fake.checkpoints[1] | {"seq": 1},
        sign({"seq": "x"}, SIGNER),
        checkpoint(trail[3], org_id="org_2"),
    ]
    assert problems(waybill) == (
        1,
        [("checkpoint_malformed", None), ("checkpoint_unproven", 1), ("checkpoint_unproven", 6), ("checkpoint_foreign", 4)],
    )
    fake.checkpoints = [checkpoint(trail[5])]
    assert problems(waybill, "--pin", "another")[1] == []  # no key that counts: compared, and said to be unproven
    assert "NOT checked" in waybill("audit", "verify", "--pin", "another").stdout


def test_files_that_begin_later_or_hold_garbage(waybill: Waybill, trail: list[dict[str, Any]]) -> None:
    Path("later.ndjson").write_text("\n".join(json.dumps(e) for e in trail[3:]))
    assert problems(waybill, "later.ndjson") == (1, [("removed", 1)])
    assert problems(waybill, "later.ndjson", "--partial") == (0, [])
    Path("garbage.ndjson").write_bytes(json.dumps(trail[0]).encode() + b"\n\xff\n[]\n" + json.dumps(trail[1]).encode())
    assert problems(waybill, "garbage.ndjson") == (1, [("malformed", None), ("malformed", None)])
    assert waybill("audit", "verify", "missing.ndjson").exit_code == 2
    assert waybill("audit", "verify", "--partial").exit_code == 2


def test_listing(waybill: Waybill, fake: Fake, trail: list[dict[str, Any]]) -> None:
    listed = waybill("audit", "list", "--action", "t", "--from", "2026-03-01")
    assert "t.5" in listed.stdout and "t.3" not in listed.stdout and "\x1b[31m" not in listed.stdout
    assert len(json.loads(waybill("audit", "list", "--all", "--json").stdout)["data"]) == 6
