"""Messages survive their encoding; anything else is refused by a reason."""

import io
import json
from dataclasses import replace
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.codec import MARKER, RELEASES, SCHEMAS, decode, encode, releases, schema_fingerprint, write_for
from shared.errors import PermanentError
from shared.messages import MESSAGES, AssembleFile, AssemblyPart, ChunkFormatted, FormatChunk, Part
from shared.settings import CommonSettings
from tools.check_schemas import can_read, problems_of

text = st.text(max_size=40).filter(lambda s: not any("\ud800" <= c <= "\udfff" for c in s))
number = st.integers(0, 2**62)
parts = st.lists(st.builds(Part, text, text, number, number, text, text, text), max_size=4)


@given(st.builds(ChunkFormatted, text, text, number, number, parts, number))
def test_an_event_with_nested_parts_survives(message: ChunkFormatted) -> None:
    assert decode(encode(message)) == message


@given(
    st.builds(
        FormatChunk,
        text,
        text,
        number,
        text,
        text,
        st.none() | st.lists(text),
        st.none() | st.lists(text),
        number,
        st.dictionaries(text, text),
    )
)
def test_a_command_with_optional_bounds_survives(message: FormatChunk) -> None:
    assert decode(encode(message)) == message


def test_the_encoding_is_the_specifications() -> None:
    message = AssembleFile("e", "o", "csv", 1, "n", "m", "k", b"h", b"", b"", b"", [AssemblyPart(1, "p", 1, 2, "s")], True, False)
    data = encode(message)
    assert data[:2] == MARKER == b"\xc3\x01"
    assert data[2:10] == schema_fingerprint(json.loads((SCHEMAS / "AssembleFile.avsc").read_text("utf-8")))


def test_the_fingerprint_is_the_one_of_the_specifications_test_vector() -> None:
    # Avro's own schema tests: "int" has the CRC-64-AVRO fingerprint 0x7275d51a3f395c8f, written little endian
    assert schema_fingerprint("int") == bytes.fromhex("8f5c393f1ad57572")  # type: ignore[arg-type]


@given(st.binary(max_size=64))
def test_foreign_bytes_are_refused_with_a_code(data: bytes) -> None:
    with pytest.raises(PermanentError) as refused:
        decode(data)
    assert refused.value.code == "undecodable"


@pytest.mark.parametrize("name", MESSAGES)
def test_every_message_has_a_schema_and_an_example_and_older_readers_live_on(name: str) -> None:
    assert problems_of(name) == []


def test_a_field_without_a_default_is_seen_as_breaking() -> None:
    older = json.loads((SCHEMAS / "ChunkFailed.avsc").read_text("utf-8"))
    newer = older | {"fields": [*older["fields"], {"name": "added", "type": "string"}]}
    example = {f["name"]: 1 if f["type"] == "long" else "x" for f in newer["fields"]}
    assert can_read(older, newer, example) != ""
    newer["fields"][-1]["default"] = ""
    assert can_read(older, newer, example) == ""


@pytest.mark.parametrize("release", releases())
@pytest.mark.parametrize("name", MESSAGES)
def test_beside_a_release_its_own_versions_are_written(name: str, release: str) -> None:
    example = json.loads((SCHEMAS.parent / "examples" / f"{name}.json").read_text("utf-8"))
    message = decode(_encoded(name, example))
    known = json.loads((RELEASES / f"{release}.json").read_text("utf-8"))["messages"]
    try:
        write_for(release)
        written = encode(message)
    finally:
        write_for("")
    if name in known:
        assert written[2:10].hex() == known[name]
    assert decode(written).to_record().keys() == message.to_record().keys()
    assert encode(message)[2:10] == schema_fingerprint(json.loads((SCHEMAS / f"{name}.avsc").read_text("utf-8")))


def test_what_the_release_did_not_know_is_left_out() -> None:
    part = Part("csv", "key", 1, 2, "ab", "a", "b", crc32=7)
    try:
        write_for("0.1.0-rc.1")
        assert decode(encode(ChunkFormatted("exp_1", "org_1", 0, 1, [part]))) == ChunkFormatted(
            "exp_1", "org_1", 0, 1, [replace(part, crc32=None)]
        )
    finally:
        write_for("")


def test_a_release_that_is_not_known_ends_the_start_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_MESSAGES_OF", "0.0.7")
    with pytest.raises(ValidationError, match=r"messages_of"):
        CommonSettings()


def _encoded(name: str, example: dict[str, Any]) -> bytes:
    schema = json.loads((SCHEMAS / f"{name}.avsc").read_text("utf-8"))
    octets = {field["name"] for field in schema["fields"] if field["type"] == "bytes"}
    record = {field: value.encode("latin-1") if field in octets else value for field, value in example.items()}
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return MARKER + schema_fingerprint(schema) + out.getvalue()
