"""Where an export is to be brought: what its request named, as deliveries."""

import json
from collections.abc import Sequence
from dataclasses import dataclass

SMALL_BYTES_MAX = 16 << 20  # of all files: such deliveries don't wait for large ones (of other destinations)
EMAIL = "email"


@dataclass(frozen=True)
class Wanted:
    """One delivery. `key` is what makes it one: the destination, or the request's own e-mail addresses of an organisation."""

    key: str
    type: str
    destination_id: str | None = None
    recipients: tuple[str, ...] | None = None


def wanted_of(org_id: str, destinations: str) -> Sequence[Wanted]:
    """`destinations` (JSON) as requests name them: [{"type", "id"}, {"type": "email", "to": […]}]. Each destination once; addresses of their own in one mail."""
    named = json.loads(destinations)
    ids = {each["id"]: each["type"] for each in named if each.get("id")}
    wanted = [Wanted(destination_id, kind, destination_id) for destination_id, kind in ids.items()]
    own = dict.fromkeys(address for each in named if not each.get("id") for address in each.get("to") or ())
    return [*wanted, Wanted(f"{EMAIL}:{org_id}", EMAIL, None, tuple(own))] if own else wanted
