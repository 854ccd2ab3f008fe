"""What would be taken now of all that can be asked, and why not the rest.

By policy and by what the database says; no host is asked. See
design#allowed-actions.
"""

from collections.abc import Mapping
from typing import Any

from aggregates_ext import context
from aggregates_ext import exception
from aggregates_ext import policy
from aggregates_ext.api.edge import faults
from aggregates_ext.api.edge import routing
from aggregates_ext.api.forms import fields
from aggregates_ext.api.forms import schema
from aggregates_ext.api.forms import shapes
from aggregates_ext.domain.outlook import situation

QUERY = schema.query(host=fields.NAME)


class Allowed:
    """Tells of actions whether they would be taken.

    :param actions: all that there are, by name.
    """

    def __init__(self, actions: Mapping[str, routing.Action]) -> None:
        self._questions = [
            (name, action, question)
            for name, action in actions.items()
            for question in action.questions
        ]

    def routes(self) -> routing.Routes:
        """Where it is told."""
        return {
            '/os-aggregates/{aggregate_id}/allowed_actions': {
                'GET': routing.Route(self.show, 'query')
            }
        }

    def show(
        self,
        ctx: context.RequestContext,
        domain: routing.Domain,
        shape: shapes.Shape,
        aggregate_id: str,
        query: Mapping[str, str],
    ) -> dict[str, Any]:
        """All actions on an aggregate, its hosts and what counts for it.

        On one host alone, where that is asked for, wherever it is.
        """
        ctx.can(policy.POOL)
        asked = schema.check_query(
            query, QUERY, strict=shape.supports(shapes.KNOWN_QUERIES)
        )
        key, host = shape.aggregate_id(aggregate_id), asked.get('host')
        now = domain.outlook.get(key, host)
        asker = _Asker(ctx, now)
        hosts = now.bound if host is None else [now.host(host)]
        shown = {
            'aggregate_id': now.key,
            'actions': self._ask(asker, routing.AGGREGATE, now.aggregate),
            'hosts': [
                {
                    'name': item.name,
                    'actions': self._ask(asker, routing.HOST, item),
                }
                for item in hosts
            ],
            'operations': [
                {
                    'uuid': item.uuid,
                    'actions': self._ask(asker, routing.OPERATION, item),
                }
                for item in now.standing
            ],
        }
        return {'allowed_actions': shown}

    def _ask(
        self, asker: '_Asker', about: str, named: Any
    ) -> list[dict[str, Any]]:
        """What is told of each action on an aggregate, host or operation."""
        shown = []
        for name, action, question in self._questions:
            if question.about != about:
                continue
            refusal = asker.ask(action, question, named)
            shown.append(
                {
                    'action': name,
                    'asked': dict(question.asked),
                    'allowed': refusal is None,
                    'refusal': refusal,
                }
            )
        return shown


class _Asker:
    """Asks for somebody, in one request; what policy says is kept for that."""

    def __init__(
        self, ctx: context.RequestContext, now: situation.Situation
    ) -> None:
        self._ctx = ctx
        self._now = now
        self._may: dict[str, bool] = {}

    def ask(
        self, action: routing.Action, question: routing.Question, named: Any
    ) -> dict[str, Any] | None:
        """With what a request would be refused; None: it would be taken."""
        try:
            for rule in (*action.rules, *question.beside(named)):
                self._permit(rule)
            question.check(self._now, named)
        except exception.AggregatesError as exc:
            return _refusal(exc)
        return None

    def _permit(self, rule: str) -> None:
        """:raises exception.Forbidden: by policy."""
        if rule not in self._may:
            self._may[rule] = self._ctx.may(rule)
        if not self._may[rule]:
            raise exception.Forbidden(action=rule)


def _refusal(exc: exception.AggregatesError) -> dict[str, Any]:
    """What the fault would say, and whether that passes by itself."""
    code, name = faults.status_of(exc)
    return {
        'code': code,
        'name': name,
        'message': str(exc),
        'passes': isinstance(exc, exception.Conflict) and exc.passes,
    }
