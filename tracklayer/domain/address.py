"""Which addresses of a network anybody may reach, which lead inside, and which are one caller's: pure, by the registries of IANA."""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from tracklayer.domain.identifiers import machine_address

# Public by their number, and yet answered by the machine's own host: a cloud's metadata.
_METADATA = frozenset({ip_address("168.63.129.16")})
_IPV6_UNICAST = ip_network("2000::/3")  # all of IPv6 that is handed out
# By name, whatever this Python's own list has: what is private, shared or reserved, and what carries an IPv4 address
# through IPv6, or may be anything at all, by whoever runs the network.
_INSIDE = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.88.99.0/24",  # relays of 6to4
        "192.168.0.0/16",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/3",  # multicast, reserved, broadcast
        "2001::/23",  # Teredo, and protocols of the IETF
        "2001:db8::/32",
        "2002::/16",  # 6to4
        "3fff::/20",  # documentation
    )
)
_LOOPBACK = (ip_network("127.0.0.0/8"), ip_network("::1/128"))


def is_public(text: str) -> bool:
    """Whether an IP address is one that anybody on the internet may reach; False for what is no address.

    Not: private, loopback, link-local, unique-local, shared (100.64/10), multicast, reserved, unspecified, a cloud's
    metadata, and what reaches an IPv4 address through IPv6, whatever that address is.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv6Address) and (address.scope_id is not None or address not in _IPV6_UNICAST):
        return False  # mapped and compatible IPv4, NAT64, unique-local, link-local and multicast lie outside
    if any(address in network for network in _INSIDE):
        return False
    return address.is_global and not _is_special(address)


def is_loopback(text: str) -> bool:
    """Whether an IP address is this machine itself, as IPv4 or as IPv6 has it, and not as one through the other."""
    try:
        return ip_address(text) in _LOOPBACK[":" in text]
    except ValueError:
        return False


def caller_at(address: str) -> str:
    """By which name the requests from an address are counted: an IPv4 address, or an IPv6 /64. ``address``: as it is told,
    by a proxy too; "" for what is none, all of which are counted as one.
    """
    return networks(machine_address(address) or "")[0]


def networks(address: str) -> tuple[str, str]:
    """Whose calls are counted together: one IPv6 machine has as many addresses as it likes, and who rents a network has all of
    it. ``address``: as ``machine_address`` has it; empty: none, all of which are counted as one.
    """
    return _networks_of_ipv6(address) if ":" in address else (address, address.rpartition(".")[0])


@lru_cache(maxsize=4096)
def _networks_of_ipv6(address: str) -> tuple[str, str]:
    found = ip_address(address)
    return tuple(str(ip_network((found, bits), strict=False)) for bits in (64, 48))  # type: ignore[return-value]


def _is_special(address: IPv4Address | IPv6Address) -> bool:
    return address.is_multicast or address.is_reserved or address.is_unspecified or address in _METADATA
