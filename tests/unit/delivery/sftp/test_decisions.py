"""Paths, names, keys, networks, passwords: what is decided about what clients and callers say."""

import pytest
from asyncssh import generate_private_key
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.sftp import access, bodies, keys, lockout, passwords, paths
from services.delivery.core.sftp.paths import Exports, File, Folder, Root
from shared.errors import ApiError

FOLDERS = paths.folders()
ED25519 = generate_private_key("ssh-ed25519").export_public_key().decode().strip()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (b"/", Root()), (b"", Root()), (b".", Root()), (b"/../../..", Root()), (b"//", Root()), (b"/export/..", Root()), (b"/export", Exports()),
        (b"export/", Exports()), (b"/export/message", Folder("message")), (b"/export/message/../team/", Folder("team")), (b"/export/leads", Folder("leads")),
        (b"/export/message/a.csv", File("message", "a.csv")), (b"/export/message/./a.csv", File("message", "a.csv")), (b"/etc/passwd", None),
        (b"/export/../etc/passwd", None), (b"/export/messages", None), (b"/export/message/a/b", None), (b"/export/message/\xff", None), (b"/export/message/a\0", None),
        (b"/export/message/" + b"x" * 255, File("message", "x" * 255)), (b"/export/message/" + b"x" * 256, None), (b"/" + b"a/" * 4096, None), (b"/export/%2e%2e", None),
    ],
)  # fmt: skip
def test_places(path: bytes, place: object) -> None:
    assert paths.place_of(path, FOLDERS) == place


@given(st.binary(max_size=200))
def test_no_path_leaves_the_folders(path: bytes) -> None:
    match paths.place_of(path, FOLDERS):
        case File(folder, name):
            assert folder in FOLDERS and "/" not in name and name not in ("", ".", "..") and "\0" not in name
        case Folder(folder):
            assert folder in FOLDERS
    found = paths.absolute(path)
    assert found is None or (found.startswith("/") and ".." not in found.split("/"))


def test_every_dataset_has_its_folder() -> None:
    assert {
        "message",
        "resolved-conversation",
        "open-conversation",
        "contact",
        "team",
        "topic",
        "tag",
        "user-presence",
        "response-times",
    } <= FOLDERS
    assert len(FOLDERS) == 16


# ---- what callers say


def refused(body: object) -> set[str]:
    with pytest.raises(ApiError) as error:
        bodies.user_body(body)
    assert error.value.status == 400
    return {detail.field for detail in error.value.details}


@pytest.mark.parametrize("name", ["", "-a", ".a", "a b", "a/b", "é", "a" * 65, "a\n", 5, None, "a\0"])
def test_usernames_that_are_none(name: object) -> None:
    assert refused({"username": name}) == {"username"}


def test_everything_wrong_is_named_at_once() -> None:
    rsa = generate_private_key("ssh-rsa", key_size=1024).export_public_key().decode()
    wrong = {
        "username": "a", "password": "x", "public_keys": [ED25519, ED25519 + " twice", "ssh-dss AAAA", rsa.strip(), "ssh-ed25519 AAAA", 5],
        "allowed_networks": ["10.0.0.1/8", "10.0.0.0/8", "10.0.0.0/8", "x", 10],
    }  # fmt: skip
    assert refused(wrong) == {"password"} | {f"public_keys.{n}" for n in range(1, 6)} | {f"allowed_networks.{n}" for n in (0, 2, 3, 4)}
    assert refused({"username": "a", "public_keys": "x"}) == {"public_keys"}


def test_what_is_kept_of_a_key_is_its_line() -> None:
    kept = bodies.user_body(
        {"username": "a", "public_keys": [f"  {ED25519} a comment "], "allowed_networks": ["10.1.2.3", "2001:db8::/32"]}
    )
    assert kept == {"username": "a", "public_keys": [f"{ED25519} a comment"], "allowed_networks": ["10.1.2.3/32", "2001:db8::/32"]}


@pytest.mark.parametrize("kind", ["ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"])
def test_keys_have_the_fingerprint_that_others_show(kind: str) -> None:
    key = generate_private_key(kind)
    found = keys.parse(key.export_public_key().decode().strip())
    assert (found.kind, found.fingerprint, found.blob) == (kind, key.get_fingerprint(), key.public_data)


def test_a_private_key_is_named_as_one() -> None:
    with pytest.raises(keys.BadKey, match="private key"):
        keys.parse("-----BEGIN OPENSSH PRIVATE KEY-----")  # pragma: allowlist secret


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ([], "203.0.113.9", True), (["203.0.113.0/24"], "203.0.113.9", True), (["203.0.113.0/24"], "203.0.114.9", False),
        (["203.0.113.0/24"], "::ffff:203.0.113.9", True), (["2001:db8::/32"], "2001:db8::1%eth0", True), (["2001:db8::/32"], "10.0.0.1", False),
        (["0.0.0.0/0"], "nonsense", False), ([], "nonsense", True),
    ],
)  # fmt: skip
def test_networks(networks: list[str], address: str, allowed: bool) -> None:
    assert access.allows(networks, address) is allowed


def test_passwords_are_compared_also_where_there_is_none() -> None:
    kept = passwords.hashed("right", passwords.new_salt())
    assert passwords.matches("right", kept)
    assert not passwords.matches("wrong", kept)
    assert not passwords.matches("right", None) and not passwords.matches("", None)
    assert len({passwords.new_password() for _ in range(50)}) == 50


def test_what_is_counted_has_no_name_in_it() -> None:
    one, other = lockout.counted("Bob", "10.0.0.1"), lockout.counted("bob", "10.0.0.1")
    assert one == other
    assert lockout.counted("bob", "10.0.0.2").pair != one.pair
    assert lockout.counted("eve", "10.0.0.1").source == one.source
    assert lockout.counted("bob", "2001:db8::1") == lockout.counted("bob", "2001:db8::ffff:2")
    assert b"bob" not in one.pair
