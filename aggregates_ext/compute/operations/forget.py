"""Forgetting a host that is gone for good (xapi#dead-hosts).

Nothing is ejected and nothing wiped: the master strikes a host that does not
answer from its records. Its machines count as halted from then on, so it
must not be alive: it is looked at twice, and the master looks itself.
"""

import contextlib
from collections.abc import Sequence
from typing import Any

from oslo_log import log as logging

from aggregates_ext.compute.observation import directories
from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import obstacles
from aggregates_ext.compute.observation import silence
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.rules.leaving import localstorage
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text
from aggregates_ext.db import hosts as db_hosts
from aggregates_ext.db import operations as db_operations
from aggregates_ext.db import pools as db_pools
from aggregates_ext.db import records

LOG = logging.getLogger(__name__)
DECLARE = 'host.declare_dead'
DESTROY = 'host.destroy'
EJECT = 'pool.eject'
CLASSES = ('host', 'VM', 'SR', 'PBD', 'VDI', 'VBD')
RUNBOOK = (
    'A dead master cannot be forgotten by its slaves: make one of them the '
    'master by hand (log in at its console, "xe '
    'pool-emergency-transition-to-master", then "xe pool-recover-slaves"), '
    'wait until GET /os-aggregates/ID/pool shows it, then repeat the request.'
)


def remove_host(run: compute_run.Run) -> None:
    """Take a dead host out of its pool; done when the master lists it not.

    :raises outcomes.Failed: it is a member still.
    :raises outcomes.Unresolved: whether it is is not known.
    :raises outcomes.Postpone: to be tried again.
    """
    run.end_recorded_session()
    aggregate, host = run.aggregate(), run.host()
    compute_run.await_joins(run, host.name)
    if not run.sent:
        _check_silent(run, host)
    if aggregate.pool_uuid is None or host.uuid is None:
        _finish(run, host)
        return
    hosts = masters.bound(run)
    try:
        with masters.of_run(run, aggregate, hosts, without=host) as master:
            _Forget(run, host, host.uuid, master).follow()
    except obstacles.NoMaster:
        _refuse_master(run, host, hosts)
        raise
    _finish(run, host)


def _check_silent(run: compute_run.Run, host: records.Host) -> None:
    """Look twice whether anything answers at the host's address.

    :raises outcomes.Failed: something does.
    """
    run.note(step='looking whether the host is silent', progress=5)
    _refuse_alive(run, host)
    run.clock.sleep(run.options.confirm_interval)
    _refuse_alive(run, host)


def _refuse_alive(run: compute_run.Run, host: records.Host) -> None:
    sign = silence.find_sign_of_life(run.connector, host)
    if sign is not None:
        raise outcomes.Failed(
            'HOST_IS_LIVE',
            f'Host {host.name} is not gone: at {host.url} it {sign}. Remove '
            'it without "force", which ejects it; or switch it off for good '
            f'first.{_tell_disabled(run)}',
        )


def _tell_disabled(run: compute_run.Run) -> str:
    """A sentence for what a removal has left that this one replaced."""
    removals = run.held.read(
        lambda connection: db_operations.get_all(
            connection,
            run.aggregate_id,
            kinds=(run.operation.kind,),
            host=run.host_name,
            before=run.operation.id,
            limit=1,
        )
    )
    if not any(other.parameters.get('disabled') for other in removals):
        return ''
    uuid = run.host().uuid or 'UUID'
    return (
        ' Its earlier removal, which this one replaced, has disabled it: '
        f'{text.command("xe", "host-enable", f"uuid={uuid}")} enables it '
        'again.'
    )


def _refuse_master(
    run: compute_run.Run, host: records.Host, hosts: Sequence[records.Host]
) -> None:
    """Say what to do where the host is the master that all others miss.

    :raises outcomes.Failed: it is.
    """
    for other in hosts:
        if other.id == host.id:
            continue
        answer = views.look(run.connector, other, DESTROY)
        if answer.role == 'slave' and directories.has_address(
            host, answer.detail
        ):
            raise outcomes.Failed(
                'HOST_IS_MASTER',
                f'Host {host.name} is the master of the pool: host '
                f'{other.name} {answer.describe()}. {RUNBOOK}',
            )


