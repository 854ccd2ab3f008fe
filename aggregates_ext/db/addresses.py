"""Addresses of hosts: whether two are one, however they are written."""

import ipaddress
import re
from urllib import parse

PORTS = {'http': 80, 'https': 443}
# Of a name; resolvers take the underscore too.
_LABEL = re.compile('[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?')
# What ends so is an address for some resolvers, and a name for others.
_NUMBER = re.compile('[0-9]+|0[xX][0-9A-Fa-f]*')


def can_be_reached(address: str) -> bool:
    """Whether an address of a machine is written so that it can be one.

    Four numbers, IPv6, or a name in ASCII.
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        labels = address.removesuffix('.').split('.')
        return (
            len(address) <= 253
            and all(_LABEL.fullmatch(label) for label in labels)
            and not _NUMBER.fullmatch(labels[-1])
        )
    return not (found.is_unspecified or found.is_multicast)


def normal(address: str) -> str:
    """An address in its one spelling; of a name the lower case.

    IPv6 has many spellings of one address, and one for each of IPv4.
    """
    text = address.strip().strip('[]')
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return text.rstrip('.').lower()
    mapped = getattr(found, 'ipv4_mapped', None)
    return str(mapped or found)


def same(one: str | None, other: str | None) -> bool:
    """Whether two addresses are one; none is like no other."""
    if not one or not other:
        return False
    return one == other or normal(one) == normal(other)


def of_url(url: str) -> str | None:
    """The address in a URL, as it is written there."""
    try:
        return parse.urlsplit(url).hostname
    except ValueError:
        return None


def target(url: str) -> tuple[str, int | None]:
    """Where a URL leads: two with the same lead to one machine."""
    try:
        parts = parse.urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return url, None
    return normal(parts.hostname or ''), port
