"""What ``$`` is in a secret of the configuration: itself, or refused by name.

oslo.config puts the value of another option where a value has ``$name``. In
a password that is a mistake which it tells with a part of the password, or
does not tell. So accounts of hosts are taken as they stand; a secret of a
library, whose documents know ``$$``, is refused by the name of its option
when something would be put into it (design#dollars).
"""

import pathlib
import re
import threading
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

# The groups of accounts of hosts, in files and in the environment.
ACCOUNTS = ('xenserver:', 'xenserver_')
# Where the files of the configuration are; a path may have any sign.
PATHS = ('config_file', 'config_dir')
_SECRET = re.compile('password|secret|token$|connection|transport_url')
_ACCOUNT_IN_URL = re.compile('://[^/]*@')


class Refused(cfg.Error, ValueError):
    """A secret that oslo.config would rewrite; its value is not told."""

    def __init__(self, group: str, name: str) -> None:
        super().__init__(
            f'[{group or "DEFAULT"}] {name} has a "$" before a name, where '
            'oslo.config would put the value of another option. Write "$$" '
            'for each "$" of a secret; in a URL "%24" does too.'
        )


def is_rewritten(value: str) -> bool:
    """Whether oslo.config puts other values into one."""
    escaped = value.replace(r'\$', '$$')
    return any(
        found['named'] or found['braced']
        for found in cfg.ConfigOpts.Template.pattern.finditer(escaped)
    )


def is_refused(group: str, name: str, value: str) -> bool:
    """Whether the value of an option, as it stands, is refused by name.

    For one of which nothing else is known; of a secret, in a URL too.
    """
    return (
        not group.startswith(ACCOUNTS)
        and is_rewritten(value)
        and bool(_SECRET.search(name) or _ACCOUNT_IN_URL.search(value))
    )


def read_files(
    conf: cfg.ConfigOpts,
) -> Iterator[tuple[pathlib.Path, str, str, str]]:
    """All that the files say, as it stands: file, group, option, value."""
    files = [pathlib.Path(path) for path in conf.config_file or ()]
    for directory in conf.config_dir or ():
        files += sorted(pathlib.Path(directory).glob('*.conf'))
    for path in files:
        groups: dict[str, dict[str, list[str]]] = {}
        cfg.ConfigParser(str(path), groups).parse()
        for group, options in groups.items():
            for name, values in sorted(options.items()):
                yield path, group, name, '\n'.join(values)


def find_refused(
    conf: cfg.ConfigOpts,
) -> Iterator[tuple[pathlib.Path, Refused]]:
    """Every secret in the files that is refused, read by us or by others."""
    for path, group, name, value in read_files(conf):
        if is_refused(group, name, value):
            yield path, Refused(group, name)


def protect(conf: cfg.ConfigOpts) -> None:
    """Let nothing be put into secrets when options are read; once is enough.

    oslo.config has no public place for that: substitution does not know for
    which option it is, and the lookup, which knows, does nothing else.
    """
    if '_do_get' in vars(conf):
        return
    lookup, substitute = conf._do_get, conf._substitute
    reading = threading.local()

    def do_get(
        name: str, group: Any = None, namespace: Any = None
    ) -> tuple[Any, Any]:
        outer = getattr(reading, 'option', None)
        option = _Option(conf, getattr(group, 'name', group) or '', name)
        reading.option = option
        try:
            found: tuple[Any, Any] = lookup(name, group, namespace)
        except ValueError:
            # oslo.config makes an error of its own of ours.
            if option.refused:
                raise Refused(option.group, name) from None
            raise
        finally:
            reading.option = outer
        return found

    def substituted(
        value: Any, group: Any = None, namespace: Any = None
    ) -> Any:
        option = getattr(reading, 'option', None)
        # None: the command line is looked over, paths of its files too.
        if option is None or option.takes(value):
            return value
        return substitute(value, group, namespace)

    vars(conf).update(_do_get=do_get, _substitute=substituted)


class _Option:
    """An option that is being read.

    :ivar refused: whether its value was.
    """

    def __init__(self, conf: cfg.ConfigOpts, group: str, name: str) -> None:
        self.group = group
        self._conf = conf
        self._name = name
        self.refused = False

    def takes(self, value: Any) -> bool:
        """Whether its value is taken as it stands.

        :raises Refused: it is a secret that would be rewritten.
        """
        if not isinstance(value, str):
            return False
        if self.group.startswith(ACCOUNTS) or (
            not self.group and self._name in PATHS
        ):
            return True
        self._check(value)
        return False

    def _check(self, value: str) -> None:
        """:raises Refused: it is a secret that would be rewritten."""
        if not is_rewritten(value):
            return
        info = self._conf._get_opt_info(self._name, self.group or None)
        if info['opt'].secret or is_refused(self.group, self._name, value):
            self.refused = True
            raise Refused(self.group, self._name)
