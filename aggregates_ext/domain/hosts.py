"""The registry of hosts: which XenServer hosts there are, and where."""

import re
from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from urllib import parse

from aggregates_ext import exception
from aggregates_ext.db import addresses
from aggregates_ext.db import aggregates as db_aggregates
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records
from aggregates_ext.db.engine import engine

CONSENT_TTL = 3600.0
FIELDS = ('name', 'url', 'availability_zone', 'credential', 'fingerprint')
# What every client can name: the modern face takes no other in a body.
_NAME = re.compile('[A-Za-z0-9._-]{1,255}')
_FINGERPRINT = re.compile(r'[0-9a-f]{64}')
_UUID = re.compile(r'[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}')


class Hosts:
    """The operator's side of hosts."""

    def __init__(self, database: engine.Database) -> None:
        self._database = database

    def add(self, registrations: Sequence[Mapping[str, Any]]) -> None:
        """Register hosts, all of them or none.

        :param registrations: mappings with the keys of ``FIELDS``.
        :raises exception.Invalid: naming host, field and rule.
        :raises exception.HostExists: a name is taken.
        :raises exception.Conflict: a URL is.
        """
        checked = [check(registration) for registration in registrations]

        def work(connection: Any) -> None:
            taken = _targets(connection)
            for values in checked:
                _check_target(taken, values['name'], values['url'])
            db_hosts.insert_all(connection, checked)

        self._database.write(work)

    def get_all(self) -> list[records.Host]:
        """All registered hosts by name."""
        with self._database.reader() as connection:
            return db_hosts.get_all(connection)

    def get(self, name: str) -> records.Host:
        """One host.

        :raises exception.HostNotFound: it is not registered.
        """
        with self._database.reader() as connection:
            return db_hosts.get(connection, name)

    def remove(self, name: str) -> None:
        """Forget a free host, and what failed of it.

        Nobody could mend or reset that any more.

        :raises exception.Conflict: it belongs to an aggregate.
        """

        def work(connection: Any) -> None:
            host = db_hosts.get(connection, name)
            if not db_hosts.delete(connection, name):
                raise exception.Conflict(
                    reason=f'Host {name} is {host.phase} in aggregate '
                    f'{host.aggregate_id}; take it out there first.'
                )
            db_operations.settle_failed(connection, host=name)

        self._database.write(work)

    def change(self, name: str, values: Mapping[str, Any]) -> records.Host:
        """Change a registration, by the same rules as a new one.

        Who the host is stays what was learnt: at another URL it must answer
        with the same XenServer uuid. The credential of a host that is in a
        pool is that of the whole pool, since a pool has one password
        (xapi#join-copies): it changes for all of it.

        :param values: some of ``FIELDS`` but the name; None unsets a zone
            or a fingerprint.
        :raises exception.HostNotFound: it is not registered.
        :raises exception.HostZoneMismatch: its aggregate is in another zone.
        :raises exception.Conflict: another host has that URL.
        """

        def work(connection: Any) -> records.Host:
            host = db_hosts.get(connection, name)
            if host.aggregate_id is not None:
                _check_bound(connection, host.aggregate_id, name, values)
            known = {field: getattr(host, field) for field in FIELDS}
            checked = check({**known, **values})
            if 'url' in values:
                _check_target(_targets(connection), name, checked['url'])
            db_hosts.update(
                connection, name, {field: checked[field] for field in values}
            )
            in_pool = host.phase in ('member', 'leaving')
            if 'credential' in values and in_pool and host.aggregate_id:
                _change_pool(
                    connection, host.aggregate_id, checked['credential']
                )
            return db_hosts.get(connection, name)

        return self._database.write(work)

    def accept_data_loss(self, name: str, srs: Sequence[str], by: str) -> None:
        """Consent to the loss of disks, for one eject within an hour.

        For clients that cannot send ``accept_data_loss`` themselves. It
        covers the disks that a refusal or a check has told before.

        :param srs: uuids of the storage repositories.
        :param by: who consents, for the record.
        """
        for sr in srs:
            if not _UUID.fullmatch(sr):
                raise exception.Invalid(
                    reason=f'SR {sr!r}: a uuid is expected, as the refusal '
                    'of the removal lists them.'
                )

        def work(connection: Any) -> None:
            host = db_hosts.get(connection, name)
            consent = {
                'srs': sorted(set(srs)),
                'disks': host.shown_disks(srs),
                'by': by,
            }
            db_hosts.grant(connection, name, consent, CONSENT_TTL)

        self._database.write(work)


def _targets(connection: Any) -> dict[tuple[str, int | None], str]:
    """Where the URLs of hosts lead, with the hosts' names."""
    return {
        addresses.target(host.url): host.name
        for host in db_hosts.get_all(connection)
    }


