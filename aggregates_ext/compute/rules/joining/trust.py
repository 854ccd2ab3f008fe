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
ENABLE_TLS = 'pool.enable_tls_verification'


def _verifies(side: sides.Side) -> bool:
    return bool(side.pool.get('tls_verification_enabled'))


def _may_enable(side: sides.Side) -> bool:
    """Whether the account may: an operator of pools may not."""
    return side.permissions is None or ENABLE_TLS in side.permissions


def is_tls_due(facts: sides.Sides) -> bool:
    """Whether the join is to switch TLS verification on at the host.

    See xapi#tls-again. In the pool of the host alone: an eject has switched
    it off there, and its certificates have to be such as the pool accepts.
    """
    return (
        facts.enables_tls
        and facts.release >= releases.TLS
        and _verifies(facts.master)
        and not _verifies(facts.joiner)
        and len(facts.joiner.all('host')) == 1
        and _may_enable(facts.joiner)
        and not not_valid(facts)
    )


def _differs(facts: sides.Sides) -> str:
    ours, theirs = (
        'on' if _verifies(side) else 'off' for _, side in facts.both()
    )
    if ours == theirs or facts.release < releases.TLS:
        return ''
    (here, _), (there, _) = facts.both()
    return f'{ours} on {here}, {theirs} in {there}'


TLS = kinds.Rule(
    'POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH',
    'TLS verification must be on, or off, on both sides',
    'Call pool.enable_tls_verification where it is off; an eject '
    'switches it off on the host that leaves.',
    lambda facts: '' if is_tls_due(facts) else _differs(facts),
)
TLS_OFF = kinds.Rule(
    'TLS_VERIFICATION_OFF',
    'TLS verification should be on at the joining host, as it is in the pool',
    'The join switches it on there first (pool.enable_tls_verification).',
    lambda facts: _differs(facts) if is_tls_due(facts) else '',
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
