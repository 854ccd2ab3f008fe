"""What keeps a pool from being worked on: who leads it is not certain."""

from collections.abc import Mapping
from collections.abc import Sequence
from typing import Any
from typing import TypeGuard

from aggregates_ext import exception
from aggregates_ext.compute.observation import drift
from aggregates_ext.compute.observation import witness
from aggregates_ext.compute.run import outcomes
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text
from aggregates_ext.db import records

# Hosts of which it is told what they answer.
ANSWERS = 4
LOST = (
    'Start the master, or mend the network to it. If it is lost for good, '
    'make another host the master at its console with "xe '
    'pool-emergency-transition-to-master", then "xe pool-recover-slaves".'
)
AWAY = (
    'Start the hosts, or mend the network to them; they are looked at again '
    'by themselves.'
)
EMPTY = (
    'If the pool goes on without this aggregate, delete the aggregate and '
    'adopt the pool with "aggregates-ext-manage pool adopt".'
)


class NoMaster(outcomes.Postpone):
    """No registered host answers as the master of the pool.

    :ivar code: as drift and checks have it.
    """

    code = drift.NO_MASTER
    message = (
        'No host answers as the master of pool {pool_uuid} of aggregate '
        '{aggregate_id}: {answers}.'
    )
    remedy = '{todo}'


class PoolReplaced(NoMaster):
    """The host that led the pool leads another one now."""

    code = drift.POOL_REPLACED
    message = (
        'Host {host}, the master of pool {pool_uuid} when last seen, is the '
        'master of pool {other} now; no host answers as the master of '
        '{pool_uuid}: {answers}.'
    )
    remedy = (
        'If the pool is gone, reset its hosts to "free" with the action reset.'
    )


class OddMaster(NoMaster):
    """No host answers as the master, and one not as any host should."""

    code = drift.ODD_ANSWER


class TwoMasters(NoMaster):
    """Identity drift: one pool, led by two hosts, each for itself."""

    code = witness.TWO_MASTERS
    message = '{reason}'
    remedy = ''


class ForeignPool(outcomes.Postpone):
    """Identity drift, which stops operations (design#drift)."""

    code = drift.FOREIGN_MARK
    message = (
        'Pool {pool_uuid} is marked as that of another aggregate ({name} = '
        '{mark}); nothing is changed in it.'
    )
    remedy = 'If that is wrong, remove the mark with {unmark}.'


class OtherMaster(outcomes.Postpone):
    """A host does not say that it follows the master that would eject it."""

    code = 'OTHER_MASTER'
    message = (
        'Host {host} {answer}; it is ejected only when it answers as a slave '
        'of the master at {address}.'
    )
    remedy = (
        'If that lasts, start it, or lead it back with "xe '
        'pool-emergency-reset-master master-address={address}" at its console.'
    )


class MemberAway(outcomes.Postpone):
    """A member does not say that it follows the master."""

    code = 'MEMBER_AWAY'
    message = (
        'The master of the pool is changed only when each member answers at '
        'its own address as a slave of the master at {address}: the call '
        'would hang otherwise. {answers}.'
    )
    remedy = (
        'Start what is down; what is gone for good is taken out with '
        'remove_host and "force": true.'
    )


class OtherPool(exception.AggregatesError):
    message = 'is the master of pool {uuid}'


class OfNobody(exception.AggregatesError):
    message = (
        'answers HOST_IS_SLAVE ({address}), and no host of the aggregate has '
        'that address{others}'
    )
    remedy = (
        'Register that master with its own URL, or add it if it is in no '
        'aggregate.'
    )


def is_slave(exc: Exception) -> TypeGuard[failures.XenAPIError]:
    return (
        isinstance(exc, failures.XenAPIError) and exc.code == 'HOST_IS_SLAVE'
    )


def no_master(
    aggregate: records.Aggregate,
    bound: Sequence[records.Host],
    asked: Mapping[str, Exception],
) -> NoMaster:
    """What it means that no host answers as the master of a pool."""
    facts: dict[str, Any] = {
        'pool_uuid': aggregate.pool_uuid,
        'aggregate_id': aggregate.id,
        'answers': text.listed(
            [_clause(name, said) for name, said in asked.items()],
            ANSWERS,
            '; ',
        )
        or 'it has no hosts',
        'parameters': [f'{name}: {said}' for name, said in asked.items()],
        'todo': _todo(list(asked.values())),
    }
    refused = any(
        getattr(asked.get(host.name), 'code', '') in codes.LOGIN_REFUSED
        for host in bound
    )
    if refused:
        facts['code'] = 'SESSION_AUTHENTICATION_FAILED'
    last = (aggregate.observation or {}).get('master')
    for host in bound:
        answer = asked.get(host.name)
        if host.uuid == last and isinstance(answer, OtherPool):
            other = answer.values['uuid']
            return PoolReplaced(host=host.name, other=other, **facts)
    if any(isinstance(exc, failures.OddAnswer) for exc in asked.values()):
        return OddMaster(**facts)
    return NoMaster(**facts)


def _clause(name: str, said: Exception) -> str:
    """What a host answered, as part of a sentence."""
    words = said.said if isinstance(said, exception.AggregatesError) else ''
    return f'{name} {words.removeprefix(f"Host {name} ")}'.rstrip('.')


def _todo(answers: Sequence[Exception]) -> str:
    """What helps where no host answers as the master.

    What somebody has to correct comes first, then a master that is lost.
    """
    stays = [
        answer.way_out
        for answer in answers
        if isinstance(answer, OfNobody)
        or (
            isinstance(answer, failures.HostError)
            and not is_slave(answer)
            and not codes.passes(answer.code, answer.parameters)
        )
    ]
    if stays:
        return stays[0]
    if any(map(is_slave, answers)):
        return LOST
    return AWAY if answers else EMPTY
