"""Which addresses webhooks and destinations may lead to: public ones, what an operator has named, and nothing else that could be inside.

`ipaddress.is_global` is not enough: it lets NAT64, 6to4, IPv4-compatible and multicast addresses through, whose last hop may be private.
For IPv6 only what the registry has given out as global unicast (2000::/3) is taken, without the blocks in it that lead elsewhere.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

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

# Where clouds give a machine its credentials, at whatever address. No operator's network lets them through.
_METADATA = tuple(ip_address(each) for each in ("100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254"))
# What no server of anybody's is at, or what has a setting of its own: no network may hold any of it.
_NO_NETWORKS = tuple(
    ip_network(block)
    for block in (
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/96",
        "::ffff:0:0/96",
        "64:ff9b::/96",
        "fe80::/10",
        "ff00::/8",
    )
)

Network = IPv4Network | IPv6Network


@dataclass(frozen=True)
class AddressRule:
    """What an operator lets connections lead to, beside public addresses. `loopback`: 127.0.0.0/8 and ::1, for a stack on one machine."""

    loopback: bool = False
    networks: tuple[Network, ...] = ()

    def allows(self, address: str) -> bool:
        """Whether a connection to this address may be opened. What isn't an address, plainly written, is refused."""
        try:
            parsed = ip_address(address)
        except ValueError:
            return False
        if parsed in _METADATA or (isinstance(parsed, IPv6Address) and parsed.scope_id is not None):
            return False
        if parsed.is_loopback:
            return self.loopback and not (isinstance(parsed, IPv6Address) and parsed.ipv4_mapped)
        if any(parsed in network for network in self.networks):
            return True
        return _is_public_4(parsed) if isinstance(parsed, IPv4Address) else _is_public_6(parsed)


PUBLIC_ONLY = AddressRule()


def networks_of(text: str) -> tuple[Network, ...]:
    """Networks as an operator writes them, CIDRs with commas between. Raises ValueError that names the one that can't be meant."""
    return tuple(_network(part.strip()) for part in text.split(",") if part.strip())


def _network(text: str) -> Network:
    try:
        network = ip_network(text)
    except ValueError:
        raise ValueError(f"'{text}' is no network, such as 10.20.0.0/16 or fd12:3456::/48") from None
    for block in _NO_NETWORKS:
        if network.version == block.version and network.overlaps(block):
            raise ValueError(
                f"'{text}' holds addresses of {block}, where no destination can be: name the networks that your servers are in"
            )
    return network


def _is_public_4(address: IPv4Address) -> bool:
    return not any(address in block for block in _NOT_PUBLIC_4)


def _is_public_6(address: IPv6Address) -> bool:
    if address not in _PUBLIC_6 or any(address in block for block in _NOT_PUBLIC_6):
        return False
    return (int(address) >> 32) & 0xFFFFFFFF not in _ISATAP
