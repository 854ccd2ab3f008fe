"""What a join throws away of the host's own pool.

See xapi#pool-record and xapi#join-copies.
"""

from collections.abc import Iterator

from aggregates_ext.compute.rules import preflight
from aggregates_ext.compute.rules.joining import kinds
from aggregates_ext.compute.rules.joining import sides
from aggregates_ext.compute.xen import fields
from aggregates_ext.compute.xen import text

# Keys of other_config that say nothing an operator has put there.
ORDINARY_KEYS = frozenset({'memory-ratio-hvm', 'memory-ratio-pv'})
ORDINARY_DESCRIPTION = 'Default install'


def _of_the_pool(side: sides.Side) -> Iterator[str]:
    pool = side.pool
    for field in ('name_label', 'name_description'):
        if pool[field]:
            yield f'{field} "{pool[field]}" of its pool'
    for field in ('default_SR', 'suspend_image_SR', 'crash_dump_SR'):
        if pool[field] != preflight.NULL:
            sr = side.get('SR', pool[field])
            if sr:
                yield f'{field} {kinds.named(sr)}'
    yield from (f'tag {tag} of its pool' for tag in pool['tags'])
    for key in sorted(set(pool['other_config']) - ORDINARY_KEYS):
        yield f'other_config:{key} of its pool'


def _of_the_host(side: sides.Side) -> Iterator[str]:
    host = side.master
    if host['name_description'] not in ('', ORDINARY_DESCRIPTION):
        yield f'name_description "{host["name_description"]}"'
    yield from (f'tag {tag}' for tag in host['tags'])
    for subject in side.all('subject'):
        name = subject['other_config'].get(
            'subject-name', fields.shown(subject, 'uuid')
        )
        yield f'the roles of {name}'


JOIN_LOSES = kinds.Rule(
    'LOST_BY_THE_JOIN',
    'what belongs to the pool of the joining host does not go with it',
    'Note what is needed, and set it again after the join.',
    lambda facts: text.listed(
        [*_of_the_pool(facts.joiner), *_of_the_host(facts.joiner)]
    ),
)
