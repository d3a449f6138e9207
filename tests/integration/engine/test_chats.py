"""chat-data: a chunk is a whole file, and its rows bring columns."""

import json
from typing import Any

import pytest

from shared.errors import PermanentError
from shared.formatting import sheets
from tests.integration.engine.conftest import CASES, EXAMPLES, Exporter

CASE = next(c for c in CASES["cases"] if c["file"] == "chat-data.json")
WHOLE: dict[str, Any] = json.loads((EXAMPLES / "files" / "chat-data.json").read_bytes())


async def test_a_file_is_one_part_and_the_same_each_time(exporter: Exporter) -> None:
    spec, snapshot = exporter.spec(CASE["request"]), exporter.snapshot()
    first, second = [await exporter.export(spec, snapshot) for _ in range(2)]
    (part,) = first.parts["json"]
    assert part.data == second.parts["json"][0].data
    assert part.result.rows == len(WHOLE["UserChat data"])
    assert json.loads(part.result.first_key)[1] == WHOLE["UserChat data"][0]["id"]
    assert json.loads(part.result.last_key)[1] == WHOLE["UserChat data"][-1]["id"]


async def test_profile_columns_are_those_of_the_files_users(exporter: Exporter) -> None:
    """Of one user, only the keys that this user has."""
    user = next(u for u in WHOLE["User data"] if any(v is None for k, v in u.items() if k.startswith("profile.")))
    chats = [c["id"] for c in WHOLE["UserChat data"] if c["userId"] == user["id"]]
    made = await exporter.export(exporter.spec(CASE["request"] | {"filter": {"ids": chats}}), exporter.snapshot())
    (shown,) = json.loads(made.files["json"])["User data"]
    given = {key: value for key, value in user.items() if not key.startswith("profile.") or value is not None}
    assert shown == given
    assert list(shown) == list(given)


async def test_too_many_of_them_fail_the_export_with_what_to_do(exporter: Exporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sheets, "NAMES_MAX", 1)
    with pytest.raises(PermanentError, match="fewer rows a file") as caught:
        await exporter.export(exporter.spec(CASE["request"]), exporter.snapshot())
    assert caught.value.code == "too_many_columns"
