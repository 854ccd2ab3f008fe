"""Why a database cannot be used, in words for whoever can mend it.

Not what a statement of ours did wrong: that is a bug, and no reason
(design#reasons).
"""

import re
from typing import NamedTuple

import sqlalchemy as sa

SYNC = '"aggregates-ext-manage db sync"'

# A password that is shorter is part of every other word.
LETTERS = 3


class Reason(NamedTuple):
    """A kind of failure that lasts until somebody acts.

    :ivar sentence: what it is, and the way out; for clients too, so it holds
        no address and no name.
    :ivar codes: of MySQL's errors, and SQLSTATEs or their classes.
    :ivar text: what SQLite says, and PostgreSQL while it is connected to.
    """

    sentence: str
    codes: frozenset[int | str]
    text: str


SCHEMA = Reason(
    'The schema of the database is not that of this release. See '
    f'"aggregates-ext-manage db check"; {SYNC} makes it, and upgrades an '
    'older one.',
    frozenset({1054, 1146, '42P01', '42703'}),
    'no such (table|column)|has no column named',
)
ENCODING = Reason(
    'The database cannot store every name, since its encoding is not UTF-8. '
    'Make another one as the installation guide shows it, and move the '
    'contents.',
    frozenset({1115, 1267, 1273, 1366, 3988, '22P05', '22021'}),
    'unsupported encoding',
)
ABSENT = Reason(
    'There is no database where [database] connection says. Make it, for '
    'SQLite its directory, as the installation guide shows, then run '
    f'{SYNC}.',
    frozenset({1049, '3D000'}),
    'unable to open database file|database ".*" does not exist',
)
DENIED = Reason(
    'The database refuses the account of [database] connection. Check its '
    'name, its password and what it may do there.',
    frozenset({1044, 1045, 1142, 1143, 1227, 1698, '28', '42501'}),
    'authentication failed|role ".*" does not exist|no pg_hba.conf entry'
    '|readonly database|no password supplied',
)
DAMAGED = Reason(
    'The file of the database is damaged, or is none. Restore it from a '
    'backup.',
    frozenset({1033, 1194, 1195, 'XX001', 'XX002'}),
    'file is not a database|disk image is malformed',
)
FULL = Reason(
    'There is no room left for the database. Make some on its disk.',
    frozenset({1021, 1114, '53100'}),
    'database or disk is full',
)
REASONS = (SCHEMA, ENCODING, ABSENT, DENIED, DAMAGED, FULL)


def code_of(exc: BaseException) -> int | str | None:
    """The number (MySQL) or SQLSTATE (PostgreSQL) of an error."""
    driver = _driver_error(exc)
    if driver.args and isinstance(driver.args[0], int):
        return driver.args[0]
    return getattr(driver, 'pgcode', None) or getattr(driver, 'sqlstate', None)


def _driver_error(exc: BaseException) -> BaseException:
    inner = getattr(exc, 'inner_exception', None) or exc
    found: BaseException = getattr(inner, 'orig', None) or inner
    return found


def find(exc: BaseException) -> Reason | None:
    """The reason of a failure, if it is one that lasts."""
    code = code_of(exc)
    said = str(_driver_error(exc))
    for reason in REASONS:
        if code is None and re.search(reason.text, said):
            return reason
        if code in reason.codes or _class_of(code) in reason.codes:
            return reason
    return None


def _class_of(code: int | str | None) -> str:
    return code[:2] if isinstance(code, str) else ''


def first_line(exc: BaseException | None) -> str:
    """What the driver says, without the statement and its parameters."""
    return str(exc).strip().partition('\n')[0]


def detail(url: sa.URL | None, exc: BaseException) -> str:
    """Address and cause, for the operator."""
    if url is None:
        return ''
    driver = _driver_error(exc)
    said = str(driver)
    if isinstance(code_of(exc), int) and not isinstance(driver, OSError):
        # MySQL's: number and text.
        said = str(driver.args[-1])
    said = ' '.join(said.split())
    if len(str(url.password or '')) > LETTERS:
        said = said.replace(str(url.password), '***')
    return f'({place(url)}: {said})'


def place(url: sa.URL) -> str:
    """Where a database is, without the account."""
    if url.get_backend_name() == 'sqlite':
        return str(url.database)
    host = url.host or 'its socket'
    port = f':{url.port}' if url.port else ''
    return f'{url.get_backend_name()} at {host}{port}, {url.database}'
