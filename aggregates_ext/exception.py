"""What can go wrong, in the words of the domain.

Nothing here knows HTTP: ``api/edge/faults.py`` holds the one table from these
classes to status codes and fault names.
"""

from collections.abc import Sequence
from typing import Any


class AggregatesError(Exception):
    """The base: a sentence made of the values it is about.

    :param kwargs: the values that ``message`` and ``remedy`` name; kept on
        ``values``.
    :ivar said: what is wrong.
    :ivar way_out: what to do about it, where that is told apart.
    """

    message = 'The request could not be carried out.'
    remedy = ''

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        self.values = kwargs
        self.said = message or self.message.format(**kwargs)
        self.way_out = self.remedy.format(**kwargs)
        super().__init__(f'{self.said} {self.way_out}'.rstrip())


class Invalid(AggregatesError):
    """The request can never work as asked."""

    message = '{reason}'


class Malformed(Invalid):
    """The body cannot be read in the format it claims to have."""

    message = 'Malformed request body: {reason}'


class Unauthorized(AggregatesError):
    """Nobody vouches for the one who asks."""

    message = (
        'No identity comes with the request: send a token to a pipeline '
        'that has authtoken (or noauth, for trials) in front.'
    )


class Forbidden(AggregatesError):
    message = "Policy doesn't allow {action} to be performed."


class NotFound(AggregatesError):
    message = 'The resource could not be found.'


class NotServed(NotFound):
    message = (
        'The resource could not be found. This endpoint serves host '
        'aggregates (/os-aggregates) and their pools (/os-aggregate-pools), '
        'and tells of their hosts (/os-hosts, /os-services, /os-hypervisors, '
        '/os-availability-zone) and guests (/servers, /os-migrations); for '
        'all else ask the compute service of the cloud.'
    )


class AggregateNotFound(NotFound):
    message = (
        'Aggregate {aggregate_id} could not be found; '
        'GET /os-aggregates lists those there are.'
    )


class HostNotFound(NotFound):
    message = (
        'Host {host} is not registered. Its name is matched exactly; '
        '"aggregates-ext-manage host list" shows the registered ones.'
    )


class AggregateHostNotFound(NotFound):
    """:param became: a sentence on what became of the host there."""

    message = 'Aggregate {aggregate_id} has no host {host}.{became}'

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **{'became': '', **kwargs})


class OperationNotFound(NotFound):
    message = (
        'Operation {operation} could not be found; '
        'GET /os-aggregates/ID/operations lists those of an aggregate.'
    )


class MoveNotFound(NotFound):
    message = 'Migration {move} could not be found.'


class ServiceNotFound(NotFound):
    message = (
        'Service {service_id} could not be found; GET /os-services lists '
        'those there are.'
    )


class UnknownServiceAction(NotFound):
    message = 'Unknown action {action}; there are {known}.'


class HypervisorNotFound(NotFound):
    message = "Hypervisor with ID '{hypervisor_id}' could not be found."


class ServerNotFound(NotFound):
    message = 'Instance {server_id} could not be found.'


class NoHypervisorMatches(NotFound):
    message = "No hypervisor matching '{pattern}' could be found."


class ExtensionNotFound(NotFound):
    message = (
        'Extension {alias} could not be found; GET /extensions lists '
        'those there are.'
    )


class Conflict(AggregatesError):
    """The state of things forbids it now; the message says the way out.

    :ivar passes: whether it is gone after a while by itself.
    """

    message = '{reason}'
    passes = False


class AggregateNameExists(Conflict):
    message = (
        'Aggregate {name} already exists; choose another name, or rename '
        'or delete that one first.'
    )


class AggregateHostExists(Conflict):
    message = 'Aggregate {aggregate_id} already has host {host}.'


class HostInOtherAggregate(Conflict):
    message = (
        'Host {host} belongs to aggregate {other_id}; a XenServer host is in '
        'one pool at a time. Remove it there first.'
    )


class HostNotFree(Conflict):
    passes = True
    message = (
        'Host {host} is {phase} ({what}) and not free yet; repeat the '
        'request when that has ended.'
    )


class HostZoneMismatch(Conflict):
    message = (
        'Host {host} is registered in zone {host_zone}, aggregate '
        '{aggregate_id} is zone {zone}; a host is in one zone. Change the '
        'zone of either.'
    )


class AggregateNotEmpty(Invalid):
    message = (
        "Cannot perform action 'delete' on aggregate {aggregate_id}. "
        'Reason: not empty. Remove these hosts first: {hosts}.'
    )


class AggregateBusy(Conflict):
    """:param state: of the operation; one that is unresolved may stay.

    :param wait: for what, and how that comes about.
    """

    message = (
        'Aggregate {aggregate_id} has unfinished work: operation '
        '{operation} ({what}). {wait}'
    )

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.passes = kwargs.get('state') != 'unresolved'


class NotGivenBack(Conflict):
    message = (
        'UNFINISHED: operation {operation} ({what}) of aggregate '
        '{aggregate_id} has failed, and has not given back what it switched '
        'off or moved: {owed}. Use "retry_operation", which gives it back '
        'and goes on where it stopped; or "cancel_operation", after which '
        'that stays as it is until somebody changes it by hand.'
    )


class AggregateHasNoPool(Conflict):
    message = (
        'Aggregate {aggregate_id} has no pool, so there is nothing to '
        '{kind}: its first host founds one. A pool of several hosts becomes '
        'an aggregate by "aggregates-ext-manage pool adopt".'
    )


