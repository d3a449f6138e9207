"""From where a user may come."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network


def plain(address: str) -> str:
    """An IPv4 address that came through an IPv6 socket is an IPv4 address; a zone isn't part of one."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    return str(found.ipv4_mapped) if isinstance(found, IPv6Address) and found.ipv4_mapped else str(found)


def allows(networks: Sequence[str], address: str) -> bool:
    """An empty list lets everyone in."""
    if not networks:
        return True
    try:
        found: IPv4Address | IPv6Address = ip_address(plain(address))
    except ValueError:
        return False
    return any(found in ip_network(each) for each in networks)
