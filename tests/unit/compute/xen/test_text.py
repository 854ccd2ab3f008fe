"""Text of hosts is harmless: printable, bounded, without secrets, quoted."""

import shlex
import unicodedata

import pytest

from aggregates_ext.compute.observation import drift
from aggregates_ext.compute.observation import views
from aggregates_ext.compute.xen import codes
from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import text

SECRET = 'pa"ss&w<o>rd \u00e9/1%'
EVIL = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    '\u2028',
    '\u2029',
    '\u202e',
    '\u2066',
    '\u2069',
    '\u200e',
    '\u200b',
    '\u061c',
    '\ufeff',
    '\ufffe',
    '\ud800',
    '\U000e0041',
    '\ue000',
]


@pytest.mark.parametrize('evil', EVIL)
def test_what_ends_lines_or_hides_text_is_written_out(evil: str) -> None:
    cleaned = text.clean(f'a{evil}b')
    assert evil not in cleaned
    assert cleaned.isprintable()
    assert len(cleaned.splitlines()) == 1
    assert cleaned.startswith('a')
    assert cleaned.endswith('b')
    cleaned.encode()


@pytest.mark.parametrize('kind', ['gr\u00fcn', '\u65e5\u672c', '\U0001f600 x'])
def test_text_that_can_be_printed_stays(kind: str) -> None:
    assert text.clean(kind) == kind


@pytest.mark.parametrize('limit', [0, 1, 2, 3, 10, 1000])
@pytest.mark.parametrize('piece', ['a', '\n', '\x9b', '\u202e', '\U000e0041'])
def test_text_is_never_longer_than_its_limit(limit: int, piece: str) -> None:
    cleaned = text.clean(piece * 1_000_000, limit)
    assert len(cleaned) <= limit
    assert cleaned.isprintable()
    assert len(text.clean('a' * limit, limit)) == limit


@pytest.mark.parametrize(
    'spelled',
    [
        SECRET,
        'pa\\"ss&w<o>rd \\u00e9/1%',
        'pa\\"ss&w<o>rd \u00e9/1%',
        'pa"ss&amp;w&lt;o&gt;rd \u00e9/1%',
        'pa&quot;ss&amp;w&lt;o&gt;rd \u00e9/1%',
        'pa%22ss%26w%3Co%3Erd%20%C3%A9%2F1%25',
        'pa%22ss%26w%3Co%3Erd+%C3%A9%2F1%25',
    ],
)
def test_secret_is_found_however_it_is_spelled(spelled: str) -> None:
    for before in ('', 'x', 'y' * 995):
        told = text.safe(f'{before}{spelled} z', [SECRET])
        assert spelled not in told
        assert 'ss' not in told


def test_cleaning_makes_no_secret() -> None:
    assert text.safe('a\nb', ['a b']) == text.REDACTED


@pytest.mark.parametrize('code', sorted({*codes.PASSING, *codes.FINAL}))
def test_code_that_is_known_is_no_secret(code: str) -> None:
    secrets = ['HOST', 'POOL', 'E', code]
    assert text.read_failure([code], secrets).code == code


@pytest.mark.parametrize(
    'code',
    [SECRET, '', 'not a code', 'A' * 200, 'HOST\nFORGED', 'host', 'A\u202eB'],
)
def test_code_that_is_none_is_told_as_text(code: str) -> None:
    found = text.read_failure([code, 'more'], [SECRET])
    assert found.code == text.NOT_A_CODE
    assert found.parameters[1:] == ('more',)
    assert SECRET not in found.parameters[0]
    assert found.parameters[0].isprintable()
    assert not codes.passes(*found)


def test_code_of_another_release_stays() -> None:
    assert text.read_failure(['SOMETHING_NEW', 'x'], [SECRET]) == (
        'SOMETHING_NEW',
        ('x',),
    )


@pytest.mark.parametrize('details', ['word', None, 5, [[1], {}], []])
def test_what_is_no_list_of_texts_is_no_bug(details: object) -> None:
    found = text.read_failure(details, [SECRET])
    assert found.code == text.NOT_A_CODE


def test_failure_of_a_megabyte_is_a_message_of_a_few_lines() -> None:
    huge = 'x' * 1_000_000
    for code in ('HOST_IS_SLAVE', 'INTERNAL_ERROR', huge):
        found = text.read_failure([code, *[huge] * 500], [SECRET])
        assert len(found.parameters) <= text.PARAMETERS
        assert all(len(told) <= text.LIMIT for told in found.parameters)
        exc = failures.XenAPIError('xen1', *found)
        assert len(str(exc)) <= text.MESSAGE_LIMIT


@pytest.mark.parametrize(
    'name', ['$(reboot)', '`id`', "a'; rm -rf /", '"x"', 'a b', '-v', '\n', '']
)
def test_command_has_each_word_as_one(name: str) -> None:
    told = text.command('aggregates-ext-manage', 'host', 'add', name)
    words = shlex.split(told.strip('"') if told[0] == '"' else told)
    assert words == ['aggregates-ext-manage', 'host', 'add', text.clean(name)]
    if shlex.quote(name) != name:
        # Between quotation marks a shell would look for its signs.
        assert not told.startswith('"')


def test_host_that_is_not_registered_gets_a_quoted_command() -> None:
    seen = views.HostView(
        ref='r',
        uuid='u',
        name_label='$(reboot)',
        address='10.0.0.1;id',
        enabled=True,
        live=True,
        agent_start_time=0.0,
    )
    assert drift.register(seen) == (
        "aggregates-ext-manage host add '$(reboot)' --url "
        "'https://10.0.0.1;id'"
    )


def test_evil_signs_are_those_that_are_not_printable() -> None:
    assert {unicodedata.category(evil)[0] for evil in EVIL} == {'C', 'Z'}


def test_secret_that_is_part_of_another_leaves_nothing_of_it() -> None:
    words = text.Words(['sent', 'sentinel-2'])
    assert words.tell('sent sentinel-2 sentinel') == '*** *** ***inel'
