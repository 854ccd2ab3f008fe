"""Whether a host stays whose eject has ended with an error.

Such an error can come after the host was told to go: it is its own master
half a minute later, and the master of the pool keeps its record
(xapi#eject-errors). So the host itself is asked before it is called a member.
"""

from aggregates_ext.compute.observation import masters
from aggregates_ext.compute.observation import observe
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.run import run as compute_run
from aggregates_ext.compute.xen import text
from aggregates_ext.db import records

# Errors that are given before the victim is told to go (xapi#eject-checks,
# xapi#eject-errors). After any other it may go all the same.
REFUSALS = frozenset(
    {
        'HANDLE_INVALID',
        'HA_IS_ENABLED',
        'HOST_OFFLINE',
        'MESSAGE_METHOD_UNKNOWN',
        'NOT_SUPPORTED_DURING_UPGRADE',
        'OPERATION_NOT_ALLOWED',
        'OTHER_OPERATION_IN_PROGRESS',
        'POOL_SECRET_ROTATION_PENDING',
        'RBAC_PERMISSION_DENIED',
        'SESSION_INVALID',
        'VDI_IN_USE',
    }
)
# The parameter of an unresolved one: since when its host answers as a slave.
FOLLOWS = 'follows_since'
# The errors of storage that cannot be unplugged.
STORAGE = 'SR_BACKEND_FAILURE'


class Departure:
    """A host that is listed still, looked at where it is itself."""

    def __init__(
        self,
        run: compute_run.Run,
        host: records.Host,
        master: masters.Master,
    ) -> None:
        self._run = run
        self._host = host
        self._master = master
        self._follows_since: float | None = None

    def ask(self, view: views.PoolView) -> bool:
        """Ask the host itself, whatever the master says of it.

        :returns: whether it answers as a slave of the master.
        :raises outcomes.Unresolved: it has left, and its record has not.
        """
        run, host = self._run, self._host
        follows, answer = self._master.witnesses.follows(host, view)
        if observe.has_returned(run.aggregate(), host, answer):
            forget = text.command('xe', 'host-forget', f'uuid={host.uuid}')
            raise outcomes.Unresolved(
                'HALF_EJECTED',
                f'Host {host.name} has left the pool: it '
                f'{answer.describe()}, and its disks are gone. The eject '
                'ended with an error before the master removed its record. '
                f'Remove that with {forget} when the master has '
                'missed the host, ten minutes after it left; then this '
                'operation ends by itself.',
            )
        return follows

    def is_off(self, code: str, view: views.PoolView) -> bool:
        """Whether it is sure that an eject has not happened.

        :param code: that it has ended with.
        :raises outcomes.Unresolved: the host has left.
        """
        run = self._run
        follows = self.ask(view)
        if code in REFUSALS or code.startswith(STORAGE):
            return True
        run.note(step='looking whether the host stays')
        if not follows:
            self.doubt()
            return False
        return self._followed() >= float(run.options.fuse_wait)

    def doubt(self) -> None:
        """What the host answers from now on is what counts."""
        self._follows_since = None
        if self._run.operation.parameters.get(FOLLOWS):
            self._run.remember(**{FOLLOWS: None})

    def _followed(self) -> float:
        """Seconds for which the host has answered as a slave.

        Looks at one that is unresolved are short: the first is written down.
        """
        run = self._run
        if run.operation.state != 'unresolved':
            now = run.clock.monotonic()
            if self._follows_since is None:
                self._follows_since = now
            return now - self._follows_since
        time = run.held.clock()
        since = run.operation.parameters.get(FOLLOWS)
        if since is None:
            run.remember(**{FOLLOWS: time})
            return 0.0
        return float(time - since)
