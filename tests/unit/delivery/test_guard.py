"""What is never called: addresses that are not public, however they are written. Nothing here opens a connection."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.core.addresses import PUBLIC_ONLY, AddressRule, networks_of
from services.delivery.core.urls import UrlRules, problem_with
from services.delivery.guard import AddressRefused, Guard, GuardedResolver, guarded_socket
from services.delivery.webhooks.sender import Sender

REFUSED = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1",
    "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "168.63.129.16", "192.168.1.1", "192.175.48.1",
    "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "::", "::1", "::7f00:1", "::a00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::1",
    "2002:a00:1::", "2620:4f:8000::1", "3fff::1", "5f00::1", "fc00::1", "fd12:3456::1", "fe80::1", "fe80::1%1", "fec0::1", "ff02::1", "ff0e::1",
    "2607:f8b0::5efe:a00:1", "2607:f8b0::200:5efe:7f00:1", "", "localhost", "127.1", "2130706433", "0x7f000001", "017700000001", "1.2.3.4%eth0",
]  # fmt: skip
LOOPBACK = AddressRule(loopback=True)
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "100.63.255.255",
    "100.128.0.1",
    "172.15.0.1",
    "172.32.0.1",
    "223.255.255.255",
    "2606:4700::1111",
    "2a00:1450::1",
]


@pytest.mark.parametrize("address", REFUSED)
def test_what_is_not_public_is_refused(address: str) -> None:
    assert not PUBLIC_ONLY.allows(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_what_is_public_is_not(address: str) -> None:
    assert PUBLIC_ONLY.allows(address)


def test_loopback_is_allowed_by_a_setting_and_nothing_else_is() -> None:
    assert {address for address in REFUSED if LOOPBACK.allows(address)} == {"127.0.0.1", "127.255.255.254", "::1"}


@given(st.one_of(st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)))
def test_never_more_than_python_calls_global(address: IPv4Address | IPv6Address) -> None:
    if PUBLIC_ONLY.allows(str(address)):
        assert address.is_global
        assert not (address.is_multicast or address.is_private or address.is_link_local or address.is_reserved)


INSIDE = AddressRule(networks=networks_of("10.20.0.0/16, 100.64.0.0/10,fd00::/8"))
NAMED = {"10.20.0.1", "10.20.255.255", "100.64.0.1", "100.127.255.255", "fd12:3456::1"}


@pytest.mark.parametrize("address", sorted(NAMED))
def test_an_operators_networks_are_allowed(address: str) -> None:
    assert INSIDE.allows(address)
    assert not PUBLIC_ONLY.allows(address)


@pytest.mark.parametrize(
    "address", sorted({*REFUSED, "10.19.255.255", "10.21.0.0", "::ffff:10.20.0.1", "64:ff9b::a14:1", "2002:a14:1::", "fd12::1%1"} - NAMED)
)
def test_and_nothing_beside_them(address: str) -> None:
    assert not INSIDE.allows(address)


@pytest.mark.parametrize("address", ["100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"])
def test_where_clouds_give_out_credentials_is_in_no_network(address: str) -> None:
    assert not INSIDE.allows(address)


@pytest.mark.parametrize("text", ["", " ", ",", "10.0.0.0/8", "10.20.30.40", "fd12:3456::/48 , 192.168.0.0/24"])
def test_networks_that_can_be_named(text: str) -> None:
    assert len(networks_of(text)) == len([part for part in text.split(",") if part.strip()])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("10.20.0.1/16", "is no network"), ("inside", "is no network"), ("10.0.0.0/8;fd00::/8", "is no network"), ("0.0.0.0/0", "holds addresses of"),
        ("::/0", "holds addresses of"), ("169.254.169.254/32", "169.254.0.0/16"), ("127.0.0.0/8", "127.0.0.0/8"), ("10.0.0.0/8,fe80::/10", "'fe80::/10'"),
        ("::ffff:10.0.0.0/104", "::ffff:0:0/96"), ("128.0.0.0/1", "169.254.0.0/16"),
    ],
)  # fmt: skip
def test_networks_that_cannot_be_meant_stop_the_process_at_its_start(text: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        networks_of(text)


@given(st.one_of(st.integers(0, 2**32 - 1).map(IPv4Address), st.integers(0, 2**128 - 1).map(IPv6Address)))
def test_a_network_adds_what_is_in_it_alone(address: IPv4Address | IPv6Address) -> None:
    if INSIDE.allows(str(address)) and not PUBLIC_ONLY.allows(str(address)):
        assert any(address in network for network in INSIDE.networks)


def infos(*addresses: str) -> list[Any]:
    found = []
    for address in addresses:
        six = ":" in address
        place = (address, 443, 0, 0) if six else (address, 443)
        found.append((socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_STREAM, 6, "", place))
    return found


@pytest.mark.parametrize(
    ("addresses", "refused"),
    [
        (["8.8.8.8"], False),
        (["8.8.8.8", "2606:4700::1111"], False),
        (["8.8.8.8", "10.0.0.1"], True),
        (["127.0.0.1", "8.8.8.8"], True),
        (["2606:4700::1111", "::1"], True),
        (["8.8.8.8", "::ffff:127.0.0.1"], True),
    ],
)
async def test_a_name_is_refused_if_any_of_its_addresses_is(addresses: list[str], refused: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return infos(*addresses)

    monkeypatch.setattr(socket, "getaddrinfo", answer)
    resolver = GuardedResolver(PUBLIC_ONLY)
    try:
        if refused:
            with pytest.raises(AddressRefused):
                await resolver.resolve("hooks.example", 443)
        else:
            assert [each["host"] for each in await resolver.resolve("hooks.example", 443)] == addresses
            assert {each["hostname"] for each in await resolver.resolve("hooks.example", 443)} == {"hooks.example"}
    finally:
        await resolver.close()
    assert asked[0] == "hooks.example"


@pytest.mark.parametrize("address", [a for a in REFUSED if a and a[0].isdigit() and "." in a and "%" not in a and a.count(".") == 3])
def test_no_socket_is_made_for_an_address_that_is_refused(address: str) -> None:
    with pytest.raises(AddressRefused):
        guarded_socket(PUBLIC_ONLY)(infos(address)[0])


ODD = [
    "http://127.0.0.1:1/", "http://127.1:1/", "http://2130706433:1/", "http://0x7f000001:1/", "http://0x7f.0.0.1:1/", "http://0177.0.0.1:1/",
    "http://0:1/", "http://localhost:1/", "http://[::1]:1/", "http://[::ffff:127.0.0.1]:1/", "http://[::ffff:7f00:1]:1/", "http://[::]:1/",
    "http://[64:ff9b::7f00:1]:1/", "http://[fe80::1%25lo]:1/", "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/",
    "http://user@127.0.0.1:1/", "http://127.0.0.1.:1/", "http://127。0。0。1:1/", "http://①②⑦.0.0.1:1/",
]  # fmt: skip


def watch_sockets(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Every socket that is made from now on."""
    made: list[Any] = []
    real = socket.socket

    def watched(*args: Any, **kwargs: Any) -> socket.socket:
        made.append((args, kwargs))
        return real(*args, **kwargs)

    monkeypatch.setattr(socket, "socket", watched)
    return made


