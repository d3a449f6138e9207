"""Signed manifests on the real stack: what the command line client brings home verifies, and what is damaged is named."""

import gzip
import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import zstandard
from typer.testing import CliRunner

from cli.main import app
from tests.conftest import ROOT, Stack
from tests.e2e.conftest import Organisation, with_examples

RANGE = {"from": "2020-01-01", "to": "2023-01-01", "timezone": "UTC"}
RANGE_OF_ALL = {"from": "2024-01-01", "to": "2027-01-01", "timezone": "UTC"}
ROWS = {"leads": 7, "conversations": 7, "messages": 60}  # of a file: several files each, and not a hundred
DATASETS = {"leads": ["csv", "json", "jsonl"], "conversations": ["json", "jsonl", "txt"], "messages": ["csv", "jsonl"]}


def waybill(stack: Stack, organisation: Organisation, *arguments: str) -> tuple[int, Any]:
    """Exit code and the document that the command prints."""
    env = {"WAYBILL_URL": stack.url, "WAYBILL_API_KEY": organisation.api_key, "WAYBILL_OPERATOR_TOKEN": stack.env["WAYBILL_OPERATOR_TOKEN"]}
    done = CliRunner().invoke(app, [*arguments, "--json"], env=env)
    return done.exit_code, json.loads(done.stdout) if done.stdout.strip() else done.stderr


