"""What SIGTERM, SIGINT and SIGHUP mean to a service (design#signals)."""

import contextlib
import logging as std_logging
import signal
from collections.abc import Callable

from oslo_config import cfg
from oslo_log import log as logging

from aggregates_ext import conf as settings
from aggregates_ext.cmd import notify

LOG = logging.getLogger(__name__)
SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
# Where oslo.config writes the values of changed options, passwords too.
VALUES = 'Option %(group)s.%(option)s changed from'


def block() -> None:
    """Keep the signals for ``wait``; to be called before any thread is."""
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    std_logging.getLogger('oslo_config.cfg').addFilter(tells_no_values)


def wait(
    conf: cfg.ConfigOpts, is_alive: Callable[[], bool], again: settings.Parse
) -> None:
    """Serve until SIGTERM or SIGINT, and read the configuration on SIGHUP.

    systemd is told; its watchdog gets no sign of life while ``is_alive``
    says no.

    :param again: reads the configuration into another object.
    """
    notify.ready()
    interval = notify.watchdog_interval()
    while True:
        if interval is None:
            received: int | None = signal.sigwait(SIGNALS)
        else:
            info = signal.sigtimedwait(SIGNALS, interval)
            received = info.si_signo if info else None
        if received is None:
            if is_alive():
                notify.alive()
            continue
        if received != signal.SIGHUP:
            break
        notify.reloading()
        reload(conf, again)
        notify.ready()
    notify.stopping()


def reload(conf: cfg.ConfigOpts, again: settings.Parse) -> None:
    """Take over the options that can change; a wrong file changes nothing."""
    try:
        settings.validate(again(cfg.ConfigOpts()))
        changed = conf.mutate_config_files()
        # What other sources than files have said is kept otherwise; there
        # is no public way but one that changes every option.
        vars(conf)['_ConfigOpts__drivers_cache'].clear()
    except (cfg.Error, ValueError, OSError, SystemExit) as exc:
        LOG.error('The configuration is wrong and was not taken over: %s', exc)
        return
    names = sorted(f'[{group or "DEFAULT"}] {name}' for group, name in changed)
    LOG.info(
        'The configuration was read again; changed: %s',
        ', '.join(names) or 'nothing that can change',
    )
    with contextlib.suppress(cfg.Error):
        # Of libraries: whoever reads the wrong one tells it. Secrets are
        # starred out.
        conf.log_opt_values(LOG, std_logging.DEBUG)


def tells_no_values(record: std_logging.LogRecord) -> bool:
    """For the logger of oslo.config, which tells secrets at a change."""
    return not str(record.msg).startswith(VALUES)