@pytest.mark.parametrize("url", ODD)
async def test_the_sender_opens_nothing_however_it_is_written(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever gets as far as a connection is refused before there is a socket for it."""
    sender = Sender(2, PUBLIC_ONLY)
    made = watch_sockets(monkeypatch)
    try:
        sent = await sender.send(url, {}, b"{}")
    finally:
        monkeypatch.undo()
        await sender.close()
    assert sent.attempt.code is None
    assert sent.error_code in ("address_refused", "dns_failed", "bad_answer")
    assert made == []


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f.1",
        "localhost",
        "::1",
        "::ffff:127.0.0.1",
        "10.0.0.1",
        "169.254.169.254",
        "0.0.0.0",
        "fe80::1%lo",
    ],
)
async def test_no_socket_is_made_for_a_protocol_either(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = watch_sockets(monkeypatch)
    guard = Guard(PUBLIC_ONLY)
    try:
        with pytest.raises(OSError) as caught:
            await guard.connect(host, 22)
    finally:
        await guard.close()
    assert isinstance(caught.value, AddressRefused | socket.gaierror)
    assert made == []


async def test_a_name_that_moves_inside_between_check_and_use_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is asked for once, and what it answered then is what is connected to; what it answers later has no say."""
    answers, asked = iter([infos("127.0.0.1"), infos("10.0.0.1"), infos("10.0.0.1")]), []

    def answer(host: str, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return next(answers)

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(socket, "getaddrinfo", lambda host, at, **options: [(*i[:4], (i[4][0], at)) for i in answer(host)])
        guard = Guard(LOOPBACK)
        try:
            connected = await guard.connect("moves.example", port)
            assert connected.getpeername() == ("127.0.0.1", port)
            connected.close()
            assert asked == ["moves.example"]
            made = watch_sockets(monkeypatch)
            with pytest.raises(AddressRefused):
                await guard.connect("moves.example", port)
            assert made == []
        finally:
            monkeypatch.undo()
            await guard.close()


async def test_a_cached_answer_has_no_say_over_the_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a resolver let through, an address that is refused later isn't opened: the rule stands before each socket too."""
    guard = Guard(PUBLIC_ONLY)
    resolved = [{"hostname": "moved.example", "host": "10.0.0.1", "port": 9, "family": socket.AF_INET, "proto": 6, "flags": 0}]

    async def let_through(*_: Any) -> list[Any]:
        return resolved

    monkeypatch.setattr(guard._resolver, "resolve", let_through)
    made = watch_sockets(monkeypatch)
    try:
        with pytest.raises(AddressRefused):
            await guard.connect("moved.example", 9)
    finally:
        monkeypatch.undo()
        await guard.close()
    assert made == []


async def test_environment_proxies_and_cookies_have_no_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    sender = Sender(2, LOOPBACK)
    try:
        assert sender._session.trust_env is False
        assert isinstance(sender._session.cookie_jar, aiohttp.DummyCookieJar)
    finally:
        await sender.close()


@pytest.mark.parametrize(
    "url",
    [
        "", "hooks.example", "//hooks.example", "ftp://hooks.example/", "http://hooks.example/", "https://", "https:///x", "https://u:p@hooks.example/",
        "https://u@hooks.example/", "https://hooks.example/#part", "https://hooks.example/#", "https://hooks.example:0/", "https://hooks.example:99999/",
        "https://hooks.example:x/", "https://127.0.0.1/", "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://[::1]/",
        "https://[::ffff:10.0.0.1]/", "https://[fe80::1%25eth0]/", "https://[nonsense]/", "https://localhost/", "https://a.localhost/", "https://10.0.0.1./",
        "https://hooks.example /", "https://hooks.example\\@127.0.0.1/", "https://hooks.exämple/", "https://-x.example/", "https://hooks..example/",
        "https://hooks.example/\n", "https://" + "a" * 64 + ".example/", "https://hooks.example/" + "x" * 2048, None, 7, ["https://hooks.example/"],
    ],
)  # fmt: skip
def test_urls_that_are_refused_when_they_are_given(url: object) -> None:
    assert problem_with(url, UrlRules())


@pytest.mark.parametrize(
    "url", ["https://hooks.example/", "https://hooks.example:8443/a?b=c", "https://xn--exmple-cua.example/", "https://8.8.8.8/x"]
)
def test_urls_that_will_do(url: str) -> None:
    assert problem_with(url, UrlRules()) is None


def test_http_and_loopback_are_each_allowed_by_a_setting_of_their_own() -> None:
    assert problem_with("http://hooks.example/", UrlRules(allow_http=True)) is None
    assert problem_with("http://127.0.0.1:9/", UrlRules(allow_http=True)) is not None
    assert problem_with("https://127.0.0.1:9/", UrlRules(addresses=LOOPBACK)) is None
    assert problem_with("http://localhost:9/", UrlRules(allow_http=True, addresses=LOOPBACK)) is None
    assert problem_with("http://10.0.0.1/", UrlRules(allow_http=True, addresses=LOOPBACK)) is not None


def test_ip_address_alone_would_not_do() -> None:
    """Why there is a list of our own: what Python's own word lets through."""
    assert ip_address("64:ff9b::7f00:1").is_global
    assert ip_address("ff0e::1").is_global
