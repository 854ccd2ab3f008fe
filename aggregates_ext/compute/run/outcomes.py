"""How a run of an operation ends, other than by success."""

from typing import Any

from aggregates_ext import exception
from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.db import operations as db_operations


class Postpone(exception.AggregatesError):
    """An obstacle that may pass: try again later.

    :param code: of what is in the way.
    :param parameters: what the code is about.
    :param remedy: what to do about it, where ``reason`` does not say it.
    """

    code = 'RETRY'
    message = '{reason}'
    remedy = '{remedy}'

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{'remedy': '', **kwargs})

    @property
    def error(self) -> dict[str, Any]:
        """What the operation shows of it while it rests."""
        return {
            'code': self.values.get('code', self.code),
            'parameters': list(self.values.get('parameters', ())),
            'message': str(self),
        }


class Waiting(Postpone):
    """Another operation has to end first; that takes none of our time.

    :ivar step: what the operation shows meanwhile.
    """

    code = db_operations.WAITING
    step = 'waiting for another operation'


class Resting(Waiting):
    """One that is a part of it has to end first, or somebody has to ask."""

    def __init__(self, step: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.step = step


class Watching(Postpone):
    """Something is under way that this operation goes on with.

    :ivar seconds: until the next look.
    """

    code = 'UNDER_WAY'

    def __init__(self, seconds: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seconds = seconds


class Failed(exception.AggregatesError):
    """The outcome is known: nothing of the change is left.

    :param remedy: what to do about it, where ``message`` does not say it.
    """

    def __init__(
        self, code: str, message: str, parameters: Any = (), remedy: str = ''
    ) -> None:
        self.remedy = remedy.replace('{', '{{').replace('}', '}}')
        super().__init__(message)
        self.error = {
            'code': code,
            'parameters': parameters,
            'message': str(self),
        }


class Unresolved(Failed):
    """The outcome is not known; both sides are described."""


class NotSent(Postpone):
    """A call that changes a pool has not left: nobody was there to take it."""


class Unknown(Postpone):
    """A call that changes a pool may have arrived; nothing was answered."""


class Answered(exception.AggregatesError):
    """A call that changes a pool was answered, with an error.

    :ivar answer: of the host.
    """

    answer: failures.XenAPIError


class AnsweredForNow(Answered, Postpone):
    """With one that passes."""

    def __init__(self, answer: failures.XenAPIError) -> None:
        self.answer = answer
        super().__init__(
            reason=answer.said,
            remedy=answer.way_out,
            code=answer.code,
            parameters=answer.parameters,
        )


class AnsweredForGood(Answered, Failed):
    """With one that stays."""

    def __init__(self, answer: failures.XenAPIError) -> None:
        self.answer = answer
        Failed.__init__(
            self,
            answer.code,
            answer.said,
            list(answer.parameters),
            answer.way_out,
        )


def answered(answer: failures.XenAPIError) -> Answered:
    """What an error becomes that a call was answered with."""
    if codes.passes(answer.code, answer.parameters):
        return AnsweredForNow(answer)
    return AnsweredForGood(answer)


def refuse(subject: str, report: preflight.Report) -> Exception:
    """What a check that found blockers makes of an operation.

    :returns: Postpone where all go away by themselves, else Failed.
    """
    problems = [problem.as_dict() for problem in report.blockers]
    reason = exception.number(subject, report.blockers)
    if report.heals:
        return Postpone(reason=reason, code=report.blockers[0].code)
    return Failed(
        report.blockers[0].code,
        reason,
        {'blockers': problems, 'disks': report.disks},
    )


def obstacle(exc: failures.HostError) -> Postpone:
    """What keeps an operation from going on, whatever it is."""
    return Postpone(
        reason=exc.said,
        remedy=exc.way_out,
        code=exc.code,
        parameters=exc.parameters,
    )


def translate(exc: failures.HostError) -> Exception:
    """What a host said, as a passing obstacle or as a failure."""
    if codes.passes(exc.code, exc.parameters):
        return obstacle(exc)
    return Failed(exc.code, exc.said, list(exc.parameters), exc.way_out)
