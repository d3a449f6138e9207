"""What may stand in a destination of type sftp."""

from typing import Any

import asyncssh
import pytest

from services.delivery.core.destinations import pins
from services.delivery.core.destinations.kinds import Rules
from services.delivery.core.destinations.pins import Pin, handshakes, pins_of
from services.delivery.core.destinations.registry import all_kinds
from services.delivery.core.sftp.keys import BadKey

KIND = all_kinds()["sftp"]
RULES = Rules("org_acme")
KEY = asyncssh.generate_private_key("ssh-ed25519")
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
PRINT = KEY.get_fingerprint()


def line(key: asyncssh.SSHKey, comment: str = "") -> str:
    return " ".join([*key.export_public_key().decode().split()[:2], *filter(None, [comment])])


def wrong(name: str, value: Any) -> list[str]:
    (field,) = (each for each in KIND.fields if each.name == name)
    return [f"{detail.field}: {detail.message}" for detail in field.check(f"config.{name}", value, RULES)]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("host", ["files.example.com", "8.8.8.8", "2606:4700::1111", "a_b.example", "h"]),
        ("port", [1, 22, 65_535]),
        ("username", ["waybill", "DOMAIN\\waybill", "jö"]),
        ("password", ["x", " a b "]),
        ("private_key", [KEY.export_private_key().decode(), RSA.export_private_key("pkcs1-pem").decode(), RSA.export_private_key("pkcs8-pem").decode(),
                         KEY.export_private_key("openssh", passphrase="x").decode(), RSA.export_private_key("pkcs8-pem", passphrase="x").decode(),
                         KEY.export_private_key().decode().replace("\n", "\r\n")]),
        ("host_keys", [[], [PRINT], [line(KEY), line(RSA, "root@files")], [f"[files.example.com]:2022,10.0.0.1 {line(KEY)}"], [PRINT + "="]]),
        ("directory", ["", "/data/in", "in", "~backup", "a..b"]),
        ("path", ["", "{dataset}/{year}", "{org_id}"]),
        ("overwrite", [True, False]),
        ("file_mode", ["0640", "644"]),
    ],
)  # fmt: skip
def test_what_will_do(name: str, values: list[Any]) -> None:
    assert [(value, problem) for value in values if (problem := wrong(name, value))] == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("host", ["", "a b", "sftp://files.example.com", "files.example.com:22", "a/b", "-oProxyCommand=x", "ü.example", "fe80::1%eth0", "a\n", 7, None, "x" * 254]),
        ("port", [0, 65_536, "22", True, None, 22.5]),
        ("username", ["", "a\nb", "a\x00b", 7, "x" * 129]),
        ("password", ["", "a\nb", 7]),
        ("private_key", ["", "x", line(KEY), KEY.export_private_key().decode()[:200], KEY.export_private_key().decode().replace("A", "B", 9), 7,
                         "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----"]),  # pragma: allowlist secret
        ("host_keys", [None, PRINT, ["SHA256:short"], ["MD5:aa:bb"], [KEY.export_private_key().decode()], [""], [7], [f"@cert-authority * {line(KEY)}"],
                       [line(asyncssh.generate_private_key("ssh-rsa", key_size=1024))], [PRINT] * 11]),
        ("directory", ["..", "a/../b", "a\\b", "a\nb", "{dataset}", 7, "x" * 501]),
        ("path", ["/abs", "../x", "a//b", "org_other/x", "{nothing}", 7]),
        ("overwrite", ["true", 1, None]),
        ("file_mode", ["rw", "888", 420, "07777"]),
    ],
)  # fmt: skip
def test_what_is_refused(name: str, values: list[Any]) -> None:
    assert [value for value in values if not wrong(name, value)] == []


def test_no_refusal_quotes_a_secret() -> None:
    secret = KEY.export_private_key().decode()
    said = " ".join(wrong("private_key", secret[:200]) + wrong("host_keys", [secret]) + wrong("password", "hunter2\n"))
    assert secret[60:100] not in said
    assert "hunter2" not in said


def test_some_way_to_log_in_is_needed() -> None:
    assert [detail.field for detail in KIND.together({}, frozenset())] == ["config.password"]
    assert [detail.field for detail in KIND.together({}, frozenset({"password", "passphrase"}))] == ["config.passphrase"]
    assert KIND.together({}, frozenset({"private_key", "passphrase", "password"})) == []


def test_host_keys_are_kept_in_one_form() -> None:
    (field,) = (each for each in KIND.fields if each.name == "host_keys")
    assert field.kept([PRINT + "=", PRINT, f"files.example.com {line(KEY, 'comment')}", line(KEY)]) == [PRINT, line(KEY)]
    with pytest.raises(BadKey):
        pins.kept("ssh-dss AAAA")


def test_whoever_is_pinned_by_a_line_is_asked_for_by_its_kind() -> None:
    assert pins_of([line(RSA), PRINT]) == [Pin(RSA.get_fingerprint(), "ssh-rsa"), Pin(PRINT)]
    assert handshakes(pins_of([line(RSA)])) == [("rsa-sha2-512", "rsa-sha2-256")]
    assert handshakes(pins_of([line(RSA), line(KEY)])) == [("ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256")]
    first, *others = handshakes([Pin(PRINT)])
    assert set(first) == {name for names in others for name in names}
    assert handshakes([])[0][0] == "ssh-ed25519"


def test_where_it_leads_for_people() -> None:
    config = {"host": "2606:4700::1111", "port": 2022, "directory": "/in"}
    assert KIND.where(config) == "sftp://[2606:4700::1111]:2022/in"
