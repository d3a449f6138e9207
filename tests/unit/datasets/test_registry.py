"""Every dataset holds what the rest of the system counts on."""

import re

import pytest

from shared.datasets import registry
from shared.datasets.plan import ColumnType, CustomProperty, PlanSpec
from shared.datasets.workbooks import Workbook
from shared.errors import ApiError
from shared.formats import registry as formats

CUSTOM = [CustomProperty(name="size"), CustomProperty(name="Team size, EU", type="number"), CustomProperty(name="properties")]


@pytest.mark.parametrize("name", registry.names())
def test_a_dataset_is_whole(name: str) -> None:
    dataset = registry.get(name)
    assert dataset.name == name
    assert set(dataset.formats) <= set(formats.names())
    assert dataset.default_format in dataset.formats
    assert dataset.range_rule in {"required", "optional", "refused"}
    for fmt in dataset.formats:
        keys = dataset.resolve_columns(None, [fmt], CUSTOM)[fmt]
        assert keys or isinstance(dataset, Workbook)  # which has all columns of all sheets
        assert len(keys) == len(set(keys))
    for column in dataset.columns(CUSTOM):
        assert column.description
        assert isinstance(column.type, ColumnType)


def test_care_keys_come_from_headers() -> None:
    keys = [c.key for c in registry.get("messages").columns()]
    assert keys[:7] == ["message_id", "created_at", "conversation_id", "medium", "channel", "channel_display_name", "contact_profile_id"]
    assert all(re.fullmatch(r"[a-z0-9]+(_[a-z0-9]+)*", key) for key in keys)


def test_default_columns_of_leads_differ_by_format() -> None:
    columns = registry.get("leads").resolve_columns(None, ["csv", "json"], CUSTOM)
    assert columns["csv"][-3:] == ["custom_size", "custom_Team size, EU", "custom_properties"]
    assert columns["json"][-2:] == ["custom_properties", "conversations"]
    assert not any(key.startswith("custom_") and key != "custom_properties" for key in columns["json"])


def test_a_custom_property_called_properties_is_its_own_column_in_csv() -> None:
    dataset = registry.get("leads")
    spec = PlanSpec(
        dataset="leads", formats=["csv", "json"], columns=dataset.resolve_columns(None, ["csv", "json"], CUSTOM), custom_properties=CUSTOM
    )
    assert [c.type for c in dataset.selected(spec, "csv") if c.key == "custom_properties"] == [ColumnType.property]
    assert [c.type for c in dataset.selected(spec, "json") if c.key == "custom_properties"] == [ColumnType.json]


def test_columns_asked_for_come_in_that_order() -> None:
    asked = ["email", "id", "custom_size"]
    assert registry.get("leads").resolve_columns(asked, ["csv", "jsonl"], CUSTOM) == {"csv": asked, "jsonl": asked}


@pytest.mark.parametrize(
    ("dataset", "asked", "formats_asked", "status", "field"),
    [
        ("leads", [], ["csv"], 400, "columns"),
        ("leads", ["id", "nope"], ["csv"], 400, "columns.1"),
        ("leads", ["id", 5], ["csv"], 400, "columns.1"),
        ("leads", ["id", "email", "id"], ["csv"], 400, "columns.2"),
        ("leads", ["id", "conversations"], ["json", "csv"], 422, "columns.1"),
        ("conversations", ["transcript"], ["json"], 400, "columns.0"),
        ("conversations", ["conversation_id"], ["txt"], 422, "columns"),
    ],
)
def test_columns_refused(dataset: str, asked: list[str], formats_asked: list[str], status: int, field: str) -> None:
    with pytest.raises(ApiError) as caught:
        registry.get(dataset).resolve_columns(asked, formats_asked, CUSTOM)
    assert (caught.value.status, caught.value.details[0].field) == (status, field)


def test_the_plan_spec_travels_as_json() -> None:
    spec = PlanSpec(
        dataset="messages", formats=["csv"], columns={"csv": ["message_id"]}, from_="2026-01-01T00:00:00Z", filter={"medium": ["x"]}
    )
    assert PlanSpec.model_validate_json(spec.model_dump_json()) == spec


def test_unknown_dataset() -> None:
    with pytest.raises(KeyError):
        registry.get("nope")
