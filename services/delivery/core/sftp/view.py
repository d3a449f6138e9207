"""SFTP users and host keys as the HTTP API shows them. A password is shown by who makes it, nowhere else."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from services.delivery.core.sftp import keys
from shared.clock import instant

Row = Mapping[str, Any]


def user_view(row: Row) -> dict[str, Any]:
    return {
        "id": row["id"],
        "username": row["username"],
        "public_keys": [_key_view(keys.parse(line)) for line in row["public_keys"]],
        "allowed_networks": list(row["allowed_networks"]),
        "created_at": instant(row["created_at"]),
        "updated_at": instant(row["updated_at"]),
        "password_changed_at": instant(row["password_changed_at"]),
        "last_login_at": instant(row["last_login_at"]),
    }


def _key_view(key: keys.PublicKey) -> dict[str, Any]:
    return {"fingerprint": key.fingerprint, "type": key.kind, "comment": key.comment}


def host_key_view(row: Row, now: datetime) -> dict[str, Any]:
    return {
        "fingerprint": row["id"],
        "type": row["kind"],
        "public_key": row["public_key"],
        "status": "used" if row["used_from"] <= now else "announced",
        "used_from": instant(row["used_from"]),
        "created_at": instant(row["created_at"]),
    }
