"""Connections to each kind of database: URL, session, and time limits.

A database that does not answer must not hold a request for ever, and a
service that was stopped in a transaction must not hold its locks for ever.
"""

import contextlib
import logging
import os
import stat
from typing import Any

import sqlalchemy as sa
from oslo_db.sqlalchemy import engines
from oslo_db.sqlalchemy import exc_filters

from aggregates_ext import exception
from aggregates_ext.db.engine import reasons
from aggregates_ext.db.engine import roundtrips
from aggregates_ext.db.engine import watchdog

# Seconds until a connection is made, a row's lock is got, a statement is
# answered; and that a transaction may do nothing while it holds locks. A
# request may wait twice for an answer: of a connection that it finds dead
# and of a new one. Clients wait for half a minute.
CONNECT_LIMIT = 5
LOCK_LIMIT = 10
ANSWER_LIMIT = 12
IDLE_LIMIT = 30
BUSY_LIMIT_MS = 15_000
KINDS = ('mysql', 'mariadb', 'postgresql', 'sqlite')
# What drivers raise, beside their own errors, for options of a URL.
WRONG = (TypeError, ValueError, AttributeError, LookupError, RuntimeError,
         OSError)  # fmt: skip
# The drivers that our extras install.
DRIVERS = {'mysql': 'pymysql', 'postgresql': 'psycopg2'}
# Readers see one state in all their statements.
READER = 'REPEATABLE READ'
# MySQL knows no limit for idle transactions, and skips that comment.
MYSQL_SESSION = (
    f'SET SESSION TRANSACTION ISOLATION LEVEL {READER}',
    f'SET SESSION innodb_lock_wait_timeout = {LOCK_LIMIT}'
    f' /*M!100300 , idle_transaction_timeout = {IDLE_LIMIT} */',
    # Stamps of any number of aggregates come as one text.
    'SET SESSION group_concat_max_len = 1073741824',
)
POSTGRESQL_SESSION = (
    f"SET SESSION lock_timeout = '{LOCK_LIMIT}s'",
    f"SET SESSION idle_in_transaction_session_timeout = '{IDLE_LIMIT}s'",
)
WATCHDOG = watchdog.Watchdog()
# An option of connections to SQLite: how their transactions begin.
BEGIN = 'sqlite_begin'


def create(url: str, options: Any, *, limited: bool = True) -> sa.Engine:
    """An engine for a database; it connects when it is used.

    :param url: ``[database] connection``; what its query says wins over
        what is said here.
    :param options: the section [database].
    :param limited: whether statements have the limits of daily work: of
        time, and SQLite's foreign keys, which no rebuilt table survives.
    :raises exception.Unavailable: the URL cannot be used.
    """
    parsed = _complete(_parse(url), limited)
    try:
        if parsed.get_backend_name() == 'sqlite':
            engine = _create_sqlite(parsed, options, limited)
        else:
            engine = _create_client(parsed, options, limited)
    except ImportError as exc:
        raise exception.Unavailable(
            reason='The driver of [database] connection is not installed: '
            f'{exc.name}. "pip install \'aggregates_ext[mysql]\'" brings '
            'that of mysql+pymysql://, and with [postgresql] that of '
            'postgresql+psycopg2://.'
        ) from None
    except ValueError as exc:
        # Of an option that SQLAlchemy itself reads.
        raise _misused(parsed, exc) from None
    _guard(engine)
    return engine


def _create_client(parsed: sa.URL, options: Any, limited: bool) -> sa.Engine:
    """An engine for a server."""
    engine: sa.Engine = engines.create_engine(
        parsed,
        mysql_sql_mode=options.mysql_sql_mode,
        mysql_wsrep_sync_wait=options.mysql_wsrep_sync_wait,
        max_pool_size=options.max_pool_size,
        max_overflow=options.max_overflow,
        pool_timeout=options.pool_timeout,
        connection_recycle_time=options.connection_recycle_time,
        max_retries=0,
        thread_checkin=False,
    )
    roundtrips.spare(engine)
    if limited:
        _limit(engine)
    return engine


def _parse(url: str) -> sa.URL:
    """The parts of a URL.

    :raises exception.Unavailable: it has none, or is for no database that
        can be worked with; without the URL, which holds a password.
    """
    try:
        parsed = sa.make_url(url)
        known = parsed.get_backend_name() in KINDS
        known = known and not parsed.get_dialect().is_async
    except (sa.exc.ArgumentError, ImportError, ValueError):
        known = False
    if not known:
        raise exception.Unavailable(
            reason='[database] connection cannot be used: it is not of the '
            'form KIND://USER:PASSWORD@HOST/NAME, or the kind is none of '
            f'{", ".join(KINDS)}. In a password "@", "/", ":", "%" and the '
            'like are written "%40", "%2F", "%3A", "%25".'
        )
    if parsed.get_backend_name() == 'sqlite' and not _has_file(parsed):
        raise exception.Unavailable(
            reason='[database] connection names no file. SQLite needs one, '
            'such as sqlite:////var/lib/aggregates_ext/aggregates_ext.sqlite.'
        )
    return parsed


def _has_file(url: sa.URL) -> bool:
    return url.database not in (None, '', ':memory:')


def _guard(engine: sa.Engine) -> None:
    """Tell what keeps a driver from connecting, in words of ours.

    That is what it raises for options of the URL that it does not know, and
    for files and modules that they need.
    """

    @sa.event.listens_for(engine, 'do_connect')
    def _do_connect(
        dialect: Any, record: Any, arguments: Any, named: dict[str, Any]
    ) -> Any:
        try:
            made = dialect.connect(*arguments, **named)
        except (*WRONG, dialect.loaded_dbapi.ProgrammingError) as exc:
            raise _misused(engine.url, exc) from exc
        if dialect.driver == 'psycopg2':
            _check_encoding(made, engine.url)
        return made


