"""A pool of three hosts, seen through a session of its master."""

OPTIONS = {'live': 'true'}
NULL = 'OpaqueRef:NULL'


def described(**times):
    """xen1, xen2 and xen3 with shared storage, as xen-api 26.17."""
    names = ['xen1', 'xen2', 'xen3']
    return {
        'hosts': [{'name': name, 'version': 'xapi-26'} for name in names],
        'pools': [
            {
                'hosts': names,
                'srs': [{'name': 'nfs', 'vdis': [{'name': 'root'}]}],
            }
        ],
        'times': times,
    }


class Pool:
    """A pool seen through a session of its master."""

    def __init__(self, sim, clk, clients):
        self.sim, self.clk, self.clients = sim, clk, clients
        self.session = clients.ref('xen1')
        self._proxy = clients.session('xen1')
        self.hosts = {
            name: self('host.get_by_uuid', sim.host(name).uuid)
            for name in sim.world.hosts
        }

    def __call__(self, method, *params):
        """A call, through one connection as long as it holds."""
        answer = getattr(self._proxy, method)(self.session, *params)
        if answer['Status'] == 'Success':
            return answer['Value']
        return ['ERR', *answer['ErrorDescription']]

    def login(self):
        """A session that is new, for after a restart of the master."""
        self.session = self.clients.ref('xen1')

    def vm(self, host, name, **more):
        uuid = self.sim.add_vm(host, name, **more)
        return self('VM.get_by_uuid', uuid)

    def move(self, vm, target, method='Async.VM.pool_migrate'):
        return self(method, vm, self.hosts[target], OPTIONS)

    def home(self, vm):
        ref = self('VM.get_resident_on', vm)
        names = {ref: name for name, ref in self.hosts.items()}
        return names.get(ref)

    def places(self, vm):
        return self.sim.places(self('VM.get_uuid', vm))

    def free(self, name):
        return int(self('host.compute_free_memory', self.hosts[name]))

    def prevented(self, name):
        ref = self.hosts[name]
        return self('host.get_vms_which_prevent_evacuation', ref)

    def host(self, name):
        return self('host.get_record', self.hosts[name])

    def operations(self, name):
        return sorted(self.host(name)['current_operations'].values())

    def doing(self, vm):
        return sorted(self('VM.get_current_operations', vm).values())

    def ended(self, task):
        """Status and error of a task, or the failure to read it."""
        record = self('task.get_record', task)
        if isinstance(record, list):
            return record[1]
        return record['status'], record['error_info']


def add_guests(pool, host, count, **more):
    """Guests of one kind."""
    return [
        pool.vm(host, f'{host}-v{number}', **more) for number in range(count)
    ]
