"""TLS, certificates and directories."""

import itertools
from collections.abc import Iterator
from typing import Any

from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import releases

DIRECTORY = kinds.same(
    'POOL_JOINING_EXTERNAL_AUTH_MISMATCH',
    'directory settings must be the same',
    'Join the same directory, or leave it, on one side '
    '(host.enable_external_auth, host.disable_external_auth).',
    lambda side: (
        f'{side.master["external_auth_type"] or "none"} '
        f'{side.master["external_auth_service_name"].lower()}'.strip()
    ),
)
TLS = kinds.same(
    'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH',
    'TLS verification must be on, or off, on both sides',
    'Call pool.enable_tls_verification where it is off; an eject '
    'switches it off on the host that leaves.',
    lambda side: 'on' if side.pool.get('tls_verification_enabled') else 'off',
    since=releases.TLS,
)


def _print(certificate: dict[str, Any]) -> str:
    """What identifies a certificate; the longer one is newer."""
    sha256 = certificate.get('fingerprint_sha256')
    return str(sha256 or certificate['fingerprint'])


def _called(certificate: dict[str, Any]) -> str:
    """A certificate in words."""
    name, uuid = (fields.shown(certificate, x) for x in ('name', 'uuid'))
    return f'"{name}" ({uuid})'


def _authorities(side: sides.Side) -> dict[str, str]:
    return {
        certificate['name']: _print(certificate)
        for certificate in side.all('Certificate')
        if certificate.get('type') == 'ca'
    }


def _clashing(facts: sides.Sides) -> str:
    if facts.release < releases.CA_CERTIFICATES:
        return ''
    here, there = _authorities(facts.joiner), _authorities(facts.master)
    return kinds.listed(
        f'"{name}" with fingerprint {here[name]} on host '
        f'{kinds.label(facts.joiner.master)}, {there[name]} in the pool'
        for name in here
        if here[name] != there.get(name, here[name])
    )


AUTHORITIES = kinds.Rule(
    'POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT',
    'a CA certificate must be the same where it has the same name',
    'Remove it on one side ("xe pool-uninstall-ca-certificate name=NAME").',
    _clashing,
)


def _trusted(side: sides.Side) -> list[dict[str, Any]]:
    return [
        certificate
        for certificate in side.all('Certificate')
        if certificate.get('type') in ('ca', 'pinned')
    ]


def _conflicts(facts: sides.Sides) -> Iterator[str]:
    """Certificates that serve purposes which overlap and are not equal.

    None stated means every purpose.
    """
    for ours, theirs in itertools.product(
        _trusted(facts.joiner), _trusted(facts.master)
    ):
        here, there = set(ours['purpose']), set(theirs['purpose'])
        overlap = not here or not there or bool(here & there)
        if _print(ours) == _print(theirs) and here != there and overlap:
            yield (
                f'{_called(ours)} for '
                f'{kinds.listed(here) or "everything"} on host '
                f'{kinds.label(facts.joiner.master)}, {_called(theirs)} for '
                f'{kinds.listed(there) or "everything"} in the pool'
            )


TRUSTED = kinds.Rule(
    'POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT',
    'a certificate that both sides trust must have equal or disjoint purposes',
    'Give it the same purposes on both sides, or remove it on one.',
    lambda facts: (
        kinds.listed(_conflicts(facts))
        if facts.release >= releases.TRUSTED_CERTIFICATES
        else ''
    ),
)


def not_valid(facts: sides.Sides) -> list[str]:
    """Certificates of hosts that are not valid by the other side's clock.

    Times of XML-RPC compare as text: 20261123T10:11:12Z.
    """
    sides_ = [side for _, side in facts.both()]
    return [
        f'that of host {kinds.label(side.get("host", item["host"]))} '
        f'from {item["not_before"]} to {item["not_after"]}, at '
        f'{other.servertime} on the other side'
        for side, other in zip(sides_, reversed(sides_), strict=True)
        for item in side.all('Certificate')
        if item.get('type') == 'host_internal'
        and not _covers(item, other.servertime)
    ]


def _covers(certificate: dict[str, Any], moment: str) -> bool:
    begin, end = certificate['not_before'], certificate['not_after']
    return str(begin) <= moment <= str(end)
