"""What drivers say of where their data is (xapi#storage-drivers)."""

import pytest

from aggregates_ext.compute.rules.leaving import places

Place = places.Place

IMAGES = [
    ({'location': 'nfs1:/isos'}, Place.SERVER),
    ({'location': '[2001:db8::1]:/isos'}, Place.SERVER),
    ({'location': '//smb1/isos'}, Place.SERVER),
    ({'location': '\\\\smb1\\isos', 'type': 'cifs'}, Place.SERVER),
    ({'location': 'nfs1:isos', 'type': 'nfs_iso'}, Place.SERVER),
    # The key alone decides, whatever the path looks like.
    ({'location': 'nfs1:/isos', 'legacy_mode': 'true'}, Place.HOST),
    ({'location': '//smb1/isos', 'legacy_mode': 'false'}, Place.HOST),
    ({'location': '/mnt/nfs1:/isos', 'legacy_mode': ''}, Place.HOST),
    # All else is handed to mount.
    ({'location': '/opt/iso'}, Place.HOST),
    ({'location': '/dev/sdb1', 'options': '-o ro'}, Place.HOST),
    ({'location': '/dev/disk/by-path/pci-0:0'}, Place.HOST),
    ({'location': '/mnt/a:/b'}, Place.HOST),
    ({'location': ''}, Place.HOST),
    ({}, Place.HOST),
]


@pytest.mark.parametrize(('config', 'place'), IMAGES)
def test_images_are_where_the_driver_mounts_them_from(
    config: dict[str, str], place: Place
) -> None:
    assert places.place_of({'type': 'iso'}, [config]) is place


def test_images_that_one_host_has_itself_are_on_hosts() -> None:
    remote = {'location': 'nfs1:/isos'}
    assert places.place_of({'type': 'iso'}, []) is Place.HOST
    mixed = [remote, {'location': '/isos', 'legacy_mode': 'true'}]
    assert places.place_of({'type': 'iso'}, mixed) is Place.HOST


@pytest.mark.parametrize(
    ('kind', 'place'),
    [
        ('ext', Place.HOST),
        ('EXT', Place.HOST),
        ('file', Place.HOST),
        ('lvmohba', Place.ADAPTER),
        ('nfs', Place.SERVER),
        ('linstor', Place.MEMBERS),
        ('glusterfs', Place.CLUSTER),
        ('udev', Place.NOWHERE),
        ('vendor', Place.UNKNOWN),
        ('', Place.UNKNOWN),
    ],
)
def test_the_type_decides_and_no_path(kind: str, place: Place) -> None:
    configs = [{'device': '/dev/disk/by-id/scsi-36001405'}, {}]
    assert places.place_of({'type': kind}, configs) is place


@pytest.mark.parametrize(
    ('config', 'found'),
    [
        ({'server': '10.0.0.12', 'serverpath': '/a:b'}, {'10.0.0.12'}),
        ({'server': 'NFS.example.org.'}, {'nfs.example.org'}),
        ({'server': '2001:DB8:0::5'}, {'2001:db8::5'}),
        ({'server': '//smb1/vol'}, {'smb1'}),
        ({'server': '\\\\smb1\\vol'}, {'smb1'}),
        ({'server': '10.0.0.12:/gv0'}, {'10.0.0.12'}),
        (
            {'server': 'a:/gv0', 'backupservers': '10.0.0.13:b'},
            {'a', '10.0.0.13', 'b'},
        ),
        ({'server': '10.0.0.12,10.0.0.13'}, {'10.0.0.12', '10.0.0.13'}),
        ({'target': '10.0.0.12', 'SCSIid': '36'}, {'10.0.0.12'}),
        ({'target': '10.0.0.12:3260'}, {'10.0.0.12'}),
        ({'masterhost': 'mfs', 'rootpath': '/'}, {'mfs'}),
        ({'location': '[2001:db8::1]:/isos'}, {'2001:db8::1'}),
        ({'location': '/opt/iso'}, set()),
        ({'location': 'a:/b', 'legacy_mode': 'true'}, set()),
        ({'device': '/dev/sda3'}, set()),
        ({'server': '127.0.0.1'}, {'localhost'}),
        ({'server': '::1'}, {'localhost'}),
        ({'server': 'localhost.localdomain'}, {'localhost'}),
        ({}, set()),
    ],
)
def test_servers_are_read_as_drivers_read_them(
    config: dict[str, str], found: set[str]
) -> None:
    assert places.servers(config) == found


def test_all_portals_of_a_target_count() -> None:
    config = {'target': '10.0.0.1', 'multiSession': '10.0.0.2,3260,iqn.x:y|'}
    assert {'10.0.0.1', '10.0.0.2'} <= places.servers(config)


@pytest.mark.parametrize(
    ('config', 'found'),
    [
        ({'backupservers': 'a:b'}, {'a', 'b'}),
        ({'backupservers': '[2001:DB8::1]'}, {'2001:db8::1'}),
        ({'server': 'nas:/vms'}, {'nas'}),
        ({'server': '2001:db8::1'}, {'2001:db8::1'}),
    ],
)
def test_servers_are_named_in_more_ways_than_one(
    config: dict[str, str], found: set[str]
) -> None:
    assert places.servers(config) == found
