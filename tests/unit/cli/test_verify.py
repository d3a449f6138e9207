"""`waybill verify` on folders: what it says of files, of signatures and of manifests that lie, and its exit code."""

import base64
import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from services.delivery.core.assembly import Layout
from shared.signing import KEYS_FILE, sign, to_jwks
from tests.unit.cli.fake_api import SIGNER, key_of
from tests.unit.cli.made import MANIFEST, Made, make_file

OTHER = bytes(range(1, 33))
LAYOUT = Layout(b"head\n", b",\n", b"tail\n", b"none\n")


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Made:
    """Two files in `.`: three parts, and none."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out").mkdir()
    both = Made([make_file(1, [b"one", b"two", b"three"], LAYOUT), make_file(2, [], LAYOUT)])
    both.write(tmp_path / "out")
    return both


def verify(*arguments: str, env: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(app, ["verify", "out", *arguments], env=env or {})


def problems(*arguments: str) -> list[dict[str, Any]]:
    """What is wrong, by --json; the exit code says the same."""
    result = verify("--json", *arguments)
    document = json.loads(result.stdout)
    found = [problem for each in document["manifests"] for problem in each["problems"]] + [{"extra": name} for name in document["extra"]]
    assert (result.exit_code, document["ok"]) == ((1, False) if found else (0, True))
    return found


def test_an_untouched_folder_is_whole(made: Made) -> None:
    result = verify()
    assert result.exit_code == 0
    assert result.stdout.count("whole") == 2
    assert f"signed with the key {key_of(SIGNER).id}" in result.stdout
    assert "All is as the manifest says." in result.stderr
    assert "--pin" in result.stderr, "keys that came with the files prove less"
    document = json.loads(verify("--json").stdout)
    assert document["manifests"][0]["signature"] == {"ok": True, "key_id": key_of(SIGNER).id, "keys": "saved beside the manifest"}
    one = CliRunner().invoke(app, ["verify", f"out/{MANIFEST}"])
    assert one.exit_code == 0


def test_the_part_and_its_bytes_are_named(made: Made) -> None:
    name = made.files[0].name
    path = Path("out") / name
    path.write_bytes(path.read_bytes().replace(b"two", b"tow"))
    (problem,) = problems()
    assert problem["code"] == "bytes_differ"
    assert (problem["file"], problem["parts"], problem["first_byte"], problem["last_byte"]) == (name, [2], 10, 12)
    assert (problem["first_key"], problem["last_key"]) == ("first2", "last2")
    said = verify()
    assert said.exit_code == 1
    assert f"✗ {name}: bytes 10 to 12: part 2 differs: the sha256 is" in said.stdout


def test_missing_short_long_and_extra_files_are_named(made: Made) -> None:
    first, second = (Path("out") / file.name for file in made.files)
    second.write_bytes(b"")
    assert problems()[0]["code"] == "file_short"
    second.write_bytes(b"none\nmore")
    assert problems()[0]["code"] == "file_long"
    second.unlink()
    assert [(p["code"], p["file"]) for p in problems()] == [("file_missing", second.name)]
    second.mkdir()
    assert "not a file" in problems()[0]["message"]
    second.rmdir()
    second.write_bytes(made.files[1].data)
    Path("out/stranger.csv").touch()
    Path("out/more").mkdir()
    Path("out/.hidden").touch()
    assert problems() == [{"extra": "more"}, {"extra": "stranger.csv"}]
    assert "stranger.csv: is in no manifest" in verify().stdout
    assert verify("--allow-extra").exit_code == 0
    assert CliRunner().invoke(app, ["verify", f"out/{MANIFEST}"]).exit_code == 0
    assert first.exists()


Change = Callable[[dict[str, Any]], Any]


def _set(path: str, value: Any) -> Change:
    def change(document: dict[str, Any]) -> None:
        *parents, last = [int(step) if step.isdigit() else step for step in path.split(".")]
        target: Any = document
        for step in parents:
            target = target[step]
        if value is None:
            del target[last]
        else:
            target[last] = value

    return change


@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        (_set("signature", None), "signature_missing", "not signed"),
        (_set("signature", "x"), "signature_malformed", "'signature' is not an object"),
        (_set("signature.value", None), "signature_malformed", "'signature.value' is missing"),
        (_set("signature.value", "?"), "signature_malformed", "not base64"),
        (_set("signature.value", "AAAA"), "signature_malformed", "has 3 bytes"),
        (_set("signature.more", "x"), "signature_malformed", "'signature.more' does not belong there"),
        (_set("signature.alg", "none"), "signature_algorithm", "'none'; only Ed25519"),
        (_set("signature.key_id", "x"), "signature_key_unknown", "the key x, which is not among the 1 keys given"),
        (_set("signature.value", base64.b64encode(bytes(64)).decode()), "signature_wrong", "does not fit"),
        (_set("export_id", "exp_2"), "signature_wrong", "not what the key"),
        (_set("files.0.sha256", "0" * 64), "signature_wrong", "not what the key"),
        (_set("reproduces", "exp_0"), "signature_wrong", "not what the key"),
    ],
)
def test_what_is_wrong_with_a_signature_is_said_precisely(made: Made, change: Change, code: str, says: str) -> None:
    document = copy.deepcopy(made.document)
    change(document)
    made.write_manifest(Path("out"), document)
    found = problems()
    assert found[0]["code"] == code
    assert says in found[0]["message"]
    shown = verify()
    assert shown.exit_code == 1
    assert "the signature is not good" in shown.stdout


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("files", {}, "files"), ("files.0", "x", "files.0"), ("files.0.name", "../x", "files.0.name"), ("files.0.name", "a/b", "files.0.name"),
        ("files.1.name", "leads_exp_1_0001.csv", "files.1.name"), ("files.0.bytes", -1, "files.0.bytes"), ("files.0.bytes", True, "files.0.bytes"),
        ("files.0.bytes", 1, "files.0.bytes"), ("files.0.sha256", "x", "files.0.sha256"), ("files.0.rows", 1, "files.0.rows"),
        ("files.0.parts", {}, "files.0.parts"), ("files.0.parts.1.offset", 9, "files.0.parts.1.offset"), ("files.0.parts.1.bytes", 9, "files.0.parts.2.offset"),
        ("files.0.parts.1.number", 1, "files.0.parts.1.number"), ("files.0.parts.1.sha256", None, "files.0.parts.1.sha256"),
        ("files.0.frame", [], "files.0.frame"), ("files.0.frame.tail", None, "files.0.frame.tail.bytes"), ("files.0.parts.0.first_key", 1, "files.0.parts.0.first_key"),
        ("versions.manifest", "9", "versions.manifest"), ("rows_planned", 7, "rows_planned"), ("rows_planned", None, "rows_planned"),
        ("excluded", [{"reason": "x", "rows": 1}], "rows_planned"), ("excluded", [1], "excluded"),
    ],
)  # fmt: skip
def test_a_manifest_that_makes_no_sense_is_refused_by_field_even_where_it_is_signed(made: Made, path: str, value: Any, field: str) -> None:
    document = copy.deepcopy(made.document)
    _set(path, value)(document)
    del document["signature"]
    made.write_manifest(Path("out"), sign(document, SIGNER))
    assert field in [problem.get("field") for problem in problems("--allow-extra")]


@pytest.mark.parametrize("text", ["", "[]", "{", '{"a": 1, "a": 2}', '{"a": NaN}', '"\\ud800"'])
def test_a_manifest_that_is_no_good_json_is_refused(made: Made, text: str) -> None:
    (Path("out") / MANIFEST).write_text(text)
    assert problems("--allow-extra")[0]["code"] == "manifest_malformed"


def test_damage_is_named_even_where_the_layout_is_not_known(made: Made) -> None:
    document = copy.deepcopy(made.document)
    document["files"][0]["parts"][1]["offset"] += 1
    made.resign(Path("out"), files=document["files"])
    path = Path("out") / made.files[0].name
    assert [p["code"] for p in problems()] == ["manifest_malformed"]
    path.write_bytes(path.read_bytes()[::-1])
    assert [p["code"] for p in problems()] == ["manifest_malformed", "sha256_differs"]


def test_keys_come_from_a_file_a_setting_or_a_pin(made: Made) -> None:
    mine, other = key_of(SIGNER), key_of(OTHER)
    Path("other.json").write_text(json.dumps(to_jwks([other])))
    Path("mine.pem").write_text(mine.pem)
    assert [p["code"] for p in problems("--keys", "other.json")] == ["signature_key_unknown"]
    assert problems("--keys", "mine.pem") == []
    assert problems("--pin", mine.id) == []
    assert [p["code"] for p in problems("--pin", other.id)] == ["signature_key_unknown"]
    assert verify(env={"WAYBILL_SIGNING_PINS": f"{other.id}, {mine.id}"}).exit_code == 0
    assert verify(env={"WAYBILL_SIGNING_PINS": other.id}).exit_code == 1
    assert verify(env={"WAYBILL_SIGNING_KEYS": "other.json"}).exit_code == 1
    (Path("out") / KEYS_FILE).unlink()
    (missing,) = problems()
    assert f"{KEYS_FILE} is missing" in missing["message"]


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ("", "not valid JSON"), ("[]", "no list 'keys'"), ('{"keys": [{"kty": "OKP", "crv": "Ed25519", "x": "AAAA"}]}', "keys.0.x has 3 bytes"),
        ("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "no public key"),
        (json.dumps({"keys": [to_jwks([key_of(SIGNER)])["keys"][0] | {"kid": "x"}]}), "keys.0.kid is not this key's id"),
        (json.dumps({"keys": [to_jwks([key_of(SIGNER)])["keys"][0] | {"revoked_at": "soon"}]}), "keys.0.revoked_at is no time"),
    ],
)  # fmt: skip
def test_keys_that_are_none_are_wrong_use(made: Made, keys: str, says: str) -> None:
    Path("keys.json").write_text(keys)
    result = verify("--keys", "keys.json")
    assert (result.exit_code, says in result.stderr) == (2, True), result.stderr


def test_a_retired_keys_signature_counts_and_a_revoked_ones_does_not(made: Made) -> None:
    retired = key_of(SIGNER, created_at="2026-01-01T00:00:00Z", retired_at="2026-02-01T00:00:00Z")
    (Path("out") / KEYS_FILE).write_text(json.dumps(to_jwks([key_of(OTHER), retired])))
    assert problems() == []
    revoked = key_of(SIGNER, retired_at="2026-02-01T00:00:00Z", revoked_at="2026-03-01T00:00:00Z")
    (Path("out") / KEYS_FILE).write_text(json.dumps(to_jwks([key_of(OTHER), revoked])))
    (problem,) = problems()
    assert (problem["code"], "revoked at 2026-03-01T00:00:00Z" in problem["message"]) == ("signature_key_revoked", True)


def test_a_reproduction_says_so(made: Made) -> None:
    made.resign(Path("out"), reproduces="exp_0")
    assert "byte for byte the same as exp_0" in verify().stdout


def test_nothing_to_verify_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert verify().exit_code == 1
    Path("out").mkdir()
    empty = verify()
    assert (empty.exit_code, "no manifest" in empty.stderr) == (1, True)
