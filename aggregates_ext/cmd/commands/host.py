"""aggregates-ext-manage host: the registry of hosts."""

import getpass
import json
from typing import Any

import yaml

from aggregates_ext import exception
from aggregates_ext import rpc
from aggregates_ext.cmd.commands import acquaintance
from aggregates_ext.cmd.commands import group
from aggregates_ext.cmd.commands import tables
from aggregates_ext.db import records
from aggregates_ext.domain import hosts
from aggregates_ext.domain import operations

CHECK_TIMEOUT = 60.0
# An option that takes a value away, unlike one that is not given.
NONE = object()


def register(subparsers: Any) -> None:
    """Add the group to the command line."""
    actions = group.add_group(subparsers, 'host', 'the registered hosts')
    new = group.add_command(actions, 'add', 'register hosts', add)
    new.add_argument('host', nargs='?', help='the host-id')
    new.add_argument('--url', help='such as https://10.0.0.11')
    new.add_argument('--zone', help='its availability zone')
    new.add_argument('--credential', default='default')
    new.add_argument('--fingerprint', help='SHA-256 of its certificate')
    new.add_argument('--file', help='a YAML list of hosts instead')
    first = new.add_mutually_exclusive_group()
    first.add_argument(
        '--ask',
        action='store_true',
        help='show the certificate of each host for which no authority '
        'vouches, and ask whether it is the right one',
    )
    first.add_argument(
        '--trust-on-first-use',
        action='store_true',
        help='take such certificates without asking: whoever answers now, '
        'somebody between here and the host too, is believed from then on',
    )
    _register_change(actions)
    every = group.add_command(actions, 'list', 'all hosts', show_all)
    every.add_argument('--json', action='store_true')
    for name, does, command in (
        ('show', 'one host', show),
        ('remove', 'forget a free host', remove),
        ('check', 'ask a compute service', check),
    ):
        group.add_command(actions, name, does, command).add_argument('host')
    end = group.add_command(actions, 'reset', 'tell what became of it', reset)
    end.add_argument('host')
    end.add_argument('outcome', choices=sorted(operations.OUTCOMES))
    accept = group.add_command(
        actions,
        'accept-data-loss',
        'let one removal within an hour destroy the disks in these SRs',
        accept_data_loss,
    )
    accept.add_argument('host')
    accept.add_argument('sr', nargs='+', help='uuid of an SR')


def _register_change(actions: Any) -> None:
    parser = group.add_command(actions, 'set', 'change a registration', change)
    parser.add_argument('host')
    parser.add_argument('--url', help='where it is from now on')
    parser.add_argument(
        '--credential', help='of a host in a pool: that of the whole pool'
    )
    for name, help_text in (
        ('zone', 'its availability zone'),
        ('fingerprint', 'SHA-256 of its certificate, to be accepted'),
    ):
        either = parser.add_mutually_exclusive_group()
        either.add_argument(f'--{name}', help=help_text)
        either.add_argument(
            f'--no-{name}',
            dest=name,
            action='store_const',
            const=NONE,
            help='unset it',
        )


def change(tools: group.Tools) -> int:
    """Change a registration; what is not named stays."""
    asked = {
        'url': tools.asked.url,
        'credential': tools.asked.credential,
        'availability_zone': tools.asked.zone,
        'fingerprint': tools.asked.fingerprint,
    }
    values = {
        field: None if value is NONE else value
        for field, value in asked.items()
        if value is not None
    }
    if not values:
        raise exception.Invalid(
            reason='Give what is to be changed: --url, --zone, --no-zone, '
            '--credential, --fingerprint or --no-fingerprint.'
        )
    changed = hosts.Hosts(tools.database).change(tools.asked.host, values)
    print(json.dumps(_shown(changed), indent=2))
    return 0


def add(tools: group.Tools) -> int:
    """Register hosts; 1 when some are left out at first contact."""
    wanted = found = _registrations(tools.asked)
    if tools.asked.ask or tools.asked.trust_on_first_use:
        found = list(acquaintance.meet(tools.conf, wanted, tools.asked.ask))
    hosts.Hosts(tools.database).add(found)
    return 0 if len(found) == len(wanted) else 1


