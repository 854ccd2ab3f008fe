"""A Nova API that also tells the state of its process.

Run by the Python of Nova's virtual environment; the listener is standard
input, as Nova refuses arguments that it does not know.
"""

import json
import locale
import logging
import os
import signal
import socket
import sys
import threading
import warnings

import waitress
from nova.wsgi import osapi_compute  # first: it chooses the backend

# ruff: isort: split
from nova import policy
from nova import rpc
from oslo_config import cfg
from oslo_context import context
from oslo_service import backend

STATE = '/state-of-the-process'
OURS = ('aggregates_ext', 'aggregates-ext')


def options():
    """Every option that is registered, and its value."""
    found = {}
    conf = cfg.CONF  # noqa: TID251 - Nova's, to be left alone
    for name in sorted(conf):
        value = conf[name]
        if isinstance(value, cfg.ConfigOpts.GroupAttr):
            for option in sorted(value):
                found[f'{name}.{option}'] = repr(value[option])
        else:
            found[name] = repr(value)
    return found


def loggers():
    """Whatever is set at a logger, ours aside."""
    root = logging.getLogger()
    named = {
        name: logger
        for name, logger in root.manager.loggerDict.items()
        if isinstance(logger, logging.Logger) and not name.startswith(OURS)
    }
    found = {
        name: (
            logger.level,
            logger.propagate,
            logger.disabled,
            [
                describe(handler)
                for handler in logger.handlers
                # Libraries have it, so as to say nothing.
                if not isinstance(handler, logging.NullHandler)
            ],
            len(logger.filters),
        )
        for name, logger in {'': root, **named}.items()
    }
    unset = (logging.NOTSET, True, False, [], 0)
    return {k: v for k, v in found.items() if v != unset}


def describe(handler):
    """A handler without its address."""
    return (
        type(handler).__name__,
        handler.level,
        type(handler.formatter).__name__,
        getattr(handler.formatter, '_fmt', None),
        len(handler.filters),
    )


def rules():
    """The policy in force, by rule."""
    # Not get_enforcer(), which reads the configuration again.
    policy.init()
    enforcer = policy._ENFORCER
    return {
        'rules': {name: str(rule) for name, rule in enforcer.rules.items()},
        'registered': sorted(enforcer.registered_rules),
        'file': repr(enforcer.policy_path),
    }


def state():
    """All that another component in this process could have changed."""
    return {
        'options': options(),
        'loggers': loggers(),
        'rules': rules(),
        'backend': repr(backend.get_backend_type()),
        'transport': repr(type(rpc.TRANSPORT)),
        'modules of exceptions': rpc.get_allowed_exmods(),
        'context': type(context.get_current()).__name__,
        'signals': {
            number.name: getattr(
                signal.getsignal(number), '__qualname__', repr(number)
            )
            for number in signal.Signals
        },
        'threads': sorted(
            thread.name
            for thread in threading.enumerate()
            if not thread.name.startswith('waitress')
        ),
        'warnings': [str(entry) for entry in warnings.filters],
        'hooks': [sys.excepthook.__qualname__, threading.excepthook.__name__],
        'environment': sorted(os.environ),
        'locale': locale.setlocale(locale.LC_ALL),
    }


def application(environ, start_response):
    """Nova, but for one path."""
    if environ['PATH_INFO'] != STATE:
        return osapi_compute.application(environ, start_response)
    start_response('200 OK', [('Content-Type', 'application/json')])
    return [json.dumps(state()).encode()]


if __name__ == '__main__':
    waitress.serve(application, sockets=[socket.socket(fileno=0)])
