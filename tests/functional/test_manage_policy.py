"""``aggregates-ext-manage policy``: what is in force, and what is wrong."""

import json
import pathlib
from collections.abc import Callable

import pytest
import webob

from aggregates_ext import policy
from aggregates_ext.cmd import manage
from tests.functional import api_service

Run = Callable[..., tuple[int, str, str]]
ETC = pathlib.Path(__file__).parents[2] / 'etc' / 'aggregates_ext'
OLD = 'compute_extension:aggregates'
# For everybody.
FREE = {
    policy.ZONES_LIST,
    policy.ACTIONS,
    policy.ACTION,
    policy.SERVERS_INDEX,
    policy.SERVERS_DETAIL,
    policy.SERVERS_SHOW,
}
DECIDED = {
    policy.INDEX,
    policy.CREATE,
    policy.SHOW,
    policy.UPDATE,
    policy.DELETE,
    policy.SET_METADATA,
    policy.ADD_HOST,
    policy.REMOVE_HOST,
}


@pytest.fixture
def run(
    tmp_path: pathlib.Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Run:
    """Runs a command on a policy file, where there is no database."""
    monkeypatch.setattr(manage.logging, 'setup', lambda *args: None)
    config = tmp_path / 'aggregates_ext.conf'
    config.write_text('[database]\nconnection = sqlite:////nowhere/at.all\n')

    def run(text: str | None, *command: str) -> tuple[int, str, str]:
        if text is not None:
            (tmp_path / 'policy.yaml').write_text(text)
        capsys.readouterr()
        code = manage.main(['--config-file', str(config), 'policy', *command])
        return code, *capsys.readouterr()

    return run


def names(out: str) -> set[str]:
    return {line.split('"')[1] for line in out.splitlines()}


def test_no_file_is_right(run: Run) -> None:
    code, out, _err = run(None, 'check')
    assert (code, out) == (0, 'Policy file: there is none; 0 rules.\n')


def test_old_names_are_right_and_told(
    run: Run, tmp_path: pathlib.Path
) -> None:
    text = f'"{OLD}": "role:pooler"\n"{policy.DELETE}": "role:admin"\n'
    code, out, err = run(text, 'check')
    where, former = out.splitlines()
    assert (code, err) == (0, '')
    assert where == f'Policy file: {tmp_path}/policy.yaml; 2 rules.'
    assert former.startswith(f'{OLD} is an old name, for ')
    told = former.removesuffix('.').partition(' for ')[2]
    assert set(told.split(', ')) == DECIDED - {policy.DELETE}


@pytest.mark.parametrize(
    ('text', 'told'),
    [
        ('"os_compute_api:os-aggregates:lisst": "@"', 'lisst, which is unk'),
        (f'"{policy.SHOW}": "rule:nobody"', policy.SHOW),
        (f'"{policy.SHOW}": "rule:{policy.SHOW}"', policy.SHOW),
        (f'"{policy.SHOW}: "@"', 'The policy file is wrong'),
        (f'"{policy.SHOW}": "role:a or"', f'{policy.SHOW} cannot be read'),
        (f'"{policy.SHOW}": "role:a or b"', f'{policy.SHOW} cannot be read'),
        # oslo.policy would let everybody pass.
        (f'"{policy.SHOW}":', f'{policy.SHOW} cannot be read: None'),
        (f'"{policy.SHOW}": {{role: a}}', f'{policy.SHOW} cannot be read'),
        (f'"{policy.SHOW}": 5', 'names of rules to texts'),
        ('1: "@"', '1 cannot be read'),
        ('- role:a', 'names of rules to texts'),
    ],
)
def test_what_is_wrong_is_told(run: Run, text: str, told: str) -> None:
    code, out, _err = run(text, 'check')
    assert (code, told in out) == (1, True), out


@pytest.mark.parametrize(
    'text',
    ['"os_compute_api:servers:show": "@"', f'"{policy.SHOW}": "!"', ''],
)
def test_what_is_right(run: Run, text: str) -> None:
    assert run(text, 'check')[0] == 0


@pytest.mark.parametrize('command', [['list'], ['show', policy.SHOW]])
def test_a_wrong_file_has_no_rules_in_force(
    run: Run, command: list[str]
) -> None:
    code, out, err = run(f'"{policy.SHOW}": "role:a or"', *command)
    assert (code, out) == (1, '')
    assert 'cannot be read' in err


def test_rules_in_force_are_a_policy_file(run: Run) -> None:
    text = f'"{OLD}": "rule:poolers"\n"poolers": [["role:a"], ["role:b"]]\n'
    code, out, _err = run(text, 'list')
    assert code == 0
    assert f'"{policy.SHOW}": "rule:poolers"\n' in out
    assert '"poolers": "(role:a or role:b)"\n' in out
    known = {rule.name for rule in policy.list_rules()}
    assert names(out) == {*known, OLD, 'poolers'}
    assert run(out, 'check')[0] == 0
    assert run(None, 'list')[1] == out


def test_rules_that_let_a_role_pass(run: Run) -> None:
    text = f'"{OLD}": "role:a and role:b"'
    assert names(run(text, 'list', '--role', 'a')[1]) == FREE
    both = run(None, 'list', '--role', 'a', '--role', 'b')[1]
    assert names(both) == {*DECIDED, *FREE}


def test_a_role_passes_where_the_api_lets_it(
    run: Run, tmp_path: pathlib.Path
) -> None:
    """One rule of an old name, and one by its default, asked both ways."""
    out = run(f'"{OLD}": "role:pooler"', 'list', '--role', 'pooler')[1]
    application, database = api_service.make(
        tmp_path / 'db.sqlite', policy_file=str(tmp_path / 'policy.yaml')
    )

    def ask(path: str) -> int:
        request = webob.Request.blank(path)
        request.headers['X-Auth-Token'] = 'user:abc:pooler'
        return request.get_response(application).status_int

    with pytest.warns(UserWarning, match=OLD):
        answers = {policy.INDEX: ask('/v2.1/os-aggregates')}
    answers[policy.HOSTS_LIST] = ask('/v2.1/os-hosts')
    database.dispose()
    passes = {rule for rule, status in answers.items() if status == 200}
    assert passes == {policy.INDEX} == names(out) & set(answers)


@pytest.mark.parametrize(
    ('text', 'decides', 'check'),
    [
        ('', 'default', policy.ADMIN),
        (f'"{OLD}": "role:a"', OLD, 'role:a'),
        (f'"{policy.SHOW}": "role:b"', policy.SHOW, 'role:b'),
        (f'"{OLD}": "role:a"\n"{policy.SHOW}": "role:b"', policy.SHOW,
         'role:b'),
    ],
)  # fmt: skip
def test_a_rule_tells_what_decides(
    run: Run, text: str, decides: str, check: str
) -> None:
    code, out, _err = run(text, 'show', policy.SHOW)
    assert code == 0
    assert json.loads(out) == {
        'rule': policy.SHOW,
        'description': 'Show an aggregate.',
        'operations': [
            {'method': 'GET', 'path': '/os-aggregates/{aggregate_id}'}
        ],
        'default': policy.ADMIN,
        'check': check,
        'decided_by': decides,
    }


def test_a_rule_that_does_not_exist(run: Run) -> None:
    code, _out, err = run('', 'show', OLD)
    assert code == 1
    assert f'no rule {OLD}' in err


@pytest.mark.filterwarnings('ignore::DeprecationWarning')
def test_sample_is_the_one_that_is_installed(run: Run) -> None:
    code, out, _err = run(None, 'sample')
    assert code == 0
    assert out == (ETC / 'policy.yaml.sample').read_text()