def _finish(run: compute_run.Run, host: records.Host) -> None:
    """End it: the host is bound until somebody says what became of it."""
    left = run.operation.parameters.get('left') or {}
    alarm = (
        f'{silence.FORGOTTEN}; its disks are as they were. If the machine '
        'ever comes back, its xapi ends and starts again without end '
        '(HOST_IS_SLAVE): install it anew before it is used again. '
        '"aggregates-ext-manage host reset '
        f'{host.name} free" and "host remove {host.name}" drop it from the '
        'registry.'
    )

    def work(connection: Any) -> None:
        db_hosts.move(
            connection,
            host.name,
            run.aggregate_id,
            ('leaving',),
            'returning',
            shown=None,
            alarm=alarm,
        )
        db_operations.finish(
            connection, run.operation, 'succeeded', _tell_left(host, left)
        )
        db_pools.release_master(connection, run.aggregate_id, host.uuid)
        db_pools.forget_pool_if_empty(connection, run.aggregate_id)

    run.write(work)
    LOG.warning('Host %s: %s', host.name, alarm)


def _tell_left(
    host: records.Host, left: dict[str, Any]
) -> dict[str, Any] | None:
    """What nobody can reach any more, as a note on a success."""
    disks = [
        f'SR {sr["uuid"]} "{sr["name"]}" with '
        + text.listed(f'"{d["name"]}" ({d["uuid"]})' for d in sr['disks'])
        for sr in left.get('srs', ())
    ]
    machines = [f'"{vm["name"]}"' for vm in left.get('machines', ())]
    if not disks and not machines:
        return None
    message = f'Host {host.name} is out of the pool.'
    if disks:
        message += (
            ' Its own storage was not wiped, and is out of reach: '
            f'{text.listed(disks, between="; ")}.'
        )
    if machines:
        message += (
            f' Machines that ran there or have disks there: '
            f'{text.listed(machines)}.'
        )
    return {'code': 'LEFT_BEHIND', 'parameters': left, 'message': message}


