"""Where outbound requests may go, in every spelling."""

import ipaddress

import pytest

from packhouse.config import parse_trusted_hosts
from packhouse.errors import PackhouseError
from packhouse.outbound.addresses import IpAddress, is_public
from packhouse.outbound.destination import (
    AddressRefused,
    AddressUnknown,
    BadAddress,
    Destination,
    parse_destination,
    resolve,
    resolve_with_system,
)

pytestmark = pytest.mark.quick

NOBODY = parse_trusted_hosts("")

PRIVATE_SPELLINGS = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.000.000.001",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "0",
    "0.0.0.0",
    "10.0.0.1",
    "10.1",
    "100.64.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.192",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b::169.254.169.254]",
    "[64:ff9b:1::a00:1]",
    "[2002:7f00:1::]",
    "[2001:0:4136:e378:8000:63bf:3fff:fdd2]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fe80::1%eth0]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fec0::1]",
    "[ff02::1]",
    "[2001:db8::1]",
    "[100::1]",
    "[5f00::1]",
]


@pytest.mark.parametrize("host", PRIVATE_SPELLINGS)
def test_no_spelling_of_a_private_address_is_accepted(host: str) -> None:
    with pytest.raises((BadAddress, AddressRefused)):
        parse_destination(f"https://{host}/hook", NOBODY)


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST", "localhost.", "LocalHost.", "a.b.localhost"])
def test_names_of_this_machine_are_refused_whatever_they_resolve_to(name: str) -> None:
    with pytest.raises(AddressRefused):
        parse_destination(f"https://{name}/", NOBODY)


def test_a_name_that_the_system_resolves_to_this_machine_is_refused() -> None:
    with pytest.raises(AddressRefused):
        resolve(Destination("https", "localhost", 443, trusted=False), resolve_with_system, timeout_s=30)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.com",
        "//example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "http://example.com/",
        "https:///path",
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://example.com:8x/",
        "https://exa mple.com/",
        "https://example.com/a b",
        "https://example.com/\n",
        "https://example.com/#part",
        "https://example.com\\@127.0.0.1/",
        "https://exam%70le.com/",
        "https://①②⑦.0.0.1/",
        "https://ex\N{CYRILLIC SMALL LETTER A}mple.com/",
        "https://.example.com/",
        "https://example..com/",
        "https://-example.com/",
        "https://[::1/",
        "https://[example.com]/",
        "https://example.com/" + "x" * 3000,
    ],
)
def test_malformed_and_plain_addresses_are_refused(url: str) -> None:
    with pytest.raises(BadAddress):
        parse_destination(url, NOBODY)


def test_a_public_address_is_accepted_by_name_and_by_number() -> None:
    named = parse_destination("https://Hooks.Example.COM.:8443/a?b=c", NOBODY)
    assert (named.host, named.port, named.netloc) == ("hooks.example.com", 8443, "hooks.example.com:8443")
    assert parse_destination("https://8.8.8.8/", NOBODY).netloc == "8.8.8.8"
    assert parse_destination("https://[2606:4700::1111]/", NOBODY).netloc == "[2606:4700::1111]"


def test_a_trusted_host_may_be_private_and_plain_http_at_its_port_only() -> None:
    trusted = parse_trusted_hosts("http://127.0.0.1:9000, https://[::1]:8443")
    assert parse_destination("http://127.0.0.1:9000/", trusted).trusted
    assert parse_destination("https://[::1]:8443/", trusted).trusted
    for url in ("http://127.0.0.1:9001/", "https://127.0.0.1:9000/", "http://127.0.0.2:9000/"):
        with pytest.raises((BadAddress, AddressRefused)):
            parse_destination(url, trusted)


def test_a_name_with_one_private_address_among_public_ones_is_refused() -> None:
    def resolver(_host: str, _port: int) -> list[IpAddress]:
        return [ipaddress.ip_address("8.8.8.8"), ipaddress.ip_address("10.0.0.1")]

    with pytest.raises(AddressRefused):
        resolve(parse_destination("https://example.com/", NOBODY), resolver, timeout_s=5)


def test_a_name_without_an_address_is_unknown() -> None:
    with pytest.raises(AddressUnknown):
        resolve(parse_destination("https://example.com/", NOBODY), lambda _host, _port: [], timeout_s=5)


@pytest.mark.parametrize("address", ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "2a00:1450::1"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    "text", ["127.0.0.1:80", "http://127.0.0.1", "http://h:0", "http://h:70000", "ftp://h:1"]
)
def test_a_malformed_list_of_trusted_hosts_stops_the_start(text: str) -> None:
    with pytest.raises(PackhouseError):
        parse_trusted_hosts(text)
