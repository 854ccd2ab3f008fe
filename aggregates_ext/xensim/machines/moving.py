"""What xapi does while xenopsd moves a guest (xapi#moves).

The copy goes on when xapi ends; then nobody writes down what became of it.
"""

import typing

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import guest as guest_exclusion
from aggregates_ext.xensim.machines import copying
from aggregates_ext.xensim.machines import powerstate
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.world import domains
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import memory
from aggregates_ext.xensim.world import world as worlds

GIB = 1 << 30
OWN = ''
"""In place of a session: one of xapi itself, which nobody ends."""

GLANCES = 40
"""How often a copy is looked at."""

AWAY = 1.0
"""How long until a machine that is away is looked for again."""


class Move(typing.NamedTuple):
    """One move: the guest and both ends, and where the target takes it."""

    context: operations.Context
    db: database.Database
    vm: str
    source: str
    target: str
    address: str

    @property
    def world(self) -> worlds.World:
        """Where it takes place."""
        return self.context.world

    def end(self, ref: str) -> hosts.Host:
        """The machine of one end."""
        host = domains.machine(self.world, self.db, ref)
        if host is None:
            raise failure.Failure('HANDLE_INVALID', 'host', ref)
        return host


def carry(move: Move) -> operations.Steps:
    """Move a guest, and write it down."""
    source = move.end(move.source)
    worker = source.xapi
    yield from _meet_target(move)
    if source is move.context.host:
        yield from _keep_session(move)
    copy = _copy(move)
    copying.begin(move.world, copy)
    yield from _follow(move, copy, worker)
    yield from _judge(move, copy)
    yield from _write_down(move, source, worker)


def _copy(move: Move) -> hosts.Copy:
    row = move.db.row('VM', move.vm)
    per_gib = move.world.times.migrate_per_gib
    return hosts.Copy(
        guest=row['uuid'],
        source=move.end(move.source),
        target=move.end(move.target),
        seconds=per_gib * row['memory_target'] / GIB,
        address=move.address,
    )


def serves(move: Move, ref: str) -> bool:
    """Whether the xapi of one end takes calls from the other."""
    host = move.end(ref)
    if host.xapi is None or host.xapi.emergency is not None:
        return False
    blocked = host.xapi.blocked_until > move.context.now
    return not blocked and move.world.answers(host, move.context.host)


def _is_up(move: Move, ref: str) -> bool:
    """Whether the machine of one end is there, with or without a xapi."""
    host = move.end(ref)
    return host.powered and move.world.reaches(move.context.host, host)


def _meet_target(move: Move) -> operations.Steps:
    """A xapi that is dead is tried for a time, a machine for ever."""
    waited = 0.0
    while not serves(move, move.target):
        yield AWAY
        waited += AWAY
        if not _is_up(move, move.target):
            waited = 0.0
        elif waited >= move.world.times.move_no_xapi:
            raise failure.Failure(
                'INTERNAL_ERROR',
                'xenopsd internal error: Failure("Failed to connect to:'
                f' https://{move.address}/services/xenops")',
            )


def _keep_session(move: Move) -> operations.Steps:
    """The source reaches the target with the session of the call.

    It tells the session when that has ended (xapi#moves). An evacuation
    moves with sessions of its own.
    """
    context = move.context
    yield move.world.times.move_session
    if context.session == OWN:
        return
    local = context.session in context.xapi.local_sessions
    if local or move.db.exists('session', context.session):
        return
    url = f'https://{move.address}/services/xenops'
    raise failure.Failure(
        'INTERNAL_ERROR',
        'xenopsd internal error: Failure("Failed to read HTTP response from:'
        f' {url}?session_id={context.session}")',
    )


def _follow(
    move: Move, copy: hosts.Copy, worker: hosts.Xapi | None
) -> operations.Steps:
    """Tell the progress, and pass on a cancel."""
    pace = min(max(copy.seconds / GLANCES, 0.05), AWAY)
    while copy.state in copying.UNDER_WAY:
        if move.context.cancelled():
            copying.cancel(move.world, copy)
        yield pace
        _assert_works(move, copy.source, worker)
        move.context.progress(copying.progress(copy))


def _assert_works(
    move: Move, source: hosts.Host, worker: hosts.Xapi | None
) -> None:
    """The call is lost with the xapi of the source that had it."""
    if source.xapi is not worker and _is_up(move, move.source):
        raise failure.Failure('CANNOT_CONTACT_HOST', move.source)


def _judge(move: Move, copy: hosts.Copy) -> operations.Steps:
    """What is told of a copy that did not arrive."""
    if copy.state == copying.ARRIVED:
        return
    if copy.state == copying.CANCELLED:
        raise failure.Failure('TASK_CANCELLED', move.context.task)
    if copy.state == copying.STOPPED:
        raise failure.Failure(
            'VM_BAD_POWER_STATE', move.vm, 'running', 'halted'
        )
    if copy.state == copying.MISSING:
        raise domains.unknown(copy.guest)
    if copy.state == copying.REFUSED:
        yield from _await(move, move.target)
        raise failure.Failure(
            'INTERNAL_ERROR',
            'xenopsd internal error: Xenops_migrate.Remote_failed('
            '"unmarshalling result code from remote")',
        )
    lost = move.target if _is_up(move, move.source) else move.source
    yield from _await(move, lost)
    raise failure.Failure('CANNOT_CONTACT_HOST', lost)


def _await(move: Move, ref: str) -> operations.Steps:
    """Nothing is told of a host that is away until it is back."""
    while not serves(move, ref):
        yield AWAY / 10


def _write_down(
    move: Move, source: hosts.Host, worker: hosts.Xapi | None
) -> operations.Steps:
    """The guest has arrived; its record follows, later if many move."""
    times, context = move.world.times, move.context
    if move.db.exists('task', context.task):
        move.db.row('task', context.task)['allowed_operations'] = []
    context.progress(1.0)
    late = copying.waiting(source) * times.move_lag
    for done in (1 / 6, 5 / 6):
        yield (times.move_record + late) / 2
        _assert_works(move, source, worker)
        if not serves(move, move.target):
            yield from _await(move, move.target)
            raise failure.Failure('CANNOT_CONTACT_HOST', move.target)
        context.progress(done)
    row = move.db.row('VM', move.vm)
    row.update(
        resident_on=move.target,
        scheduled_to_be_resident_on=database.NULL,
    )
    powerstate.forget_guidance(row, *powerstate.RESUMED)
    for end in (move.source, move.target):
        memory.refresh(move.db, end)
    _tell(move, row)
    yield times.move_finish


def _tell(move: Move, row: database.Record) -> None:
    names = [
        move.db.row('host', end)['name_label']
        for end in (move.source, move.target)
    ]
    move.db.create(
        'message',
        name='VM_MIGRATED',
        priority=3,
        cls='VM',
        obj_uuid=row['uuid'],
        timestamp=database.date(move.context.now),
        body=f"VM '{row['name_label']}' migrated from {' to '.join(names)}",
    )


def break_off(
    context: operations.Context, db: database.Database, vm: str
) -> operations.Steps:
    """Stop the move of a guest that is to be stopped hard, if it can be."""
    row = db.row('VM', vm)
    while guest_exclusion.MIGRATE in row['current_operations'].values():
        if copy := copying.find(context.world, row['uuid']):
            copying.cancel(context.world, copy)
        yield context.world.times.guest_wait
