"""Which IP addresses a notice may be sent to.

A URL in a configuration, or the DNS of whoever owns its name, must not make this machine send requests into the network that it
stands in. So addresses on the internet are taken, over TLS, and all others are refused unless the operator opens them. The
table follows the registries of special-purpose addresses (RFC 6890), and adds the addresses at which clouds hand out
credentials.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final

from restpoint.errors import InvalidArgument

Network = IPv4Network | IPv6Network
_Address = IPv4Address | IPv6Address

_METADATA: Final = "the address of a cloud's metadata"
_OPENED: Final = ("a loopback address", "a private address", "a shared address of a carrier")
"""What ``allow_private`` opens."""

_SPECIAL: Final[tuple[tuple[Network, str], ...]] = tuple(
    (ip_network(network), name)
    for name, networks in (
        (_METADATA, ("169.254.169.254", "100.100.100.200", "168.63.129.16", "fd00:ec2::254", "fd20:ce::254")),
        (_OPENED[0], ("127.0.0.0/8", "::1")),
        (_OPENED[1], ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")),
        (_OPENED[2], ("100.64.0.0/10",)),
        ("a link-local address", ("169.254.0.0/16", "fe80::/10")),
        ("an address of this network", ("0.0.0.0/8", "::")),
        ("a multicast address", ("224.0.0.0/4", "ff00::/8")),
        ("a tunnel's address", ("192.88.99.0/24", "2001::/32", "2002::/16")),
        (
            "a documentation address",
            ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20"),
        ),
        ("a reserved address", ("192.0.0.0/24", "198.18.0.0/15", "240.0.0.0/4", "2001::/23")),
    )
    for network in networks
)
_GLOBAL_IPV6: Final = IPv6Network("2000::/3")  # what IANA gives out (RFC 4291, section 2.4)
_IPV4_WITHIN: Final = (IPv6Network("::ffff:0:0/96"), IPv6Network("64:ff9b::/96"))
"""IPv4-mapped addresses (RFC 4291, section 2.5.5.2), and those of NAT64 (RFC 6052, section 2.1): the IPv4 address is what is
reached. Local prefixes of NAT64 (RFC 8215) are refused with everything outside of 2000::/3."""


@dataclass(frozen=True, slots=True)
class Destinations:
    """The addresses that may be connected to: those on the internet, those in ``networks``, and private ones if allowed.

    ``allow_private`` opens loopback addresses, private ones (RFC 1918, RFC 4193) and shared ones (RFC 6598). Everything else,
    such as a link-local address, or the address of a cloud's metadata, has to be listed in ``networks``.
    """

    allow_private: bool = False
    networks: tuple[Network, ...] = ()

    @property
    def are_opened(self) -> bool:
        """Whether any address beside those on the internet is taken."""
        return self.allow_private or bool(self.networks)

    def refusal(self, address: str, *, encrypted: bool) -> str | None:
        """Return why nothing is sent to an IP address, and what to do; None if it may be connected to.

        Without TLS (``encrypted``) only an address that the operator has opened is taken. Raises ``ValueError`` for a text
        that is no address.
        """
        written = ip_address(address)
        reached = _reached(written)
        if any(reached in network or written in network for network in self.networks):
            return None
        kind = _kind(reached)
        if kind is None:
            return None if encrypted else f"{address} is on the internet, and the URL is not https"
        if kind in _OPENED:
            return (
                None if self.allow_private else f"{address} is {kind}; set allow_private = true, or list it in networks"
            )
        return f"{address} is {kind}; list it in networks if it is meant"


def read_networks(texts: Iterable[str]) -> tuple[Network, ...]:
    """Return networks such as ``10.1.0.0/16``, or single addresses. Raises ``InvalidArgument``."""
    read = []
    for text in texts:
        try:
            read.append(ip_network(text))
        except ValueError as error:
            raise InvalidArgument(
                f"{text[:80]!r} is not a network such as 10.1.0.0/16 or fd12:3456::/32: {error}."
            ) from None
    return tuple(read)


def _reached(address: _Address) -> _Address:
    for network in _IPV4_WITHIN:
        if address in network:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _kind(address: _Address) -> str | None:
    """What an address is; None if it is on the internet."""
    for network, name in _SPECIAL:
        if address in network:
            return name
    return None if address.version == 4 or address in _GLOBAL_IPV6 else "a reserved address"
