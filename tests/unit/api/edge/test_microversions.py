"""Which microversion a request asks for."""

import pytest

from aggregates_ext import exception
from aggregates_ext.api.edge import microversions


@pytest.mark.parametrize(
    ('headers', 'version'),
    [
        ({}, (2, 1)),
        ({'OpenStack-API-Version': 'compute 2.41'}, (2, 41)),
        ({'OpenStack-API-Version': 'compute latest'}, (2, 104)),
        ({'OpenStack-API-Version': 'volume 3.0, compute 2.3'}, (2, 3)),
        ({'OpenStack-API-Version': 'volume 3.0'}, (2, 1)),
        ({'X-OpenStack-Nova-API-Version': '2.41'}, (2, 41)),
        ({'X-OpenStack-Nova-API-Version': 'latest'}, (2, 104)),
    ],
)
def test_version(headers: dict[str, str], version: tuple[int, int]) -> None:
    found = microversions.parse(headers)
    assert found == version
    microversions.check(found)


@pytest.mark.parametrize(
    'text',
    [
        'new',
        '2',
        '2.',
        '.1',
        '2.1.1',
        '2.041',
        '02.1',
        '+2.1',
        '2_0.1',
        '2.-1',
        '2.latest',
        '2.' + '1' * 5000,
        '2.\u0661',
    ],
)
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(exception.Invalid, match='malformed'):
        microversions.parse({'X-OpenStack-Nova-API-Version': text})


@pytest.mark.parametrize('text', ['1.9', '2.0', '2.105', '3.1'])
def test_what_is_not_served_is_refused(text: str) -> None:
    version = microversions.parse({'OpenStack-API-Version': f'compute {text}'})
    with pytest.raises(exception.NotAcceptable, match=f'Version {text} is'):
        microversions.check(version)
