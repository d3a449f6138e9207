"""Whose records they are."""

from typing import Any

SETTINGS: dict[str, Any] = {
    "name": 'Synaptiq, "EU"',
    "timezone": "Europe/Brussels",
    "qualification_threshold": 40,
    "custom_properties": [
        {"name": "company_size", "type": "text"},
        {"name": "budget", "type": "number"},
        {"name": "vip", "type": "boolean"},
        {"name": 'Größe, "EU"', "type": "text"},
        {"name": "=note", "type": "text"},
        {"name": "nobody has it", "type": "number"},
    ],
    "operating_hours": {
        "timezone": "America/New_York",
        **{day: [["09:00", "12:30"], ["13:15", "17:30"]] for day in ("mon", "tue", "wed", "thu")},
        "fri": [["08:00", "14:45"]],
        "sat": [["10:00", "11:00"]],
    },
}
"""An organisation for these records: PATCH /v1/settings takes it; scores that it gives are for its own scoring to tell."""
