"""Microversions of the modern face: what is asked for, what is answered."""

import functools
import re
from collections.abc import Mapping
from typing import Any

import microversion_parse

from aggregates_ext import exception
from aggregates_ext.api.edge import remembered

SERVICE_TYPE = 'compute'
HEADER = 'OpenStack-API-Version'
NOVA_HEADER = 'X-OpenStack-Nova-API-Version'
MIN = microversion_parse.Version(2, 1)
MAX = microversion_parse.Version(2, 104)
# As Nova reads it; up to so many digits that any of them can be a number.
_FORM = re.compile(r'[1-9][0-9]{0,8}\.(0|[1-9][0-9]{0,8})')


def of(environ: Mapping[str, Any]) -> microversion_parse.Version:
    """The microversion that a request asks for, by either header.

    :raises exception.Invalid: it is no version.
    """
    new = environ.get('HTTP_OPENSTACK_API_VERSION')
    old = environ.get('HTTP_X_OPENSTACK_NOVA_API_VERSION')
    if new is None and old is None:
        return MIN
    return _of(new, old)


@remembered.remembered
def _of(new: str | None, old: str | None) -> microversion_parse.Version:
    headers = {HEADER: new, NOVA_HEADER: old}
    return parse({k: v for k, v in headers.items() if v is not None})


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


@functools.lru_cache(maxsize=256)
def headers(
    version: microversion_parse.Version,
) -> tuple[tuple[str, str], ...]:
    """What tells the client the version of the answer."""
    return (
        (HEADER, f'{SERVICE_TYPE} {version}'),
        (NOVA_HEADER, str(version)),
        ('Vary', f'{HEADER}, {NOVA_HEADER}'),
    )
