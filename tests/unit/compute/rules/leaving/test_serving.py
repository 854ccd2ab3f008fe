"""When a server of storage is the host that leaves (xapi#storage-members)."""

import pytest

from aggregates_ext.compute.rules.leaving import serving


@pytest.mark.parametrize(
    ('server', 'name', 'same'),
    [
        ('xen2', 'xen2', True),
        ('xen2', 'xen2.example.org', True),
        ('xen2.example.org', 'xen2', True),
        ('xen2.example.org', 'xen2.example.com', False),
        ('xen22', 'xen2', False),
        ('xen22', 'xen2.example.org', False),
        ('10.0.0.1', '10.0.0.12', False),
    ],
)
def test_a_name_may_lack_its_domain(
    server: str, name: str, same: bool
) -> None:
    assert serving.same(server, {'other', name}) == same
    assert list(serving.among({'sr': {server}}, {name})) == (
        [('sr', server)] if same else []
    )
    assert list(serving.among({'sr': {server}}, set())) == []


def test_what_has_no_name_is_called_nothing() -> None:
    """An SR whose server is not named either is not served by it."""
    host = {'address': '10.0.0.2', 'hostname': ''}
    records = {
        'host': {'this': host},
        'PIF': {'pif': {'host': 'this', 'IP': '', 'IPv6': ['']}},
        'VM_guest_metrics': {'m': {'networks': {'0/ip': '', '1/ip': '::2'}}},
    }
    assert serving.names_of_host(records, 'this') == {'10.0.0.2'}
    guest = {'guest_metrics': 'm'}
    assert serving.names_of_guest(records, guest) == {'::2'}