def _registrations(asked: Any) -> list[Any]:
    """The hosts that are to be registered.

    :raises exception.Invalid: none is named.
    """
    if asked.file:
        return _read(asked.file)
    if not asked.host or not asked.url:
        raise exception.Invalid(reason='Give a host and its --url, or --file.')
    return [
        {
            'name': asked.host,
            'url': asked.url,
            'availability_zone': asked.zone,
            'credential': asked.credential,
            'fingerprint': asked.fingerprint,
        }
    ]


def _read(path: str) -> list[Any]:
    """The hosts that a file lists.

    :raises exception.Invalid: it is no YAML, or something else.
    """
    with open(path, 'rb') as file:
        try:
            found = yaml.safe_load(file)
        except (yaml.YAMLError, ValueError, RecursionError) as exc:
            # ValueError: such as a date that there is not.
            reason = ' '.join(str(exc).split())
            raise exception.Invalid(
                reason=f'{path} is not YAML: {reason}'
            ) from None
    if not isinstance(found, list):
        raise exception.Invalid(
            reason=f'{path} must hold a list of hosts, each with "- name: '
            'NAME" and "url: https://ADDRESS".'
        )
    return found


def show_all(tools: group.Tools) -> int:
    """Print all hosts, as a table or as JSON."""
    rows = [_shown(host) for host in hosts.Hosts(tools.database).get_all()]
    if tools.asked.json:
        print(json.dumps(rows))
        return 0
    columns = ('name', 'url', 'zone', 'credential', 'aggregate', 'phase')
    cells = [[row[name] for name in columns] for row in rows]
    print(tables.draw(columns, cells))
    return 0


def _shown(host: records.Host) -> dict[str, Any]:
    return {
        'name': host.name,
        'url': host.url,
        'zone': host.availability_zone,
        'credential': host.credential,
        'fingerprint': host.fingerprint,
        'uuid': host.uuid,
        'address': host.address,
        'aggregate': host.aggregate_id,
        'phase': host.phase,
        'alarm': host.alarm,
    }


def show(tools: group.Tools) -> int:
    """Print one host."""
    found = hosts.Hosts(tools.database).get(tools.asked.host)
    print(json.dumps(_shown(found), indent=2))
    return 0


def remove(tools: group.Tools) -> int:
    """Forget a free host."""
    hosts.Hosts(tools.database).remove(tools.asked.host)
    return 0


def check(tools: group.Tools) -> int:
    """Let a compute service contact a host; 1 when it cannot."""
    host = hosts.Hosts(tools.database).get(tools.asked.host)
    compute = rpc.ComputeAPI(rpc.get_transport(tools.conf), CHECK_TIMEOUT)
    report = compute.check_host(host.name, host.aggregate_id, 'contact')
    if report is None:
        raise exception.Unavailable(
            reason='No compute service answered. Check that '
            'aggregates-ext-compute runs, and that it and this command '
            'have the same transport_url.'
        )
    print(json.dumps(report, indent=2))
    return 1 if report['blockers'] else 0


def reset(tools: group.Tools) -> int:
    """Declare what became of a host, where evidence cannot tell."""
    done = operations.Operations(tools.database)
    host = hosts.Hosts(tools.database).get(tools.asked.host)
    aggregate_id = host.aggregate_id
    if aggregate_id is None:
        aggregate_id = done.aggregate_of(host.name)
    if aggregate_id is None:
        raise exception.Conflict(
            reason=f'Host {host.name} is free; there is nothing to reset.'
        )
    done.reset(tools.context(), aggregate_id, host.name, tools.asked.outcome)
    return 0


def accept_data_loss(tools: group.Tools) -> int:
    """Consent to the loss of disks, for one removal."""
    hosts.Hosts(tools.database).accept_data_loss(
        tools.asked.host, tools.asked.sr, getpass.getuser()
    )
    print('Accepted for one removal within an hour.')
    return 0
