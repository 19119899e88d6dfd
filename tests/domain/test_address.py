"""Which addresses anybody may reach."""

from __future__ import annotations

import pytest

from tracklayer.domain.address import caller_at, is_public

PUBLIC = ("8.8.8.8", "1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450:4001:82a::200e")
INSIDE = (
    "127.0.0.1", "127.255.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",  # loopback, private
    "169.254.169.254", "169.254.1.1", "fe80::1", "fe80::1%eth0",  # link-local, metadata
    "0.0.0.0", "0.1.2.3", "255.255.255.255", "240.0.0.1", "224.0.0.1", "239.1.1.1", "192.0.0.192", "192.0.2.1",
    "198.18.0.1", "100.64.0.1", "100.100.100.200", "168.63.129.16",
    "::1", "::", "fc00::1", "fd00:ec2::254", "ff02::1", "fec0::1", "2001:db8::1",
    "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::8.8.8.8", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1",
    "2002:7f00:1::", "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "localhost", "", "8.8.8", "2130706433",
)  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_what_the_internet_reaches_is_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("address", INSIDE)
def test_what_leads_inside_is_not(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    ("address", "caller"),
    [
        ("8.8.8.8", "8.8.8.8"),
        ("8.8.8.8:4711", "8.8.8.8"),
        ("::ffff:8.8.8.8", "8.8.8.8"),
        ("2a00:1450:4001:82a::200e", "2a00:1450:4001:82a::/64"),
        ("2a00:1450:4001:82a:1:2:3:4", "2a00:1450:4001:82a::/64"),
        ("2a00:1450:4001:82b::200e", "2a00:1450:4001:82b::/64"),
        ("::1", "::/64"),
        ("fe80::1%eth0", ""),
        ("x" * 60_000, ""),
        ("unknown", ""),
        ("", ""),
    ],
)
def test_an_ipv6_network_is_one_caller_and_so_is_what_is_no_address(address: str, caller: str) -> None:
    assert caller_at(address) == caller