class _Forget:
    """One forgetting, looked at on the master until the host is gone.

    :param uuid: the XenServer uuid of the host.
    """

    def __init__(
        self,
        run: compute_run.Run,
        host: records.Host,
        uuid: str,
        master: masters.Master,
    ) -> None:
        self._run = run
        self._host = host
        self._uuid = uuid
        self._master = master

    def follow(self) -> None:
        """Look until the host is gone; send what is due."""
        run = self._run
        while True:
            view = self._master.look()
            if self._uuid not in view.hosts:
                return
            if view.master.uuid == self._uuid:
                raise outcomes.Failed(
                    'HOST_IS_MASTER',
                    f'Host {self._host.name} is the master. {RUNBOOK}',
                )
            tasks = {
                call: views.tasks(self._master.session, call)
                for call in (EJECT, DECLARE, DESTROY)
            }
            if any(
                t.status in views.RUNNING for f in tasks.values() for t in f
            ):
                self._check_time(view)
            else:
                for call in (DECLARE, DESTROY):
                    self._fail_by(call, tasks[call])
                self._send(view, tasks[DECLARE])
            run.clock.sleep(run.options.watch_interval)

    def _send(
        self, view: views.PoolView, declared: Sequence[views.Task]
    ) -> None:
        """Declare the host dead, then strike it from the pool."""
        run = self._run
        # Before a call of ours it is about another host, removed earlier.
        done = run.sent and any(t.status == 'success' for t in declared)
        if done or run.operation.parameters.get('declared'):
            run.remember(declared=True)
            run.note(step='removing the record of the host', progress=60)
            self._call(DESTROY, view)
            return
        view.hosts.check()
        self._record_left()
        run.note(step='declaring the host dead', progress=30)
        self._call(DECLARE, view)

    def _call(self, call: str, view: views.PoolView) -> None:
        run = self._run
        if run.elapsed() >= run.options.eject_timeout:
            self._refuse('TIMEOUT', 'It could not be forgotten in time.', [])
        # That of a declaration tells that the host can be struck.
        old = (DECLARE, DESTROY) if call == DECLARE else (DESTROY,)
        with contextlib.closing(self._master.login()) as session:
            try:
                ref = view.hosts[self._uuid].ref
                run.change(
                    session,
                    f'Async.{call}',
                    ref,
                    check=lambda: views.forget_tasks(session, *old),
                )
            except outcomes.Failed as exc:
                error = exc.error
                self._judge(error['code'], str(exc), error['parameters'])

    def _record_left(self) -> None:
        """Keep what is out of reach without the host, before it is."""
        if 'left' in self._run.operation.parameters:
            return
        session = self._master.session
        found = {name: session.records(name) for name in CLASSES}
        ref = self._master.look().hosts[self._uuid].ref
        try:
            left = _left(found, ref)
        except failures.OddAnswer as exc:
            # It is told, and stops nothing: the host is gone.
            LOG.warning('What host %s leaves: %s', self._host.name, exc)
            left = {'srs': [], 'machines': []}
        self._run.remember(left=left)

    def _fail_by(self, call: str, tasks: Sequence[views.Task]) -> None:
        """End it by what its task on the master says.

        :raises outcomes.Failed: the master does not do it.
        """
        ended = [task for task in tasks if task.error and self._run.sent]
        if not ended:
            return
        code, *parameters = ended[-1].error
        said = str(
            failures.XenAPIError(
                self._master.host.name, code, tuple(parameters)
            )
        )
        self._judge(code, said, parameters)

    def _judge(self, code: str, said: str, parameters: list[str]) -> None:
        """Add what helps to what the master said, and end with that.

        :raises outcomes.Failed: always.
        """
        if code == 'HOST_HAS_RESIDENT_VMS':
            said += f' They are: {self._residents()}.'
        if code == 'HOST_IS_LIVE':
            said += (
                ' The master of the pool still reaches it: remove it without '
                '"force", or switch it off for good first.'
            )
        self._refuse(code, said, parameters)

    def _residents(self) -> str:
        machines = self._master.session.records('VM').values()
        ref = self._master.look().hosts[self._uuid].ref
        return text.listed(
            {
                f'"{fields.shown(vm, "name_label")}"'
                for vm in machines
                if fields.shown(vm, 'resident_on') in (ref, 'unknown')
                and fields.shown(vm, 'is_control_domain') != 'True'
            }
        )

    def _refuse(self, code: str, said: str, parameters: list[str]) -> None:
        """:raises outcomes.Failed: always."""
        declared = self._run.operation.parameters.get('declared')
        told = (
            ' It has been declared dead: its machines count as halted.'
            if declared
            else ''
        )
        raise outcomes.Failed(
            code,
            f'Host {self._host.name} could not be forgotten. {said}{told} It '
            f'is a member still.{_tell_disabled(self._run)}',
            parameters,
        )

    def _check_time(self, view: views.PoolView) -> None:
        """:raises outcomes.Unresolved: the time is over."""
        run = self._run
        if run.elapsed() < run.options.eject_timeout:
            return
        raise outcomes.Unresolved(
            'UNRESOLVED',
            f'Whether host {self._host.name} is forgotten is not known after '
            f'{run.elapsed():.0f} s: the master of pool {view.uuid} lists it, '
            'and a call about it still runs there. It is looked at again '
            'with each observation.',
        )


def _left(
    found: dict[str, dict[str, dict[str, Any]]], ref: str
) -> dict[str, Any]:
    """What is out of reach without a host: disks, and their machines."""
    lying = localstorage.lying(found, ref)
    disks = localstorage.disks_in(found, lying)
    names = {sr['uuid']: sr['name_label'] for sr in found['SR'].values()}
    srs = [
        {'uuid': sr, 'name': names[sr], 'disks': disks[sr]}
        for sr in sorted(disks)
    ]
    lost = {disk['uuid'] for sr in disks.values() for disk in sr}
    return {'srs': srs, 'machines': _machines(found, ref, lost)}


def _machines(
    found: dict[str, dict[str, dict[str, Any]]], ref: str, lost: set[str]
) -> list[dict[str, Any]]:
    """The machines that were on a host, or have a disk that only it had."""
    lost_refs = {r for r, vdi in found['VDI'].items() if vdi['uuid'] in lost}
    attached = {
        vbd['VM'] for vbd in found['VBD'].values() if vbd['VDI'] in lost_refs
    }
    machines = [
        {
            'uuid': vm['uuid'],
            'name': vm['name_label'],
            'power_state': vm['power_state'],
        }
        for vm_ref, vm in found['VM'].items()
        if (vm['resident_on'] == ref or vm_ref in attached)
        and not vm['is_control_domain']
        and not vm['is_a_template']
    ]
    return sorted(machines, key=lambda vm: str(vm['name']))
