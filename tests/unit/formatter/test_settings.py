"""The formatter starts without what only pseudonyms need, and takes no secret that is easily guessed."""

import pytest
from pydantic import ValidationError

from services.formatter.settings import Settings

GIVEN = {
    "WAYBILL_KAFKA": "127.0.0.1:9092", "WAYBILL_FORMATTER_DATABASE_URL": "postgresql://waybill_formatter:x@127.0.0.1/waybill", "WAYBILL_STORE": "/tmp/waybill-store",
}  # fmt: skip


@pytest.fixture(autouse=True)
def given(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in GIVEN.items():
        monkeypatch.setenv(name, value)


def test_a_secret_of_pseudonyms_may_be_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYBILL_PSEUDONYM_SECRET", raising=False)
    assert Settings().pseudonym_secret == ""


def test_a_short_one_is_refused_and_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYBILL_PSEUDONYM_SECRET", "guess-me")
    with pytest.raises(ValidationError) as error:
        Settings()
    assert "32 characters" in str(error.value)
    assert "guess-me" not in str(error.value)
