"""Who asks: the identity of a request, and what policy lets it do."""

from typing import Any
from typing import Protocol

from oslo_context import context

from aggregates_ext import exception


class Enforcer(Protocol):
    """What decides; ``policy`` has it."""

    def allows(
        self, name: str, target: dict[str, Any], creds: dict[str, Any]
    ) -> bool: ...


class RequestContext(context.RequestContext):
    """An identity as oslo.context has it, with the policy to ask."""

    def __init__(self, *args: Any, enforcer: Enforcer, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._enforcer = enforcer
        self.is_admin = enforcer.allows(
            'context_is_admin', {}, self._credentials()
        )

    def _credentials(self) -> dict[str, Any]:
        """What rules may look at; ``is_admin`` for Nova's base rules."""
        return {
            'user_id': self.user_id,
            'project_id': self.project_id,
            'system': self.system_scope,
            'system_scope': self.system_scope,
            'domain_id': self.domain_id,
            'roles': self.roles,
            'is_admin': self.is_admin,
        }

    def may(self, rule: str, project_id: str | None = None) -> bool:
        """Whether the operator's policy lets this one pass."""
        try:
            self.can(rule, project_id)
        except exception.Forbidden:
            return False
        return True

    def can(self, rule: str, project_id: str | None = None) -> None:
        """Let pass who may, by the operator's policy.

        :param rule: a name of ``policy.py``.
        :param project_id: whose it is that is asked for; None: the caller's.
        :raises exception.Forbidden: by policy.
        """
        target = {
            'project_id': project_id or self.project_id,
            'user_id': self.user_id,
        }
        if not self._enforcer.allows(rule, target, self._credentials()):
            raise exception.Forbidden(action=rule)
