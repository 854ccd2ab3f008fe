"""Checks before a join of TLS and certificates (xapi#join-checks)."""

import itertools

from aggregates_ext.xensim.join import sides as joinings
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure


def tls_verification(joining: joinings.Joining) -> None:
    """Check 28: both verify certificates, or neither."""
    field = 'tls_verification_enabled'
    if joining.local.pool[field] != joining.remote.pool[field]:
        raise failure.Failure('POOL_JOINING_HOST_TLS_VERIFICATION_MISMATCH')


def _print(row: database.Record) -> str:
    """What identifies a certificate; the longer one is newer."""
    return str(row['fingerprint_sha256'] or row['fingerprint'])


def ca_certificates(joining: joinings.Joining) -> None:
    """Check 29: a name means the same certificate."""
    here, there = (
        {
            row['name']: _print(row)
            for _, row in db.rows('Certificate')
            if row['type'] == 'ca'
        }
        for db in (joining.local, joining.remote)
    )
    clashes = [
        name for name in here if here[name] != there.get(name, here[name])
    ]
    if clashes:
        raise failure.Failure(
            'POOL_JOINING_HOST_CA_CERTIFICATES_CONFLICT', *sorted(clashes)
        )


def trusted_certificates(joining: joinings.Joining) -> None:
    """Check 30: a trusted certificate has equal or disjoint purposes."""
    here, there = (
        [
            (ref, row)
            for ref, row in db.rows('Certificate')
            if row['type'] in ('ca', 'pinned')
        ]
        for db in (joining.local, joining.remote)
    )
    for (ours, mine), (theirs, other) in itertools.product(here, there):
        purposes = set(mine['purpose']), set(other['purpose'])
        same = _print(mine) == _print(other)
        if same and purposes[0] != purposes[1] and _overlap(*purposes):
            raise failure.Failure(
                'POOL_JOINING_HOST_TRUSTED_CERTIFICATES_CONFLICT',
                theirs,
                ours,
            )


def _overlap(first: set[str], second: set[str]) -> bool:
    """Purposes in common; none stated means all of them."""
    return not first or not second or bool(first & second)
