"""XenAPI as an operator's own tool speaks it, with one simulated host."""

from typing import Any

from aggregates_ext.demo import client
from aggregates_ext.demo import errors

ORIGINATOR = 'aggregates-ext-demo'


class Session:
    """A session at the master of a pool.

    :raises errors.DemoError: the host lets nobody in.
    """

    def __init__(self, host: client.Client, password: str) -> None:
        self._host = host
        login = ('root', password, '1.0', ORIGINATOR)
        self._session = self._send('session.login_with_password', *login)

    def call(self, method: str, *parameters: Any) -> Any:
        """What a call answers.

        :raises errors.DemoError: the host refuses it.
        """
        return self._send(method, self._session, *parameters)

    def _send(self, method: str, *parameters: Any) -> Any:
        body = {
            'jsonrpc': '2.0',
            'id': 1,
            'method': method,
            'params': list(parameters),
        }
        answer = self._host.post('/jsonrpc', body)
        if 'result' not in answer:
            raise errors.DemoError(f'{method}: {answer.get("error")}')
        return answer['result']
