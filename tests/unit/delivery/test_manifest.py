"""The manifest's bytes, worked out by hand."""

import hashlib
import json
from typing import Any

import pytest
import rfc8785

from services.delivery.core.assembly import FileId, Layout
from services.delivery.core.manifest import WholeFile, draft, file_entry
from services.delivery.core.sealing import CannotOpen, open_sealed, seal
from shared.digests import files_sha256
from shared.errors import PermanentError
from shared.messages import AssemblyPart, PublishedFile
from shared.signing import check, from_jwks, key_id, sign, to_jwks

PARTS = [
    (1, AssemblyPart(1, "parts/exp_1/00000001.csv", 2, 20, "aa", "k1", "k2")),
    (21, AssemblyPart(2, "parts/exp_1/00000002.csv", 0, 0, "bb")),
]
LAYOUT = Layout(b"h", b",", b"tt", b"none")
SHA = {text: hashlib.sha256(text).hexdigest() for text in (b"h", b",", b"tt", b"none")}


def whole(format: str, number: int, name: str, rows: int = 2) -> WholeFile:
    return WholeFile(
        FileId("exp_1", format, number), name, "text/csv", rows, 24, "cc", file_entry(name, "text/csv", rows, 24, "cc", PARTS, LAYOUT)
    )  # fmt: skip


def test_the_manifest_lists_only_parts_with_rows_and_says_where_they_lie() -> None:
    made = draft('{"snapshot": "1:1:", "export_id": "exp_1"}', [whole("csv", 1, "ä.csv")])
    assert (
        rfc8785.dumps(made.document)
        == (
            '{"export_id":"exp_1","files":[{"bytes":24,"format":"csv","frame":'
            f'{{"head":{{"bytes":1,"sha256":"{SHA[b"h"]}"}},"separator":{{"bytes":1,"sha256":"{SHA[b","]}"}},"tail":{{"bytes":2,"sha256":"{SHA[b"tt"]}"}}}},'
            '"media_type":"text/csv","name":"ä.csv","parts":'
            '[{"bytes":20,"first_key":"k1","last_key":"k2","number":1,"offset":1,"rows":2,"sha256":"aa"}],"rows":2,"sha256":"cc"}],"snapshot":"1:1:"}'
        ).encode()
    )
    assert made.published == [PublishedFile("csv", 1, "ä.csv", "text/csv", 2, 24, "cc")]


def test_a_file_without_rows_says_what_it_is_instead() -> None:
    entry = json.loads(file_entry("a.csv", "text/csv", 0, 4, "cc", PARTS[1:], LAYOUT))
    assert (entry["parts"], entry["frame"]) == ([], {"empty": {"bytes": 4, "sha256": SHA[b"none"]}})


def test_files_come_in_the_order_in_which_formats_were_asked_for_then_by_number() -> None:
    files = [whole("csv", 10, "c10"), whole("jsonl", 1, "j1"), whole("csv", 2, "c2")]
    assert [p.name for p in draft('{"request": {"formats": ["jsonl", "csv"]}}', files).published] == ["j1", "c2", "c10"]
    assert [p.name for p in draft("{}", files).published] == ["c2", "c10", "j1"]


@pytest.mark.parametrize(
    "base", ["[]", "{", "null", '{"rows_planned": 1, "excluded": [1]}', '{"rows_planned": 1, "excluded": 1}', '{"reproduces": {}}']
)
def test_a_base_of_another_shape_is_refused(base: str) -> None:
    with pytest.raises(PermanentError) as refused:
        draft(base, [])
    assert refused.value.code == "manifest_invalid"


@pytest.mark.parametrize(
    ("planned", "excluded", "good"),
    [(4, [], True), (5, [], False), (3, [], False), (6, [{"reason": "a", "rows": 1}, {"reason": "b", "rows": 1}], True), (4, [{"reason": "a", "rows": 1}], False)],
)  # fmt: skip
def test_nothing_is_signed_unless_rows_planned_are_rows_written_and_excluded(planned: int, excluded: list[Any], good: bool) -> None:
    base = json.dumps({"rows_planned": planned, "excluded": excluded})
    files = [whole("csv", 1, "1"), whole("csv", 2, "2"), whole("jsonl", 1, "3", rows=4)]
    if good:
        assert draft(base, files).document["excluded"] == excluded
        return
    with pytest.raises(PermanentError) as refused:
        draft(base, files)
    assert refused.value.code == "rows_mismatch"


def test_every_format_has_to_hold_every_row() -> None:
    with pytest.raises(PermanentError, match="jsonl"):
        draft('{"rows_planned": 2}', [whole("csv", 1, "1"), whole("jsonl", 1, "2", rows=1)])


def test_only_the_same_bytes_are_called_a_reproduction() -> None:
    files = [whole("csv", 2, "new_2"), whole("csv", 1, "new_1")]
    claim = {"export_id": "exp_0", "files_sha256": files_sha256([("csv", 1, 24, "cc"), ("csv", 2, 24, "cc")])}
    assert draft(json.dumps({"reproduces": claim}), files).document["reproduces"] == "exp_0"
    for other in ([("csv", 1, 24, "cc")], [("csv", 1, 24, "cc"), ("csv", 2, 24, "cd")], [("csv", 1, 25, "cc"), ("csv", 2, 24, "cc")]):
        with pytest.raises(PermanentError) as refused:
            draft(json.dumps({"reproduces": claim | {"files_sha256": files_sha256(other)}}), files)
        assert refused.value.code == "not_reproduced"


def test_a_signed_manifest_is_canonical_and_verifies() -> None:
    private = bytes(range(32))
    text = draft('{"rows_planned": 2, "request": {"b": 1.0, "a": "é"}}', [whole("csv", 1, "1")]).signed(private)
    document = json.loads(text)
    assert rfc8785.dumps(document) == text
    public = bytes.fromhex("03a107bff3ce10be1d70dd18e74bc09967e4d6309ba50d5f1ddc8664125531b8")  # of this private key, as openssl says
    assert document["signature"]["key_id"] == key_id(public)
    keys = from_jwks(to_jwks([check(document, from_jwks({"keys": [{"kty": "OKP", "crv": "Ed25519", "x": _x(public)}]}))]))
    assert check(sign({"a": 1}, private), keys).raw == public


def _x(raw: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def test_a_private_key_at_rest_opens_under_its_secret_and_name_alone() -> None:
    sealed = seal("secret", "key", b"p" * 32, bytes(12))
    assert b"p" * 8 not in sealed
    assert open_sealed("secret", "key", sealed) == b"p" * 32
    for wrong in (
        ("other", "key", sealed),
        ("secret", "else", sealed),
        ("secret", "key", sealed[:-1] + bytes([sealed[-1] ^ 1])),
        ("secret", "key", b""),
    ):
        with pytest.raises(CannotOpen):
            open_sealed(*wrong)
