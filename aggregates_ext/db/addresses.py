"""Addresses of hosts: whether two are one, however they are written."""

import ipaddress
from urllib import parse

PORTS = {'http': 80, 'https': 443}


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