def _misused(url: sa.URL, exc: BaseException) -> exception.Unavailable:
    return exception.Unavailable(
        reason='The driver of the database cannot use [database] '
        'connection: check its options, behind the "?".',
        detail=reasons.detail(url, exc),
    )


def _check_encoding(connection: Any, url: sa.URL) -> None:
    """:raises exception.Unavailable: not every name can be stored."""
    encoding = connection.get_parameter_status('server_encoding')
    if encoding in ('UTF8', None):
        return
    connection.close()
    raise exception.Unavailable(
        reason=reasons.ENCODING.sentence,
        detail=f'({reasons.place(url)}: server_encoding is {encoding})',
    )


def _create_sqlite(url: sa.URL, options: Any, limited: bool) -> sa.Engine:
    """An engine like those of oslo.db, and with a pool.

    oslo.db opens SQLite's file for each transaction. That takes longer than
    most of them, and each time the last one closes it nobody else can use
    it: not for long, unless a service is stopped in that moment. There is
    no server whose connections are few, so nobody waits for one.
    """
    engine = sa.create_engine(
        url, pool_size=options.max_pool_size, max_overflow=-1
    )
    exc_filters.register_engine(engine)
    # What it tells for debugging holds what is in the rows, such as sessions.
    logging.getLogger('sqlalchemy.engine').setLevel(logging.WARNING)
    session = [
        f'PRAGMA busy_timeout = {BUSY_LIMIT_MS}',
        # What was promised, and what is about to be sent, must survive a
        # power failure (design#databases).
        'PRAGMA synchronous = FULL',
    ]
    if limited:
        session.append('PRAGMA foreign_keys = ON')

    @sa.event.listens_for(engine, 'do_connect')
    def _do_connect(*_arguments: Any) -> None:
        make_private(url.database)

    @sa.event.listens_for(engine, 'connect')
    def _connect(connection: Any, record: Any) -> None:
        # The driver begins no transaction: _begin does.
        connection.isolation_level = None
        for statement in session:
            connection.execute(statement)
        record.info['process'] = os.getpid()

    @sa.event.listens_for(engine, 'checkout')
    def _checkout(connection: Any, record: Any, proxy: Any) -> None:
        if record.info['process'] != os.getpid():
            raise sa.exc.DisconnectionError('made before a fork')

    @sa.event.listens_for(engine, 'begin')
    def _begin(connection: sa.Connection) -> None:
        begin = connection.get_execution_options().get(BEGIN, 'BEGIN')
        connection.exec_driver_sql(begin)

    return engine


def make_private(path: str | None) -> None:
    """Make SQLite's file, where it is missing, closed to all others.

    SQLite itself makes it as the umask lets it, mostly for all to read, and
    gives its journals the same rights. In a directory that hands its group on
    (design#databases) the group shares it.
    """
    if not path or path == ':memory:' or path.startswith('file:'):
        return
    with contextlib.suppress(OSError):
        # It is there, or SQLite will tell why it cannot be.
        made = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        try:
            folder = os.stat(os.path.dirname(path) or '.')
            if folder.st_mode & stat.S_ISGID:
                os.fchmod(made, 0o660)
        finally:
            os.close(made)


def _complete(url: sa.URL, limited: bool) -> sa.URL:
    """A URL with what the drivers need to be told."""
    backend, _plus, driver = url.drivername.partition('+')
    if backend == 'mariadb':
        # oslo.db knows the errors of "mysql" alone; it is the same protocol.
        backend = 'mysql'
    driver = driver or DRIVERS.get(backend, '')
    url = url.set(drivername=f'{backend}+{driver}' if driver else backend)
    wanted: dict[str, str] = {}
    if backend == 'mysql':
        # What MySQL calls utf8 lacks emojis.
        wanted['charset'] = 'utf8mb4'
        if limited:
            wanted['read_timeout'] = str(ANSWER_LIMIT)
            wanted['write_timeout'] = str(ANSWER_LIMIT)
    if backend == 'postgresql' and limited:
        wanted['tcp_user_timeout'] = str(ANSWER_LIMIT * 1000)
    if backend == 'postgresql':
        wanted['client_encoding'] = 'utf8'
    if backend in ('mysql', 'postgresql'):
        wanted['connect_timeout'] = str(CONNECT_LIMIT)
    return url.update_query_dict({**wanted, **url.query})


def _limit(engine: sa.Engine) -> None:
    """Set up each new connection."""
    name = engine.dialect.name
    session = {
        'mysql': MYSQL_SESSION,
        'postgresql': POSTGRESQL_SESSION,
    }.get(name, ())

    @sa.event.listens_for(engine, 'connect')
    def _connect(connection: Any, record: Any) -> None:
        cursor = connection.cursor()
        for statement in session:
            cursor.execute(statement)
        cursor.close()
        # PostgreSQL forgets the settings of a transaction rolled back.
        connection.commit()

    if engine.dialect.driver == 'psycopg2':
        _watch(engine)


def _watch(engine: sa.Engine) -> None:
    """Limit the answers of PostgreSQL, whose driver has no limit.

    What it calls ``tcp_user_timeout`` is for networks that are gone, and
    not for servers that hang.
    """
    dbapi: Any = engine.dialect.loaded_dbapi
    limit = int(str(engine.url.query['tcp_user_timeout'])) / 1000
    watched = watchdog.watched(dbapi.extensions, WATCHDOG, limit)

    @sa.event.listens_for(engine, 'do_connect')
    def _do_connect(
        dialect: Any, record: Any, arguments: Any, named: dict[str, Any]
    ) -> None:
        named['connection_factory'] = watched
