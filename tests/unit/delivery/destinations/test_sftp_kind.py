"""What may stand in a destination of type sftp."""

from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Any

import asyncssh
import pytest
from asyncssh.asn1 import ObjectIdentifier, der_encode
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.destinations import pins, private_keys
from services.delivery.core.destinations.kinds import Rules
from services.delivery.core.destinations.pins import Pin, handshakes, pins_of
from services.delivery.core.destinations.registry import all_kinds
from services.delivery.core.sftp.keys import BadKey

KIND = all_kinds()["sftp"]
RULES = Rules("org_acme")
KEY = asyncssh.generate_private_key("ssh-ed25519")
RSA = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
PRINT = KEY.get_fingerprint()
LOCKED = KEY.export_private_key("openssh", passphrase="x", rounds=50).decode()  # pragma: allowlist secret


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
                         KEY.export_private_key("openssh", passphrase="x", rounds=50).decode(), RSA.export_private_key("pkcs8-pem", passphrase="x").decode(),
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


def pem(name: str, data: bytes) -> str:
    return f"-----BEGIN {name}-----\n{b64encode(data).decode()}\n-----END {name}-----"


def openssh(rounds: int) -> str:
    """A key with a passphrase, whose opening would take so many rounds."""
    data = bytearray(b64decode("".join(LOCKED.splitlines()[1:-1])))
    at = data.index(b"bcrypt") + len(b"bcrypt")
    end = at + 4 + int.from_bytes(data[at : at + 4], "big")  # of salt and rounds
    data[end - 4 : end] = rounds.to_bytes(4, "big")
    return pem("OPENSSH PRIVATE KEY", bytes(data))


def pkcs8(iterations: int) -> str:
    """The same in PKCS #8, by PBES2."""
    kdf = (ObjectIdentifier("1.2.840.113549.1.5.12"), (b"s" * 8, iterations))
    how = (ObjectIdentifier("1.2.840.113549.1.5.13"), (kdf, (ObjectIdentifier("2.16.840.1.101.3.4.1.42"), b"i" * 16)))
    return pem("ENCRYPTED PRIVATE KEY", der_encode((how, b"k" * 32)))  # pragma: allowlist secret


@pytest.mark.parametrize(
    ("make", "most"), [(openssh, private_keys.ROUNDS_MAX), (pkcs8, private_keys.ITERATIONS_MAX)], ids=["openssh", "pkcs8"]
)
def test_a_key_whose_passphrase_would_keep_a_processor_busy_for_years_is_refused(make: Callable[[int], str], most: int) -> None:
    assert wrong("private_key", make(most)) == []
    for work in (most + 1, 2**31 - 1):
        (refusal,) = wrong("private_key", make(work))
        assert refusal.startswith("config.private_key: takes too much work")


@pytest.mark.parametrize("make", [openssh, pkcs8])
def test_a_key_that_others_could_read_otherwise_is_refused(make: Callable[[int], str]) -> None:
    """Behind a header the bytes that are opened would be others than those that were looked at."""
    head, body, tail = make(16).splitlines()
    for hostile in (f"{head}\nX-Comment: a\n\n{body}\n{tail}", f"{head}\n{body[:-9]}\n{tail}", f"{head}\n{body}!\n{tail}"):
        assert wrong("private_key", hostile) != []


@given(st.binary(max_size=300))
def test_whatever_stands_in_a_key_it_is_judged(data: bytes) -> None:
    for name in ("OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PRIVATE KEY"):
        assert private_keys.is_too_laborious(pem(name, data)) in (True, False)


def test_a_key_that_is_nested_without_end_is_refused() -> None:
    data = b"\x02\x01\x01"
    for _ in range(5000):
        data = b"\x30\x82" + len(data).to_bytes(2, "big") + data
    assert private_keys.is_too_laborious(pem("ENCRYPTED PRIVATE KEY", data))  # pragma: allowlist secret


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
