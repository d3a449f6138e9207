"""What the HTTP operations on SFTP users and host keys say of themselves (see shared/openapi.py)."""

from typing import Any

from services.delivery.core.sftp.bodies import KEYS_MAX, NETWORKS_MAX, USERNAME
from services.delivery.core.sftp.keys import KINDS, LINE_CHARACTERS_MAX
from shared.openapi import (
    INSTANT,
    LOCATION,
    NOTHING,
    PAGING,
    Component,
    answer,
    body,
    following,
    link,
    listed,
    nullable,
    one_of,
    operation,
    page,
    path,
    shown,
    taken,
    text,
)

_TAG = "SFTP"
_USER_ID = path("user_id", "The user's id.", "sfu_01KBX9ZJ5V8Q3M2N7R4T6W0Y1A")
_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f fetcher"
_FINGERPRINT = "SHA256:eH7gZUH1WSXBCJWEcYRzEtqNZF5QEGS3DCGaJp+ogHI"

# ---- what is asked for

_FIELDS: dict[str, Any] = {
    "username": {"type": "string", "pattern": USERNAME, "description": "Of all organisations no two users have the same, whatever the case.", "examples": ["acme-fetch"]},
    "public_keys": listed(
        {"type": "string", "maxLength": LINE_CHARACTERS_MAX, "pattern": rf"^\s*({'|'.join(KINDS)}) "}, maxItems=KEYS_MAX,
        description="As they stand in .pub files. Without any: the password alone.",
    ),
    "allowed_networks": listed(text(), maxItems=NETWORKS_MAX, description="Addresses and networks from which the user may come. Without any: from everywhere."),
}  # fmt: skip
NEW_USER = Component("SftpUserRequest", taken(_FIELDS, ["username"]))
USER_CHANGES = Component("SftpUserChanges", taken({name: field for name, field in _FIELDS.items() if name != "username"}))

# ---- what is answered

_USER_EXAMPLE: dict[str, Any] = {
    "id": _USER_ID["example"], "username": "acme-fetch", "public_keys": [{"fingerprint": _FINGERPRINT, "type": "ssh-ed25519", "comment": "fetcher"}],
    "allowed_networks": ["203.0.113.0/24"], "created_at": "2026-04-01T06:00:00Z", "updated_at": "2026-04-01T06:00:00Z",
    "password_changed_at": "2026-04-01T06:00:00Z", "last_login_at": None,
}  # fmt: skip
_USER: dict[str, Any] = {
    "id": text(), "username": text(), "public_keys": listed(shown({"fingerprint": text(), "type": one_of(KINDS), "comment": text()})),
    "allowed_networks": listed(text()), "created_at": INSTANT, "updated_at": INSTANT, "password_changed_at": INSTANT, "last_login_at": nullable(INSTANT),
}  # fmt: skip
USER = Component("SftpUser", shown(_USER, examples=[_USER_EXAMPLE]))
USER_WITH_PASSWORD = Component("SftpUserWithPassword", shown(
    _USER | {"password": text("Shown only now.")}, examples=[_USER_EXAMPLE | {"password": "shown-once"}],
))  # fmt: skip
_HOST_KEY = shown({
    "fingerprint": text("As `ssh-keygen -l` shows it."), "type": one_of(("ssh-ed25519", "ssh-rsa")), "public_key": text("A line of known_hosts, without the host."),
    "status": one_of(("used", "announced")), "used_from": INSTANT, "created_at": INSTANT,
})  # fmt: skip
HOST_KEYS = Component("SftpHostKeys", shown(
    {"data": listed(_HOST_KEY)},
    examples=[{"data": [{
        "fingerprint": _FINGERPRINT, "type": "ssh-ed25519", "public_key": _KEY.rpartition(" ")[0], "status": "used", "used_from": "2026-04-01T06:00:00Z",
        "created_at": "2026-04-01T06:00:00Z",
    }]}],
))  # fmt: skip
_THIS = {"user_id": "$response.body#/id"}
_NEXT = {
    "Look": link("get_sftp_user", "Who it is.", **_THIS), "Change": link("patch_sftp_user", "Other keys, other networks.", **_THIS),
    "ResetPassword": link("reset_sftp_password", "A new password.", **_THIS), "Delete": link("delete_sftp_user", "Nobody gets in with it.", **_THIS),
}  # fmt: skip

# ---- operations

POST_USER = operation(
    "Make an SFTP user", _TAG, {201: answer("The user with the password, shown only now.", USER_WITH_PASSWORD, headers=LOCATION, links=_NEXT)},
    body=body(NEW_USER, {"username": "acme-fetch", "allowed_networks": ["203.0.113.0/24"]}), errors=[409],
)  # fmt: skip
LIST_USERS = operation(
    "List SFTP users", _TAG, {200: answer("A page of them.", page(USER), links=following("list_sftp_users"))}, parameters=PAGING
)
GET_USER = operation("Look at an SFTP user", _TAG, {200: answer("The user.", USER)}, parameters=[_USER_ID])
PATCH_USER = operation(
    "Change an SFTP user's keys and networks", _TAG, {200: answer("The user as it is now. Its sessions end within seconds.", USER)}, parameters=[_USER_ID],
    body=body(USER_CHANGES, {"public_keys": [_KEY]}),
)  # fmt: skip
RESET_PASSWORD = operation(
    "Give an SFTP user a new password", _TAG, {200: answer("The user with the password, shown only now. Its sessions end within seconds.", USER_WITH_PASSWORD)},
    parameters=[_USER_ID], body=NOTHING,
)  # fmt: skip
DELETE_USER = operation(
    "Delete an SFTP user", _TAG, {204: answer("Nobody gets in with it any more; its sessions end within seconds.")}, parameters=[_USER_ID]
)
LIST_HOST_KEYS = operation(
    "The keys of the SFTP server", _TAG, {200: answer("Those that are used, and those that will be.", HOST_KEYS)}, public=True,
    description="Compare them with what a client shows at its first connection.",
)  # fmt: skip
ROTATE_HOST_KEYS = operation(
    "Make new keys for the SFTP server", "Operator", {201: answer("All of them: the new ones are announced to clients now, and used after a while.", HOST_KEYS)}, body=NOTHING,
)  # fmt: skip
