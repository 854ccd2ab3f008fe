"""The table of claims is whole, true to the tests, and told to readers."""

import ast
import re

import pytest

from tests.functional.xensim import conformance

LEVELS = {
    'unit': conformance.ROOT / 'tests/unit/xensim',
    'functional': conformance.HERE,
    'integration': conformance.ROOT / 'tests/integration',
}

# Numbered rows of doc/source/xapi: none may be left out.
ROWS = {
    'login': [str(number) for number in range(1, 6)],
    'emergency': [
        'HOST_STILL_BOOTING',
        'HOST_HAS_NO_MANAGEMENT_IP',
        'HOST_ITS_OWN_SLAVE',
        'HOST_MASTER_CANNOT_TALK_BACK',
        'HOST_UNKNOWN_TO_MASTER',
        'HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR',
        'HOST_BROKEN',
        'HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED',
        'INTERNAL_ERROR',
    ],
    'join-checks': [
        *['a', 'b', "b'", "b''", 'c', "c'"],
        *[str(number) for number in range(1, 34)],
    ],
    'join-steps': [f'S{number}' for number in range(1, 11)],
    'eject-checks': [
        'rotation',
        'operation',
        'HOST_OFFLINE',
        'CANNOT_CONTACT_HOST',
        'master',
        'HA_IS_ENABLED',
        'NOT_SUPPORTED_DURING_UPGRADE',
        'OPERATION_NOT_ALLOWED',
        'PBD',
        'cluster',
    ],
    'eject-destroys': [
        'host uuid',
        'pool uuid',
        'refs',
        'name_label',
        'root password',
        'TLS verification',
        'licence',
        'local SR',
    ],
    'change-of-master': [
        'designate_new_master',
        'emergency_transition_to_master',
        'emergency_reset_master',
        'recover_slaves',
        'is_slave',
        'sync_database',
    ],
    'pool-operations': ['blocking', 'waiting'],
    'simulated-behaviour': [str(number) for number in range(1, 15)],
}


@pytest.fixture(scope='module')
def sections():
    return conformance.load()


@pytest.mark.parametrize('section', ROWS)
def test_every_row_is_listed(sections, section):
    listed = [claim['row'] for claim in sections[section]]
    assert [row for row in ROWS[section] if row not in listed] == []


def test_all_that_maintenance_needs_is_listed(sections):
    """The document names the rows, and none beside."""
    page = conformance.ROOT / 'doc/source/xapi/simulating.rst'
    _before, text = page.read_text().split('.. _simulated-maintenance:\n')
    text = text.partition('.. list-table:: The least')[0]
    header, *rows = re.findall(r'^   \* - (.+)$', text, re.MULTILINE)
    assert header == 'Row'
    listed = [claim['row'] for claim in sections['simulated-maintenance']]
    assert (len(rows) > 40, listed) == (True, rows)


def test_no_row_is_listed_twice(sections):
    for section, claims in sections.items():
        rows = [claim['row'] for claim in claims]
        assert len(rows) == len(set(rows)), section


def test_a_claim_has_a_test_or_a_reason(sections):
    for section, claims in sections.items():
        for claim in claims:
            rest = claim.keys() - {'row', 'claim'}
            assert rest in ({'test'}, {'no'}), (section, claim['row'])


def test_every_named_test_exists(sections):
    named = {
        claim['test']
        for claims in sections.values()
        for claim in claims
        if 'test' in claim
    }
    assert named - all_tests() == set()


def all_tests():
    """All tests of the simulator, as level/module::name."""
    return {
        f'{level}/{path.relative_to(directory).with_suffix("")}::{node.name}'
        for level, directory in LEVELS.items()
        for path in directory.rglob('test_*.py')
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
    }


def test_the_document_is_in_step(sections):
    told = conformance.DOCUMENT.read_text(encoding='utf-8')
    assert told == conformance.render(sections), (
        'run python -m tests.functional.xensim.conformance'
    )
