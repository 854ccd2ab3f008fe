"""What counts as on the disks of a host that leaves (xapi#eject-destroys)."""

from typing import Any

import pytest

from aggregates_ext.compute.rules.leaving import localstorage
from aggregates_ext.compute.xen import text

IMAGES_HERE = {'location': '/opt/iso', 'legacy_mode': 'true'}
IMAGES_ON_SERVER = {'location': 'nas:/isos', 'type': 'nfs_iso'}


def pbd(host: str, plugged: bool = True, **config: str) -> dict[str, Any]:
    return {
        'host': host,
        'SR': 'data',
        'device_config': config,
        'currently_attached': plugged,
    }


def read(
    kind: str, *pbds: dict[str, Any], shared: bool = False
) -> dict[str, dict[str, dict[str, Any]]]:
    """The records of a pool of two hosts with one SR, and one disk in it."""
    sr = {'uuid': 'sr', 'type': kind, 'shared': shared, 'other_config': {}}
    vdi = {
        'uuid': 'disk',
        'name_label': 'customer',
        'SR': 'data',
        'missing': False,
        'virtual_size': 1,
        'physical_utilisation': 1,
    }
    return {
        'host': {'this': {}, 'other': {}},
        'SR': {'data': sr},
        'PBD': {str(number): each for number, each in enumerate(pbds)},
        'VDI': {'disk': vdi},
        'VBD': {},
        'VM': {},
    }


# Of this host and of the other one: whether its PBD is plugged, None: it has
# none. Then whether the SR is flagged as shared, and whether it is lost.
LYING = [
    ('ext', True, None, False, True),
    ('ext', False, None, True, True),
    ('ext', True, True, True, True),
    ('ext', False, True, False, False),
    ('ext', None, True, False, False),
    ('ext', None, False, False, False),
    ('lvmohba', True, True, False, False),
    ('lvmohba', True, False, True, True),
    ('lvmohba', None, False, False, False),
    ('vendor', True, True, True, False),
    ('vendor', True, True, False, True),
    ('vendor', True, False, True, True),
    ('vendor', None, False, False, False),
    ('nfs', True, None, False, False),
    ('udev', True, None, False, False),
]


@pytest.mark.parametrize(('kind', 'own', 'other', 'shared', 'lost'), LYING)
def test_an_sr_is_lost_with_its_host(
    kind: str, own: bool | None, other: bool | None, shared: bool, lost: bool
) -> None:
    plugged = {'this': own, 'other': other}
    pbds = [pbd(host, is_) for host, is_ in plugged.items() if is_ is not None]
    records = read(kind, *pbds, shared=shared)
    assert bool(localstorage.lying(records, 'this')) == lost


@pytest.mark.parametrize(
    ('own', 'other', 'lost'),
    [
        (IMAGES_HERE, IMAGES_ON_SERVER, True),
        (IMAGES_ON_SERVER, IMAGES_HERE, False),
    ],
)
def test_each_host_reaches_an_sr_in_its_own_way(
    own: dict[str, str], other: dict[str, str], lost: bool
) -> None:
    """Where it is for this one, its own PBD tells, and no other."""
    records = read('iso', pbd('this', **own), pbd('other', **other))
    assert bool(localstorage.lying(records, 'this')) == lost


def test_the_pbd_of_a_host_that_is_gone_tells_where_an_sr_is() -> None:
    images = pbd('gone', **IMAGES_ON_SERVER)
    assert not localstorage.unplaced(read('iso', images))
    assert localstorage.unplaced(read('iso', pbd('gone', **IMAGES_HERE)))
    assert localstorage.unplaced(read('iso'))


@pytest.mark.parametrize(
    ('kind', 'forgotten'), [('nfs', True), ('udev', False), ('ext', False)]
)
def test_what_is_nowhere_cannot_be_forgotten(
    kind: str, forgotten: bool
) -> None:
    """A drive is no storage, and what is lost does not survive."""
    records = read(kind, pbd('this'))
    assert bool(localstorage.forgotten(records, 'this')) == forgotten


def test_what_a_machine_without_a_record_uses_is_a_disk_all_the_same() -> None:
    records = read('ext', pbd('this'))
    records['VBD'] = {'vbd': {'VDI': 'disk', 'VM': 'gone'}}
    lost = localstorage.lying(records, 'this')
    disks = localstorage.disks_in(records, lost)
    assert [disk['used_by'] for disk in disks['sr']] == [[]]


def described(srs: int, disks: int) -> str:
    disk = {'name': 'd', 'uuid': 'u', 'size': 0, 'used_by': []}
    found = {f'sr{number}': [disk] * disks for number in range(srs)}
    return localstorage.describe_disks(found, {'sr0': 'data'})


def test_disks_are_told_by_storage_and_not_without_end() -> None:
    assert described(1, text.ITEMS).count('"d"') == text.ITEMS
    assert described(2, 1).count('; SR "') == 1
    assert described(1, 1).startswith('SR "data" (sr0) holds "d"')
    # However many SRs: one disk of each of those that are told of.
    assert described(text.ITEMS + 1, 3).count('"d"') == text.ITEMS
