"""Who may do what, by the rules in ``policy`` and the operator's file."""

import argparse
import inspect
import threading
import time
from collections.abc import Mapping
from typing import Any
from typing import NamedTuple

from oslo_config import cfg
from oslo_policy import policy

from aggregates_ext import conf as settings
from aggregates_ext import exception
from aggregates_ext import policy as rules

# Seconds after which a changed policy file counts.
LOOK_INTERVAL = 1.0


class _Asked(NamedTuple):
    """What a rule is asked about: what is done, to what, and by whom."""

    name: str
    target: dict[str, Any]
    creds: dict[str, Any]


class Enforcer(policy.Enforcer):
    """An enforcer that tells of a file which it cannot read.

    It looks for changes of the file at most once in ``LOOK_INTERVAL``, and
    decides each time anew.
    """

    def __init__(self, conf: cfg.ConfigOpts) -> None:
        self._failed = False
        super().__init__(conf)
        self._loading = threading.Lock()
        self._looked: float | None = None
        # Those of the last look, whole; ``rules`` is not while it loads.
        self._in_force: Mapping[str, Any] = {}
        self._takes_name: dict[type, bool] = {}

    def allows(
        self, name: str, target: dict[str, Any], creds: dict[str, Any]
    ) -> bool:
        """Whether a rule lets somebody pass, as ``authorize`` decides.

        That one asks for all files and inspects signatures each time.

        :param name: a rule that is registered here.
        :raises exception.Unavailable: the policy file cannot be read.
        """
        if self._is_due():
            with self._loading:
                if self._is_due():
                    self.load_rules()
                    self._in_force = self.rules
                    self._looked = time.monotonic()
        rule = self.registered_rules[name]
        return self._enforce_scope(creds, rule, do_raise=False) and (
            self._holds(self._in_force[name], _Asked(name, target, creds))
        )

    def _is_due(self) -> bool:
        return (
            self._looked is None
            or time.monotonic() - self._looked > LOOK_INTERVAL
        )

    def _holds(self, check: Any, asked: _Asked) -> bool:
        """What a check says, and those that it is made of."""
        kind = type(check)
        if kind is policy.RuleCheck:
            try:
                check = self._in_force[check.match]
            except KeyError:
                return False
            return self._holds(check, asked)
        if kind is policy.NotCheck:
            return not self._holds(check.rule, asked)
        if kind in (policy.OrCheck, policy.AndCheck):
            wanted = kind is policy.OrCheck
            for part in check.rules:
                if self._holds(part, asked) is wanted:
                    return wanted
            return not wanted
        return self._asks(check, asked)

    def _asks(self, check: Any, asked: _Asked) -> bool:
        """What a check says that is made of no others."""
        kind = type(check)
        if kind not in self._takes_name:
            signature = inspect.getfullargspec(check.__call__)
            self._takes_name[kind] = len(signature.args) > 4
        if self._takes_name[kind]:
            return bool(check(asked.target, asked.creds, self, asked.name))
        return bool(check(asked.target, asked.creds, self))

    def load_rules(self, force_reload: bool = False) -> None:
        """:raises exception.Unavailable: nobody may do anything therefore."""
        # oslo.policy reads no file again that has not changed.
        again, self._failed = force_reload or self._failed, True
        try:
            super().load_rules(again)
        except (OSError, ValueError) as exc:
            raise _unreadable(str(exc)) from exc
        except (AttributeError, TypeError) as exc:
            # What oslo.policy raises where it expects other types.
            raise _unreadable(
                'it has to map names of rules to texts.'
            ) from exc
        self._failed = False


def _unreadable(detail: str) -> exception.Unavailable:
    return exception.Unavailable(
        reason='The policy file cannot be read; "aggregates-ext-manage '
        'policy check" tells what is wrong with it.',
        detail=detail,
    )


def make(conf: cfg.ConfigOpts) -> Enforcer:
    """An enforcer that knows the rules and the operator's changes to them.

    :param conf: configuration; ``[oslo_policy]`` names the operator's file.
    """
    enforcer = Enforcer(conf)
    enforcer.suppress_default_change_warnings = True
    enforcer.register_defaults(list(rules.list_rules()))
    return enforcer


def get_enforcer() -> policy.Enforcer:
    """For ``oslopolicy-validator`` and its siblings, which pass nothing.

    Their command lines have options of their own; ``--config-file`` is ours.
    """
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('--config-file', action='append')
    known, _theirs = parser.parse_known_args()
    settings.parse(cfg.CONF, [], known.config_file)
    return make(cfg.CONF)
