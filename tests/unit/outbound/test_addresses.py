"""Only public unicast addresses may be reached from inside."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packhouse.outbound.addresses import is_public

pytestmark = pytest.mark.quick


PUBLIC = """
    1.1.1.1 8.8.8.8 100.63.255.255 100.128.0.0 172.15.0.1 172.32.0.1 192.0.1.1 198.17.0.1 223.255.255.255
    2606:4700::1111 2a00:1450::1 2001:4860::8888 2003::1
"""
SPECIAL = """
    0.0.0.0 10.1.2.3 100.64.0.1 127.0.0.1 127.255.255.254 168.63.129.16 169.254.169.254 172.16.0.1 172.31.255.255
    192.0.0.170 192.0.2.1 192.168.1.1 198.18.0.1 198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1
    255.255.255.255
"""


@pytest.mark.parametrize("text", PUBLIC.split())
def test_public_addresses_may_be_reached(text: str) -> None:
    assert is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize("text", SPECIAL.split())
def test_special_ipv4_addresses_may_not_be_reached(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    "text",
    [
        "::",
        "::1",
        "::ffff:8.8.8.8",  # mapped
        "::8.8.8.8",
        "64:ff9b::808:808",  # NAT64
        "2002:808:808::1",  # 6to4
        "2001::1",  # Teredo
        "2001:db8::1",
        "3fff::1",
        "fc00::1",
        "fd12:3456::1",
        "fe80::1",
        "fe80::1%eth0",
        "2606:4700::1111%eth0",
        "ff02::1",
        "4000::1",
        "2620:4f:8000::1",
    ],
)
def test_special_ipv6_addresses_and_those_that_contain_another_may_not_be_reached(text: str) -> None:
    assert not is_public(ipaddress.ip_address(text))


@given(st.integers(0, 2**32 - 1))
def test_an_address_that_is_not_global_to_python_is_never_public(number: int) -> None:
    address = ipaddress.IPv4Address(number)
    assert not is_public(address) or address.is_global


@given(st.integers(0, 2**32 - 1))
def test_no_ipv6_form_hides_an_ipv4_address(number: int) -> None:
    for prefix in ("::ffff:0:0", "::", "64:ff9b::"):
        assert not is_public(ipaddress.IPv6Address(int(ipaddress.IPv6Address(prefix)) | number))
    assert not is_public(ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1))


@given(st.integers(0, 2**128 - 1))
def test_no_address_outside_the_global_unicast_block_is_public(number: int) -> None:
    address = ipaddress.IPv6Address(number)
    assert not is_public(address) or number >> 125 == 1
