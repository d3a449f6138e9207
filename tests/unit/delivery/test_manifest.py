"""The manifest's bytes, worked out by hand."""

import pytest

from services.delivery.core.assembly import FileId
from services.delivery.core.manifest import WholeFile, build, file_entry
from shared.messages import AssemblyPart, PublishedFile

PARTS = [AssemblyPart(1, "parts/exp_1/00000001.csv", 2, 20, "aa", "k1", "k2"), AssemblyPart(2, "parts/exp_1/00000002.csv", 0, 0, "bb")]


def whole(format: str, number: int, name: str) -> WholeFile:
    return WholeFile(
        FileId("exp_1", format, number), name, "text/csv", 2, 24, "cc", file_entry(name, "text/csv", 2, 24, "cc", PARTS)
    )  # fmt: skip


def test_the_manifest_is_canonical_and_lists_only_parts_with_rows() -> None:
    manifest, published = build('{"snapshot": "1:1:", "export_id": "exp_1"}', [whole("csv", 1, "ä.csv")])
    assert (
        manifest
        == (
            '{"export_id":"exp_1","files":[{"bytes":24,"media_type":"text/csv","name":"ä.csv","parts":'
            '[{"bytes":20,"first_key":"k1","last_key":"k2","number":1,"rows":2,"sha256":"aa"}],"rows":2,"sha256":"cc"}],"snapshot":"1:1:"}'
        ).encode()
    )
    assert published == [PublishedFile("csv", 1, "ä.csv", "text/csv", 2, 24, "cc")]


def test_files_come_in_the_order_in_which_formats_were_asked_for_then_by_number() -> None:
    files = [whole("csv", 10, "c10"), whole("jsonl", 1, "j1"), whole("csv", 2, "c2")]
    _, published = build('{"request": {"formats": ["jsonl", "csv"]}}', files)
    assert [p.name for p in published] == ["j1", "c2", "c10"]
    _, published = build("{}", files)
    assert [p.name for p in published] == ["c2", "c10", "j1"]


@pytest.mark.parametrize("base", ["[]", "{", "null"])
def test_a_base_that_is_no_object_is_refused(base: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        build(base, [])