class HostNotMember(Conflict):
    passes = True
    message = (
        'Host {host} is still joining the pool of aggregate {aggregate_id}; '
        'only a member can be its master. Repeat the request when its join '
        'has ended.'
    )


class HostNotInPool(Conflict):
    """:param phase: of the host; one that changes it will pass."""

    message = (
        'Host {host} is {phase}: only a member of an aggregate is disabled '
        'and enabled here. {remedy}'
    )

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        free = kwargs.get('phase') == 'free'
        kwargs['remedy'] = (
            'Add it to one first; a host that is in no pool is left as it is.'
            if free
            else 'Repeat the request when that has ended.'
        )
        super().__init__(message, **kwargs)
        self.passes = not free


class HostInMaintenance(Conflict):
    message = (
        'Host {host} is in maintenance, or on its way there: it is enabled '
        'when it leaves that. Use "leave_maintenance", or maintenance_mode of '
        'PUT /os-hosts/{host}.'
    )


class HostNotInMaintenance(Conflict):
    message = (
        'Host {host} is not in maintenance: only one that is, and is empty, '
        'is rebooted, shut down or started here. Take it there first '
        '("enter_maintenance"), and wait until GET …/pool tells that it is '
        '"on".'
    )


class JoinUnknown(Conflict):
    message = (
        'Host {host} is joining the pool of aggregate {aggregate_id}, and '
        'only a member can be forgotten. Cancel its join if it is queued; '
        'if it runs, use "remove_host" without "force"; if it is unresolved, '
        'say with the action reset what became of it.'
    )


class OperationNotCancellable(Conflict):
    message = (
        'Operation {operation} is {state}: only a queued one can be '
        'cancelled. {remedy}'
    )


class OperationNotPaused(Conflict):
    message = (
        'Operation {operation} is {state}, and waits with no host for '
        '"continue_operation". {remedy}'
    )


class GuestMoves(Conflict):
    passes = True
    message = (
        'Server {guest} is on the move already; GET /servers/ID/migrations '
        'shows it.'
    )


class ServerInState(Conflict):
    """In Nova's words, and what to do about it.

    :param attribute: ``vm_state`` or ``task_state``; that one will pass.
    """

    message = (
        "Cannot '{action}' instance {server} while it is in {attribute} "
        '{state}. {remedy}'
    )

    def __init__(self, message: str | None = None, **kwargs: Any) -> None:
        super().__init__(message, **kwargs)
        self.passes = kwargs.get('attribute') == 'task_state'


class NoValidHost(Invalid):
    message = 'No valid host was found. {reason}'


class MoveInState(Invalid):
    message = (
        'Migration {move} state of instance {server} is {state}. Cannot '
        '{method} while the migration is in this state. {remedy}'
    )


class MoveTakenBack(Conflict):
    message = 'Migration {move} is not wanted any more, or has ended.'


class OperationNotRetryable(Conflict):
    message = 'Operation {operation} is {state}. {remedy}'


class HostExists(Conflict):
    message = (
        'A host named {name} is registered already; "aggregates-ext-manage '
        'host remove {name}" forgets it.'
    )


# Characters up to which the reasons of a refusal are told in full.
REASONS = 3000


def number(subject: str, problems: Sequence[Any]) -> str:
    """A refusal in words, with each of its reasons.

    Where they are many the codes of the last ones have to do.

    :param problems: the violations, each an object with ``code`` and
        ``message``.
    """
    told, size = [subject], 0
    for place, problem in enumerate(problems, 1):
        size += len(problem.message)
        if size > REASONS and place > 1:
            codes = ', '.join(p.code for p in problems[place - 1 :])
            told.append(f'And {len(problems) - place + 1} more: {codes}.')
            break
        told.append(f'({place}) {problem.message}')
    return ' '.join(told)


class Refused(Conflict):
    """A host or pool does not meet the requirements, all named at once.

    :param problems: the violations, as ``number`` has them.
    """

    def __init__(self, subject: str, problems: Any) -> None:
        self.problems = tuple(problems)
        super().__init__(
            number(subject, self.problems), problems=self.problems
        )


class PreconditionFailed(AggregatesError):
    """The state is not the one that the request was made for."""

    message = (
        'Aggregate {aggregate_id} is not as If-Match or If-None-Match wants '
        'it; nothing was changed. Look at it, and repeat the request with '
        'the ETag that it has now.'
    )


class TooLarge(AggregatesError):
    message = 'The request is too large: {reason}'


class UnsupportedMediaType(AggregatesError):
    message = (
        'Content type {content_type} is not understood here; send {accepted}.'
    )


class NotAcceptable(AggregatesError):
    message = '{reason}'


class MethodNotAllowed(AggregatesError):
    """:param allowed: the methods that the URL has, for ``Allow``."""

    message = 'Method {method} is not allowed here; use {allowed}.'


class NotSupported(AggregatesError):
    """Something that this service never does."""

    message = '{reason}'


class Unavailable(AggregatesError):
    """Nothing is wrong with the request; try again later.

    :param detail: addresses and causes: for commands, and for no client.
    """

    message = '{reason}'

    def __init__(
        self, message: str | None = None, *, detail: str = '', **kwargs: Any
    ) -> None:
        super().__init__(message, **kwargs)
        self.detail = detail


class LeaseLost(AggregatesError):
    """Another worker holds the aggregate now; what was begun is its to end."""

    message = 'The lease on aggregate {aggregate_id} is held by another.'