def bring(stack: Stack, organisation: Organisation, body: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An export, asked for and downloaded; its manifest."""
    export = organisation.completed(body)
    assert waybill(stack, organisation, "exports", "download", export["id"], "--out", str(folder))[0] == 0
    manifest: dict[str, Any] = json.loads((folder / f"{body['dataset']}_{export['id']}.manifest.json").read_text())
    assert [f["name"] for f in manifest["files"]] == [f["name"] for f in export["files"]]
    return manifest


def unpacked(data: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.decompress(data)
    return zstandard.ZstdDecompressor().decompressobj().decompress(data) if compression == "zstd" else data


@pytest.fixture(scope="module")
def own(stack: Stack, cases: dict[str, Any]) -> Iterator[Organisation]:
    """The example's records in an organisation that these tests change."""
    made = with_examples(stack, cases)
    yield made
    made.http.close()


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("dataset", DATASETS)
def test_every_format_and_compression_verifies(stack: Stack, sample: Organisation, tmp_path: Path, dataset: str, compression: str) -> None:
    """All formats of a dataset over several files; and the bytes of each part unpack alone."""
    body = {"dataset": dataset, "formats": DATASETS[dataset], "compression": compression, "max_rows_per_file": ROWS[dataset]}
    manifest = bring(stack, sample, body | (RANGE_OF_ALL if dataset == "messages" else {}), tmp_path)
    code, checked = waybill(stack, sample, "verify", str(tmp_path))
    assert (code, checked["ok"]) == (0, True), checked
    assert len(manifest["files"]) >= 2 * len(DATASETS[dataset])
    for format in DATASETS[dataset]:
        assert sum(f["rows"] for f in manifest["files"] if f["format"] == format) == manifest["rows_planned"]
    for file in manifest["files"]:
        data = (tmp_path / file["name"]).read_bytes()
        for part in file["parts"]:
            assert unpacked(data[part["offset"] : part["offset"] + part["bytes"]], compression)


@pytest.mark.parametrize("start", ["2026-01-01", "2026-06-30"])
def test_encrypted_files_verify_without_their_password(stack: Stack, sample: Organisation, tmp_path: Path, start: str) -> None:
    """With rows and (nearly) without."""
    body = {
        "dataset": "chat-data",
        "from": start,
        "to": "2026-07-01",
        "password": "Abcd1234",
        "purpose": "test",
    }  # pragma: allowlist secret
    bring(stack, sample, body | {"max_rows_per_file": 20}, tmp_path)
    code, checked = waybill(stack, sample, "verify", str(tmp_path))
    assert (code, checked["ok"]) == (0, True), checked
    path = next(tmp_path.glob("*.zip"))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert waybill(stack, sample, "verify", str(tmp_path))[0] == 1


@pytest.mark.parametrize("compression", ["none", "gzip"])
def test_an_export_without_rows_verifies(stack: Stack, sample: Organisation, tmp_path: Path, compression: str) -> None:
    manifest = bring(stack, sample, {"dataset": "messages", "formats": ["csv", "jsonl"], "compression": compression, **RANGE}, tmp_path)
    assert [(f["rows"], f["parts"], list(f["frame"])) for f in manifest["files"]] == [(0, [], ["empty"])] * 2
    assert waybill(stack, sample, "verify", str(tmp_path))[0] == 0


def test_damage_is_named_by_file_part_and_bytes(stack: Stack, sample: Organisation, tmp_path: Path) -> None:
    manifest = bring(stack, sample, {"dataset": "messages", "format": "csv", "max_rows_per_file": 50, **RANGE_OF_ALL}, tmp_path)
    file = manifest["files"][1]
    part = file["parts"][-1]
    path = tmp_path / file["name"]
    data = bytearray(path.read_bytes())
    data[part["offset"] + part["bytes"] // 2] ^= 0x20
    path.write_bytes(data)
    (tmp_path / manifest["files"][0]["name"]).unlink()
    (tmp_path / "stranger.csv").touch()
    code, checked = waybill(stack, sample, "verify", str(tmp_path))
    missing, differs = checked["manifests"][0]["problems"]
    assert (code, missing["code"], missing["file"], checked["extra"]) == (1, "file_missing", manifest["files"][0]["name"], ["stranger.csv"])
    assert (differs["code"], differs["file"], differs["parts"]) == ("bytes_differ", file["name"], [part["number"]])
    assert (differs["first_byte"], differs["last_byte"]) == (part["offset"], part["offset"] + part["bytes"] - 1)


def test_keys_are_public_rotate_and_old_manifests_still_verify(stack: Stack, sample: Organisation, tmp_path: Path) -> None:
    body = {"dataset": "leads", "format": "csv"}
    before = bring(stack, sample, body, tmp_path)["signature"]["key_id"]
    code, made = waybill(stack, sample, "signing-keys", "rotate")
    assert (code, made["retired"]) == (0, before)
    after = bring(stack, sample, body, tmp_path)["signature"]["key_id"]
    assert after == made["id"] != before
    published = httpx.get(f"{stack.url}/.well-known/waybill-signing-keys.json").raise_for_status().json()
    assert {before, after} <= {key["kid"] for key in published["keys"]}
    code, checked = waybill(stack, sample, "verify", str(tmp_path))
    assert (code, {m["signature"]["key_id"] for m in checked["manifests"]}) == (0, {before, after})
    assert waybill(stack, sample, "verify", str(tmp_path), "--pin", after)[0] == 1
    listed = waybill(stack, sample, "signing-keys", "list")[1]["data"]
    assert [k["status"] for k in listed if k["id"] in (before, after)] == ["current", "retired"]


def test_without_the_operators_token_no_key_rotates(stack: Stack, sample: Organisation) -> None:
    for method, path in (("POST", "/v1/signing-keys/rotate"), ("GET", "/v1/signing-keys")):
        assert sample.http.request(method, path).status_code == 401
        assert httpx.request(method, stack.url + path).status_code == 401


def test_the_page_on_manifests_shows_how_to_verify_by_hand(stack: Stack, sample: Organisation, tmp_path: Path) -> None:
    """The shell commands of docs/manifests.md, as they are."""
    manifest = bring(stack, sample, {"dataset": "messages", "format": "csv", "max_rows_per_file": 100, **RANGE_OF_ALL}, tmp_path)
    section = (ROOT / "docs" / "manifests.md").read_text("utf-8").split("## By hand")[1]
    (commands,) = re.findall(r"```sh\n(.*?)```", section.split("\n## ")[0], re.DOTALL)
    good = subprocess.run(["sh", "-c", commands], cwd=tmp_path, capture_output=True, text=True)
    assert "Signature Verified Successfully" in good.stdout, good
    assert good.stdout.count(": OK") == len(manifest["files"])
    assert "differs" not in good.stdout
    damaged = tmp_path / manifest["files"][1]["name"]
    damaged.write_bytes(damaged.read_bytes()[:-3] + b"???")
    bad = subprocess.run(["sh", "-c", commands], cwd=tmp_path, capture_output=True, text=True)
    assert f"{damaged.name}: part {manifest['files'][1]['parts'][-1]['number']} differs" in bad.stdout
    text = (tmp_path / f"messages_{manifest['export_id']}.manifest.json").read_text("utf-8")
    (tmp_path / f"messages_{manifest['export_id']}.manifest.json").write_text(text.replace('"excluded":[]', '"excluded":[0]'), "utf-8")
    assert (
        "Signature Verified Successfully" not in subprocess.run(["sh", "-c", commands], cwd=tmp_path, capture_output=True, text=True).stdout
    )


@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
@pytest.mark.parametrize("dataset", DATASETS)
def test_a_rerun_gives_the_same_bytes_whatever_was_written_since(
    stack: Stack, own: Organisation, tmp_path: Path, dataset: str, compression: str
) -> None:
    body = {"dataset": dataset, "formats": DATASETS[dataset], "compression": compression, "max_rows_per_file": ROWS[dataset]}
    first = bring(stack, own, body | (RANGE_OF_ALL if dataset == "messages" else {}), tmp_path)
    later = [{"type": "lead", "id": f"lead_later_{dataset}_{compression}", "data": {"email": "l@b.example", "status": "new", "source": "chat",
              "created_at": "2026-03-15T09:22:41Z"}}]  # fmt: skip
    assert own.send("\n".join(json.dumps(record) for record in later).encode())["refused_count"] == 0
    code, again = waybill(stack, own, "exports", "rerun", first["export_id"], "--download", str(tmp_path))
    assert (code, again["rerun_of"], again["status"]) == (0, first["export_id"], "completed"), again
    manifest = own.http.get(again["manifest_url"]).json()
    assert manifest["reproduces"] == first["export_id"]
    for old, new in zip(first["files"], manifest["files"], strict=True):
        assert new["name"] == old["name"].replace(first["export_id"], again["id"])
        assert {**new, "name": ""} == {**old, "name": ""}
        assert (tmp_path / new["name"]).read_bytes() == (tmp_path / old["name"]).read_bytes()
    code, checked = waybill(stack, own, "verify", str(tmp_path))
    assert (code, {m["reproduces"] for m in checked["manifests"]}) == (0, {None, first["export_id"]})


def test_an_erasure_makes_what_saw_the_person_irreproducible(stack: Stack, own: Organisation) -> None:
    export = own.completed({"dataset": "leads", "format": "csv"})
    lead = own.download(own.completed({"dataset": "leads", "format": "jsonl"})).splitlines()[0]
    own.send(json.dumps({"type": "lead", "id": json.loads(lead)["id"], "op": "erase"}).encode())
    answer = own.http.post(f"/v1/exports/{export['id']}/rerun")
    assert (answer.status_code, answer.json()["error"]["code"]) == (410, "gone")
    assert own.http.post(f"/v1/exports/{own.completed({'dataset': 'leads', 'format': 'csv'})['id']}/rerun").status_code == 202
