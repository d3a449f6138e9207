"""docs/retention.md says of every table how long its rows stay."""

import re

from tests.conftest import MIGRATIONS, ROOT

SCHEMAS = "ingest|tenancy|exports|delivery"
PAGE = ROOT / "docs" / "retention.md"


def tables() -> set[str]:
    """As the migrations make them, without partitions and those that were renamed away."""
    text = "\n".join(path.read_text("utf-8") for path in sorted(MIGRATIONS.glob("*.sql")))
    made = set(re.findall(rf"CREATE (?:UNLOGGED )?TABLE (?:IF NOT EXISTS )?((?:{SCHEMAS})\.[a-z_]+)", text))
    return made - set(re.findall(rf"DROP TABLE (?:IF EXISTS )?((?:{SCHEMAS})\.[a-z_]+)", text))


def test_every_table_is_in_the_table_and_nothing_else() -> None:
    section = PAGE.read_text("utf-8").partition("## Everything that grows")[2].partition("\n## ")[0]
    named: list[str] = []
    for row in re.findall(r"^\| (`.*?) \|", section, re.M):
        schema = re.match(rf"`({SCHEMAS})\.", row)
        assert schema, row
        named += [name if "." in name else f"{schema[1]}.{name}" for name in re.findall(r"`([a-z_.]+)`", row)]
    assert sorted(named) == sorted(tables())


def test_every_setting_that_it_names_exists() -> None:
    code = "\n".join(
        path.read_text("utf-8")
        for path in [*ROOT.glob("services/*/settings.py"), *ROOT.glob("services/delivery/*_settings.py"), ROOT / "shared" / "settings.py"]
    )
    for name in re.findall(r"`WAYBILL_([A-Z0-9_]+)`", PAGE.read_text("utf-8")):
        assert f"    {name.lower()}:" in code, name
