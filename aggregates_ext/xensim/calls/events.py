"""event.from: what changed since a token (xapi#events)."""

import math
import re
import threading
import typing

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.records import journal
from aggregates_ext.xensim.records import schema
from aggregates_ext.xensim.wire import codec

TOKEN = re.compile(r'([0-9]{1,20}),[0-9]{1,20}')
SUBSCRIPTION = re.compile(r'(\*)|([A-Za-z_]+)(?:/([^/]+))?')

SILENT = frozenset({'session', 'secret'})
"""Classes without events: their references are credentials."""


class Subscription(typing.NamedTuple):
    """One class, or one record of it; no class: everything."""

    kind: str | None
    ref: str | None

    def matches(self, change: journal.Change) -> bool:
        """Whether a change is wanted."""
        return self.kind in (None, change.kind.lower()) and self.ref in (
            None,
            change.ref,
        )


Subscriptions = list[Subscription]


def subscribe(classes: list[str]) -> Subscriptions:
    """Parse "*", a class, or a class and a reference."""
    wanted = []
    for text in classes:
        match = SUBSCRIPTION.fullmatch(text)
        if match is None:
            raise failure.Failure('EVENT_SUBSCRIPTION_PARSE_FAILURE', text)
        kind = match[2].lower() if match[2] else None
        wanted.append(Subscription(kind, match[3]))
    return wanted


def parse(token: str) -> int:
    """The generation which a token stands for; all tokens are ours."""
    if not token:
        return 0
    match = TOKEN.fullmatch(token)
    if match is None:
        raise failure.Failure('EVENT_FROM_TOKEN_PARSE_FAILURE', token)
    return int(match[1])


def token_of(db: database.Database) -> str:
    """The present moment as a token, in its form (xapi#events)."""
    return f'{db.journal.generation:020},{0:020}'


def event_from(
    context: operations.Context,
    classes: list[str],
    token: str,
    timeout: float,
) -> operations.Steps:
    """Answer as soon as there is an event, or when the time is over."""
    assert_has_tables(context, classes)
    since, wanted = parse(token), subscribe(classes)
    db = context.db
    found = yield from until(context, wanted, since, timeout)
    return {
        'events': [_event(db, change) for change in found],
        'valid_ref_counts': {
            kind.lower(): codec.Number(len(db.rows(kind)))
            for kind in sorted(schema.CLASSES)
        },
        'token': token_of(db),
    }


def assert_has_tables(context: operations.Context, classes: list[str]) -> None:
    """A slave has no events, not even for a local session.

    See xapi#slave-answers.
    """
    if context.xapi.is_slave:
        table = next(iter(classes), '*')
        raise failure.Failure('INTERNAL_ERROR', 'missing table', table, '')


def until(
    context: operations.Context,
    wanted: Subscriptions,
    since: int,
    timeout: float,
) -> operations.Steps:
    """Wait for changes; the session may end meanwhile."""
    db, deadline = context.db, context.now + timeout
    wait = operations.Wait(threading.Event(), timeout)
    watch(context, db, wait.event)
    try:
        while not (found := changes(db, wanted, since)):
            wait.seconds = deadline - context.now
            if wait.over or wait.seconds <= 0:
                break
            wait.event.clear()
            yield wait
            assert_alive(context, db)
    finally:
        unwatch(context, db, wait.event)
    return found


def watch(
    context: operations.Context,
    db: database.Database,
    event: threading.Event,
) -> None:
    """Be woken by each change, and by the end of xapi."""
    db.journal.watch(event)
    context.xapi.waiting.add(event)


def unwatch(
    context: operations.Context,
    db: database.Database,
    event: threading.Event,
) -> None:
    """Be woken no more."""
    db.journal.forget(event)
    context.xapi.waiting.discard(event)


def assert_alive(context: operations.Context, db: database.Database) -> None:
    """A session which has ended gets no events any more."""
    local = context.session in context.xapi.local_sessions
    if not local and not db.exists('session', context.session):
        raise failure.Failure('SESSION_INVALID', context.session)


def changes(
    db: database.Database, wanted: Subscriptions, since: int
) -> list[journal.Change]:
    """What is new, newest first (xapi#events)."""
    return [
        change
        for change in db.journal.since(since)
        if change.kind not in SILENT
        and any(subscription.matches(change) for subscription in wanted)
    ]


def _event(db: database.Database, change: journal.Change) -> database.Record:
    """An event as it is told; a record which is gone has no snapshot."""
    event: database.Record = {
        'id': str(change.generation),
        'timestamp': '0.0',
        'class': change.kind.lower(),
        'operation': change.operation,
        'ref': change.ref,
    }
    if change.operation != 'del':
        event['snapshot'] = db.read(change.kind, change.ref)
    return event


def register(context: operations.Context, classes: list[str]) -> str:
    """Begin to collect events for event.next."""
    subscribe(classes)
    now = context.db.journal.generation
    known, since = context.xapi.registered.get(context.session, (set(), now))
    context.xapi.registered[context.session] = known | set(classes), since
    return ''


def unregister(context: operations.Context, classes: list[str]) -> str:
    """Collect no more events of some classes."""
    if context.session in context.xapi.registered:
        known, since = context.xapi.registered[context.session]
        context.xapi.registered[context.session] = known - set(classes), since
    return ''


def event_next(context: operations.Context) -> operations.Steps:
    """Wait for the events which the session registered for."""
    assert_has_tables(context, [])
    registered = context.xapi.registered
    known, since = registered.get(context.session, (set(), 0))
    if not known:
        raise failure.Failure('SESSION_NOT_REGISTERED', context.session)
    db = context.db
    found = yield from until(context, subscribe(list(known)), since, math.inf)
    registered[context.session] = known, db.journal.generation
    return [_event(db, change) for change in found]


def inject(context: operations.Context, kind: str, ref: str) -> str:
    """Touch a record; the answer is the token of that (xapi#events)."""
    db = context.db
    names = {name.lower(): name for name in schema.CLASSES}
    name = names.get(kind.lower(), kind)
    if name not in schema.CLASSES or not db.exists(name, ref):
        raise failure.Failure('HANDLE_INVALID', kind, ref)
    db.journal.changed(name, ref)
    return token_of(db)


def get_current_id(context: operations.Context) -> int:
    """The number of the next event (xapi#events)."""
    return context.db.journal.generation + 1
