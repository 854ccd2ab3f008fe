"""Which modules are changed, and which tests are asked."""

import pathlib
import re

ROOT = pathlib.Path(__file__).parents[2]
COMPUTE = 'aggregates_ext/compute'
# In the order in which they are changed: first what can do most harm.
HEART = (
    f'{COMPUTE}/operations/eject.py',
    f'{COMPUTE}/operations/departures.py',
    f'{COMPUTE}/operations/join.py',
    f'{COMPUTE}/operations/halfjoin.py',
    f'{COMPUTE}/mastership/handover.py',
    f'{COMPUTE}/mastership/designate.py',
    f'{COMPUTE}/mastership/designations.py',
    'aggregates_ext/db/leases.py',
    f'{COMPUTE}/run/run.py',
    f'{COMPUTE}/run/lease.py',
    f'{COMPUTE}/run/outcomes.py',
    f'{COMPUTE}/moving/repairing.py',
    f'{COMPUTE}/moving/starting.py',
    f'{COMPUTE}/moving/verdicts.py',
    'aggregates_ext/db/moves.py',
    f'{COMPUTE}/rules/leaving/guard.py',
    f'{COMPUTE}/rules/leaving/localstorage.py',
    f'{COMPUTE}/rules/leaving/remains.py',
    f'{COMPUTE}/rules/leaving/places.py',
    f'{COMPUTE}/operations/pool.py',
    f'{COMPUTE}/operations/forget.py',
    f'{COMPUTE}/operations/verdicts.py',
    f'{COMPUTE}/manager.py',
    f'{COMPUTE}/runner.py',
)
# Where more of them are, in this order.
ROOMS = (
    f'{COMPUTE}/operations',
    f'{COMPUTE}/mastership',
    f'{COMPUTE}/run',
    f'{COMPUTE}/moving',
    f'{COMPUTE}/maintenance',
    f'{COMPUTE}/rules/leaving',
    f'{COMPUTE}/rules/joining',
    f'{COMPUTE}/rules',
    f'{COMPUTE}/rules/evacuating',
)
# Tests that may reach them. None of these is of the simulator, the model, the
# documents or the API alone.
TESTS = ('tests/unit/compute', 'tests/functional')
NOT = re.compile(
    r'tests/functional/(xensim/|db/test_(migration|schemas|crashes|plans|wal)'
    r'|test_model'
    r'|test_gabbits|test_memory|test_xml_fuzz|test_statements|test_many'
    r'|test_wire|test_mutants|test_sockets|test_manage_policy|test_policy)'
)
OTHER_DATABASE = re.compile(r'\[(.*-)?(mariadb|postgresql)(-.*)?\]')


def every() -> list[str]:
    """All modules that are changed."""
    names = list(HEART)
    for room in ROOMS:
        for path in sorted((ROOT / room).glob('*.py')):
            name = str(path.relative_to(ROOT))
            if name not in names and path.stat().st_size:
                names.append(name)
    return names


def watched() -> list[str]:
    """Those of which is written down what reaches them."""
    return every()


def tests() -> list[str]:
    """The files of tests."""
    found = []
    for place in TESTS:
        for path in sorted((ROOT / place).rglob('test_*.py')):
            name = str(path.relative_to(ROOT))
            if not NOT.match(name):
                found.append(name)
    return found


def is_elsewhere(nodeid: str) -> bool:
    """Whether a test is of another database than SQLite."""
    return bool(OTHER_DATABASE.search(nodeid))
