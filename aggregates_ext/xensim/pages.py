"""What is fetched from a master by HTTP GET: the list of updates.

See xapi#updates.
"""

import json
import typing
import urllib.parse

from aggregates_ext.xensim.calls import operations
from aggregates_ext.xensim.exclusion import pool as pool_exclusion
from aggregates_ext.xensim.hosts import updates
from aggregates_ext.xensim.plan import versions
from aggregates_ext.xensim.records import database
from aggregates_ext.xensim.records import failure
from aggregates_ext.xensim.wire import server
from aggregates_ext.xensim.world import host as hosts
from aggregates_ext.xensim.world import packages
from aggregates_ext.xensim.world import world as worlds

UPDATES = '/updates'
JSON = 'application/json'

Found = dict[str, typing.Any]


def fetch(
    world: worlds.World, host: hosts.Host, target: str
) -> server.Page | None:
    """The answer to a GET; None: nothing is there.

    :param target: the path, with its query
    """
    path, _, text = target.partition('?')
    with world.lock:
        xapi = host.xapi
        if xapi is None:
            raise failure.ConnectionLost
        known = versions.knows(host.spec.version, 'Repository.get_all')
        if path != UPDATES or xapi.is_slave or not known:
            return None
        query = dict(urllib.parse.parse_qsl(text))
        session = query.get('session_id', '')
        context = operations.Context(
            world, host, xapi, f'GET {UPDATES}', session
        )
        if refusal := _refusal(context):
            return refusal
        refs = _asked(context.db, query.get('host_refs'))
    if not refs:
        return server.Page(400)
    try:
        body = operations.run(world, xapi, _updates(context, refs))
    except failure.Failure as exc:
        missing = exc.code == 'NO_REPOSITORY_ENABLED'
        return server.Page(404 if missing else 500)
    return server.Page(200, JSON, json.dumps(body).encode())


def _refusal(context: operations.Context) -> server.Page | None:
    db, session = context.db, context.session
    if not db.exists('session', session):
        return server.Page(401)
    reads_only = not db.row('session', session)['is_local_superuser']
    return server.Page(403) if reads_only else None


def _asked(db: database.Database, refs: str | None) -> list[str]:
    """The hosts which are asked for; none, if one of them is unknown."""
    every = [ref for ref, _ in db.rows('host')]
    asked = every if refs is None else refs.split(';')
    return asked if set(asked) <= set(every) else []


def _updates(context: operations.Context, refs: list[str]) -> operations.Steps:
    db, world = context.db, context.world
    task = yield from pool_exclusion.occupy(db, world.times, 'get_updates')
    try:
        repository = updates.repository(db)
        yield world.times.get_updates
        found: dict[str, worlds.Release] = {}
        told = []
        for ref in refs:
            host = world.by_uuid(db.row('host', ref)['uuid'])
            lacks = updates.missing(world, db, host) if host else []
            found |= {one.name: one for one in lacks}
            told.append(_host(ref, lacks))
    finally:
        pool_exclusion.release(db, task)
    return {
        'hosts': told,
        'updates': [_update(one) for one in found.values()],
        'hash': db.row('Repository', repository)['hash'],
    }


def _host(ref: str, lacks: list[worlds.Release]) -> Found:
    patched = packages.is_patched(lacks)
    return {
        'ref': ref,
        'guidance': _guidance(packages.reduced(lacks)),
        'RPMS': [f'{name}.rpm' for one in lacks for name in one.packages],
        'updates': [one.name for one in lacks],
        'livepatches': [updates.LIVEPATCH] if patched else [],
    }


def _update(release: worlds.Release) -> Found:
    patched = packages.LIVEPATCH in release.guidance
    issued = database.date(release.issued)
    return {
        'id': release.name,
        'summary': f'Update {release.name}',
        'description': ' '.join(release.packages),
        'special-info': '',
        'URL': '',
        'type': 'enhancement',
        'issued': issued.strftime('%Y-%m-%dT%H:%M:%SZ'),
        'severity': 'None',
        'livepatches': [updates.LIVEPATCH] if patched else [],
        'guidance': _guidance(release.guidance),
        'title': release.name,
    }


def _guidance(asked: dict[str, list[str]]) -> dict[str, list[str]]:
    return {
        kind: [packages.GUIDANCES[one] for one in words]
        for kind, words in asked.items()
    }
