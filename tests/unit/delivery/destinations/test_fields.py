"""What the document says of a destination's fields is what their checks take."""

import base64
import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.destinations.kinds import Field, Rules
from services.delivery.core.destinations.registry import all_kinds
from shared.checks import is_seen

PATTERNED = [(kind.name, field) for kind in all_kinds().values() for field in kind.fields if "pattern" in field.schema]
RULES = Rules("org_a", allow_http=True)
BEYOND = {"url", "endpoint", "subject"}  # which are held to more than their patterns say


@pytest.mark.parametrize(("kind", "field"), PATTERNED, ids=[f"{kind}.{field.name}" for kind, field in PATTERNED])
@given(data=st.data())
def test_what_is_like_a_fields_pattern_is_taken_and_nothing_else(kind: str, field: Field, data: st.DataObject) -> None:
    pattern, longest = str(field.schema["pattern"]), int(field.schema.get("maxLength", 10_000))
    value = data.draw(st.one_of(st.from_regex(pattern), st.text(), st.text("abc./\\{}%? \n-_0", max_size=12)))
    said = re.fullmatch(pattern, value) is not None and len(value) <= longest and len(value) >= field.schema.get("minLength", 0)
    refused = bool(field.check(f"config.{field.name}", value, RULES))
    assert refused is (not said) or (refused and field.name in BEYOND)


def test_a_webhooks_secret_has_24_to_64_bytes() -> None:
    secret = next(field for field in all_kinds()["webhook"].fields if field.name == "secret")
    taken = [n for n in range(100) if not secret.check("config.secret", "whsec_" + base64.b64encode(b"x" * n).decode(), RULES)]
    assert taken == list(range(24, 65))


def test_a_directory_never_leads_up() -> None:
    directory = next(field for field in all_kinds()["sftp"].fields if field.name == "directory")
    for length in range(6):
        for value in map("".join, itertools.product("a./\\{ \n", repeat=length)):
            good = is_seen(value) and not set("\\{}") & set(value) and ".." not in value.split("/")
            assert bool(directory.check("config.directory", value, RULES)) is not good, value