def _check_target(
    taken: dict[tuple[str, int | None], str], name: str, url: str
) -> None:
    """Let each host have a URL of its own, however it is written.

    :raises exception.Conflict: another host has it.
    """
    other = taken.setdefault(addresses.target(url), name)
    if other != name:
        raise exception.Conflict(
            reason=f'Host {name}: url {url} leads to where host {other} is '
            'registered. Register each machine once, with its own URL.'
        )


def _check_bound(
    connection: Any, aggregate_id: int, name: str, values: Mapping[str, Any]
) -> None:
    """Whether a bound host may have another zone.

    :raises exception.HostZoneMismatch: its aggregate is in another.
    """
    aggregate = db_aggregates.lock(connection, aggregate_id)
    db_aggregates.mark(connection, aggregate_id)
    zone = values.get('availability_zone')
    if None not in (zone, aggregate.availability_zone) and (
        zone != aggregate.availability_zone
    ):
        raise exception.HostZoneMismatch(
            host=name,
            host_zone=zone,
            aggregate_id=aggregate.id,
            zone=aggregate.availability_zone,
        )


def _change_pool(connection: Any, aggregate_id: int, credential: str) -> None:
    """Enter a pool, and all hosts in it, with another credential."""
    if db_aggregates.lock(connection, aggregate_id).pool_uuid is not None:
        db_pools.set_credential(connection, aggregate_id, credential)
        db_hosts.change_credential(connection, aggregate_id, credential)


def check(registration: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of a new host.

    :raises exception.Invalid: naming field and rule.
    """
    if not isinstance(registration, Mapping):
        raise exception.Invalid(
            reason=f'A host is a mapping with {", ".join(FIELDS)}; found '
            f'{registration!r}.'
        )
    name = registration.get('name')
    unknown = sorted(set(registration) - set(FIELDS))
    if unknown:
        raise _invalid(name, unknown[0], f'known are {", ".join(FIELDS)}')
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _invalid(
            name,
            'name',
            '1 to 255 letters of ASCII, digits, "-", "." and "_" are required',
        )
    if not _is_text(registration.get('url')):
        raise _invalid(name, 'url', 'text of 1 to 255 is required')
    zone = registration.get('availability_zone')
    if zone is not None and not _is_zone(zone):
        raise _invalid(
            name,
            'availability_zone',
            'printable text without ":" and without white space around it',
        )
    credential = registration.get('credential') or 'default'
    if not _is_text(credential) or not credential.isprintable():
        raise _invalid(name, 'credential', 'the name of a credential')
    return {
        'name': name,
        'url': _check_url(str(name), registration['url']),
        'availability_zone': zone,
        'credential': credential,
        'fingerprint': _check_fingerprint(
            str(name), registration.get('fingerprint')
        ),
    }


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value.strip()) <= 255


def _is_zone(value: Any) -> bool:
    """Whether an aggregate can be in such a zone."""
    return (
        _is_text(value)
        and ':' not in value
        and value.isprintable()
        and value == value.strip()
    )


def _invalid(name: Any, field: str, rule: str) -> exception.Invalid:
    return exception.Invalid(reason=f'Host {name}: {field}: {rule}.')


def _check_url(name: str, url: str) -> str:
    """An https URL of a host; clear text only to this very machine."""
    if not url.isprintable() or ' ' in url:
        raise _invalid(name, 'url', 'no white space in it')
    try:
        parts = parse.urlsplit(url)
        known = addresses.can_be_reached(parts.hostname or '')
        known = known and parts.port != 0
    except ValueError:
        known = False
    if not known or parts.scheme not in ('http', 'https'):
        raise _invalid(
            name,
            'url',
            'https://ADDRESS is expected, where ADDRESS is like 10.0.0.11, '
            '[fd00::11] or xen1.example.org, and has a port where that is '
            'not 443',
        )
    if parts.path.strip('/') or any(sign in url for sign in '@?#'):
        raise _invalid(
            name, 'url', 'no account, path, query or fragment in it'
        )
    if records.is_clear(url):
        raise _invalid(
            name, 'url', 'a password would cross the network in clear; https'
        )
    return url.rstrip('/')


def _check_fingerprint(name: str, fingerprint: Any) -> str | None:
    """A SHA-256 fingerprint as 64 hexadecimal digits."""
    if fingerprint is None:
        return None
    digits = str(fingerprint).replace(':', '').lower()
    if not _FINGERPRINT.fullmatch(digits):
        raise _invalid(
            name, 'fingerprint', 'SHA-256 in 64 hexadecimal digits expected'
        )
    return digits
