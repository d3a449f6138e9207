"""Which addresses a webhook may be sent to: public ones, and nothing that could be inside.

`ipaddress.is_global` is not enough: it lets NAT64, 6to4, IPv4-compatible and multicast addresses through, whose last hop may be private.
For IPv6 only what the registry has given out as global unicast (2000::/3) is taken, without the blocks in it that lead elsewhere.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# IANA's special-purpose registries, but for what is named in the text below them.
_NOT_PUBLIC_4 = tuple(
    IPv4Network(block)
    for block in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
        "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24", "198.18.0.0/15", "198.51.100.0/24",
        "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_PUBLIC_6 = IPv6Network("2000::/3")
# Protocol assignments (Teredo among them), documentation, 6to4, AS112.
_NOT_PUBLIC_6 = tuple(IPv6Network(block) for block in ("2001::/23", "2001:db8::/32", "2002::/16", "2620:4f:8000::/48", "3fff::/20"))
_ISATAP = (0x00005EFE, 0x02005EFE)  # an IPv4 address follows


def is_allowed(address: str, allow_loopback: bool = False) -> bool:
    """Whether a connection to this address may be opened. `allow_loopback` lets 127.0.0.0/8 and ::1 through, and nothing else."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if allow_loopback and parsed.is_loopback and not (isinstance(parsed, IPv6Address) and parsed.ipv4_mapped):
        return True
    return _is_public_4(parsed) if isinstance(parsed, IPv4Address) else _is_public_6(parsed)


def _is_public_4(address: IPv4Address) -> bool:
    return not any(address in block for block in _NOT_PUBLIC_4)


def _is_public_6(address: IPv6Address) -> bool:
    if address.scope_id is not None or address not in _PUBLIC_6 or any(address in block for block in _NOT_PUBLIC_6):
        return False
    return (int(address) >> 32) & 0xFFFFFFFF not in _ISATAP
