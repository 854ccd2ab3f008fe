"""Microversions of the modern face: what is asked for, what is answered."""

import re
from collections.abc import Mapping

import microversion_parse

from aggregates_ext import exception

SERVICE_TYPE = 'compute'
HEADER = 'OpenStack-API-Version'
NOVA_HEADER = 'X-OpenStack-Nova-API-Version'
MIN = microversion_parse.Version(2, 1)
MAX = microversion_parse.Version(2, 104)
# As Nova reads it; up to so many digits that any of them can be a number.
_FORM = re.compile(r'[1-9][0-9]{0,8}\.(0|[1-9][0-9]{0,8})')


def parse(headers: Mapping[str, str]) -> microversion_parse.Version:
    """The microversion that a request asks for, by either header.

    :raises exception.Invalid: it is no version.
    """
    asked = microversion_parse.get_version(
        dict(headers), SERVICE_TYPE, [NOVA_HEADER]
    )
    if asked is None:
        return MIN
    if asked == 'latest':
        return MAX
    if not _FORM.fullmatch(asked):
        raise exception.Invalid(
            reason=f'Microversion {asked[:40]!a} is malformed: it has the '
            'form 2.N, or is "latest".'
        )
    return microversion_parse.parse_version_string(asked)


def check(version: microversion_parse.Version) -> None:
    """Refuse a version that is not served.

    :raises exception.NotAcceptable: there is no such version here.
    """
    if not MIN <= version <= MAX:
        raise exception.NotAcceptable(
            reason=f'Version {version} is not supported by the API. Minimum '
            f'is {MIN} and maximum is {MAX}.'
        )


def headers(version: microversion_parse.Version) -> list[tuple[str, str]]:
    """What tells the client the version of the answer."""
    return [
        (HEADER, f'{SERVICE_TYPE} {version}'),
        (NOVA_HEADER, str(version)),
        ('Vary', f'{HEADER}, {NOVA_HEADER}'),
    ]
