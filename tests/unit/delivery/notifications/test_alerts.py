"""What alerts say and when they are tried again; what notices are made of."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.notifications import notices
from services.delivery.core.notifications.alerts import RETRY_SECONDS, Alert, Channel, body_of, channels_of, due_at, mail_of, retry_seconds
from services.delivery.core.notifications.notices import FAILING, MESSAGE_MAX, Kind

NOW = datetime(2026, 4, 1, 6, tzinfo=UTC)
SLACK = Channel("slack", "k", "https://hooks.example/x")


def alert(message: str, count: int = 1, name: str = "Acme") -> Alert:
    return Alert("alt_1", "delivery_failed", message, {"export_id": "exp_1", "schedule_id": None}, NOW, name, count)


@given(st.text(), st.text())
def test_nothing_in_a_message_is_markup_of_slack(message: str, name: str) -> None:
    text = json.loads(body_of(SLACK, alert(message, name=name)))["text"]
    assert "<" not in text and ">" not in text
    unescaped = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert unescaped == f"*Waybill* · {name}: {message}"


@given(st.text(), st.integers(2, 10_000))
def test_a_subject_is_one_line_whatever_the_message(message: str, count: int) -> None:
    subject, text = mail_of(alert(message, count))
    assert subject == "Waybill: delivery failed"
    assert text.startswith(message) and f"({count - 1} more like it since the last alert.)" in text and "schedule_id" not in text


def test_another_address_is_another_channel_and_no_key_tells_it() -> None:
    found = channels_of(
        json.dumps(
            [
                {"type": "slack", "url": "https://a.example/1"},
                {"type": "slack", "url": "https://a.example/2"},
                {"type": "email", "to": ["a@b.example"]},
            ]
        )
    )
    assert len({c.key for c in found}) == 3
    assert not any("example" in c.key or "example" in repr(c) for c in found)


@pytest.mark.parametrize("attempts", range(1, 7))
def test_waits_grow_and_end(attempts: int) -> None:
    waits = [retry_seconds(attempts, chance) for chance in (0.0, 0.999)]
    if attempts > len(RETRY_SECONDS):
        assert waits == [None, None]
        return
    low, high = waits
    assert low is not None and high is not None
    assert 0.79 * RETRY_SECONDS[attempts - 1] <= low < high <= 1.21 * RETRY_SECONDS[attempts - 1]


@given(st.none() | st.datetimes(datetime(2026, 3, 1), datetime(2026, 4, 2)).map(lambda at: at.replace(tzinfo=UTC)))
def test_no_two_alerts_of_a_thing_are_closer_than_the_quiet(last: datetime | None) -> None:
    quiet = timedelta(minutes=15)
    due = due_at(NOW, last, quiet)
    assert due >= NOW and (last is None or due >= last + quiet)


@given(st.text(max_size=3_000), st.none() | st.text(max_size=50))
def test_a_notice_is_one_bounded_line(message: str, name: str | None) -> None:
    made = notices.delivery_failed(
        at=NOW, delivery_id="dlv_1", export_id="exp_1", schedule_id=None, type="s3", destination_id="dst_1", destination_name=name, attempts=1, code="refused", message=message,
    )  # fmt: skip
    assert len(made.message) <= MESSAGE_MAX and made.message.isprintable() and made.about == "dst_1"
    assert (made.key, made.topic, made.alerts) == ("delivery_failed/dlv_1/1", "delivery_failed/dst_1", True)


def test_what_somebody_chose_or_has_to_do_alerts_nobody() -> None:
    assert set(Kind) - FAILING == {Kind.destination_resumed, Kind.schedule_windows_skipped, Kind.approval_awaited}
