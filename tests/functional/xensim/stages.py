"""Where the stories of transcripts are played, and what is watched."""

from tests.functional.xensim import conftest
from tests.functional.xensim import transcripts

LOGIN = (conftest.MASTER, 'root', 'secret')


class Stage:
    """xen1 and xen2 with what a story knows by name."""

    def __init__(self, clients, clk):
        self.clients, self.clk = clients, clk
        self.refs = {'@bogus': 'OpaqueRef:bogus', '@null': 'OpaqueRef:NULL'}
        self.master = clients.ref('xen1')

    def prepare(self, story):
        """Give names to what the story is about."""
        call, refs = self.clients.call, self.refs
        (refs['@pool'],) = call('xen1', 'pool.get_all', self.master)
        (refs['@master'],) = self.named('xen1')
        if story in ('join', 'half join'):
            refs['@old'] = self.clients.ref('xen2')
            return
        refs['@old'] = self.clients.ref('xen1')
        local = call('xen2', transcripts.LOCAL_LOGIN, 'root', 'secret')
        refs['@local'] = local
        (refs['@host'],) = self.named('xen2')
        record = call('xen1', 'host.get_record', self.master, refs['@host'])
        refs['@dom0'] = record['control_domain']
        refs['@metrics'] = record['metrics']
        (refs['@pif'],) = record['PIFs']

    def named(self, name):
        records = self.read('host')
        return [r for r in records if records[r]['name_label'] == name]

    def read(self, kind):
        """All records of a class as the master has them."""
        return self.clients.call(
            'xen1', f'{kind}.get_all_records', self.master
        )

    def look(self):
        """Whether the master is enabled, and how many slaves are."""
        try:
            self.master = self.clients.ref('xen1')
        except ConnectionError as exc:
            return type(exc).__name__
        hosts = self.read('host').values()
        enabled = {host['name_label']: host['enabled'] for host in hosts}
        return [enabled.pop('xen1'), sum(enabled.values())]

    def call(self, host, method, *params):
        """A call with names for references, in its answer too."""
        try:
            answer = self.clients.call(
                host, method, *[self._ref(value) for value in params]
            )
        except ConnectionError as exc:
            return type(exc).__name__
        return self._name(answer)

    def _ref(self, value):
        return self.refs.get(value, value) if isinstance(value, str) else value

    def _name(self, value):
        if isinstance(value, list):
            return [self._name(item) for item in value]
        names = {ref: name for name, ref in self.refs.items()}
        return names.get(value, value) if isinstance(value, str) else value

    def seen(self, host, method, *params):
        """The failure of a call, or that there is none."""
        answer = self.call(host, method, *params)
        failed = isinstance(answer, list) and answer[:1] == ['ERR']
        return answer if failed or 'Error' in answer else 'OK'


WATCHERS = {
    'fresh login': lambda stage: stage.seen(
        'xen2', transcripts.LOGIN, 'root', 'secret'
    ),
    'local login': lambda stage: stage.seen(
        'xen2', transcripts.LOCAL_LOGIN, 'root', 'secret'
    ),
    'old session': lambda stage: stage.seen('xen2', 'pool.get_all', '@old'),
    'local session': lambda stage: stage.seen(
        'xen2', 'pool.get_all', '@local'
    ),
    'host record': lambda stage: stage.seen(
        'xen1', 'host.get_record', '@old', '@host'
    ),
    'control domain': lambda stage: stage.seen(
        'xen1', 'VM.get_record', '@old', '@dom0'
    ),
    'interface': lambda stage: stage.seen(
        'xen1', 'PIF.get_record', '@old', '@pif'
    ),
    'metrics': lambda stage: stage.seen(
        'xen1', 'host_metrics.get_record', '@old', '@metrics'
    ),
    'hosts': lambda stage: sorted(
        [record['name_label'], record['enabled']]
        for record in stage.read('host').values()
    ),
    'live': lambda stage: [
        stage.read('host_metrics')[record['metrics']]['live']
        for record in stage.read('host').values()
        if record['name_label'] == 'xen2'
    ],
    'fresh look': lambda stage: stage.look(),
    'allowed': lambda stage: [
        sorted(record['allowed_operations'])
        for record in stage.read('host').values()
        if record['name_label'] == 'xen2'
    ],
    'pool operations': lambda stage: [
        name
        for record in stage.read('pool').values()
        for name in record['current_operations'].values()
    ],
}
