"""Which addresses a webhook may be sent to."""

import pytest

from restpoint.errors import InvalidArgument
from restpoint.notify.destinations import Destinations, read_networks

PUBLIC = ["8.8.8.8", "1.1.1.1", "172.15.255.255", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
PRIVATE = [
    "127.0.0.1", "127.255.0.3", "::1", "::ffff:127.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "::ffff:c0a8:101", "fc00::1", "fd12:3456::1", "100.64.0.1", "100.127.255.255", "64:ff9b::a00:1", "64:ff9b::7f00:1",
]  # fmt: skip
NEVER_BY_ITSELF = [
    "169.254.169.254", "169.254.0.1", "fe80::1", "fe80::1%eth0", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe",
    "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "0.0.0.0", "0.1.2.3", "::", "::7f00:1", "::ffff:0:127.0.0.1",
    "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:53aa:64c::", "192.88.99.1", "224.0.0.1", "ff02::1",
    "240.0.0.1", "255.255.255.255", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "2001:db8::1",
    "3fff::1", "2001:10::1", "fec0::1", "100::1", "5f00::1", "4000::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_on_the_internet_is_sent_to_by_https_only(address: str) -> None:
    for destinations in (Destinations(), Destinations(allow_private=True)):
        assert destinations.refusal(address, encrypted=True) is None
        assert "not https" in str(destinations.refusal(address, encrypted=False))


@pytest.mark.parametrize("address", PRIVATE)
def test_a_private_address_is_refused_unless_it_is_allowed(address: str) -> None:
    for encrypted in (True, False):
        refusal = Destinations().refusal(address, encrypted=encrypted)
        assert refusal is not None
        assert address in refusal
        assert "allow_private" in refusal
        assert Destinations(allow_private=True).refusal(address, encrypted=encrypted) is None


@pytest.mark.parametrize("address", NEVER_BY_ITSELF)
def test_what_is_neither_public_nor_private_is_refused_even_where_private_addresses_are_allowed(address: str) -> None:
    for destinations in (Destinations(), Destinations(allow_private=True)):
        assert "list it in networks" in str(destinations.refusal(address, encrypted=True))


def test_a_listed_network_is_open_and_no_other() -> None:
    destinations = Destinations(networks=read_networks(["10.1.0.0/16", "fd12:3456::/32", "203.0.113.7"]))

    for address in ("10.1.255.255", "::ffff:10.1.0.1", "64:ff9b::a01:1", "fd12:3456::9", "203.0.113.7"):
        assert destinations.refusal(address, encrypted=False) is None
    for address in ("10.2.0.1", "fd12:3457::9", "203.0.113.8", "127.0.0.1"):
        assert destinations.refusal(address, encrypted=True) is not None


@pytest.mark.parametrize("text", ["10.1.0.1/16", "example.com", "", "10.1.0.0/33"])
def test_what_is_no_network_is_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidArgument, match="is not a network") as refused:
        read_networks([text])
    assert repr(text) in str(refused.value)
