"""What becomes of a request to a host is counted, and changes nothing of it."""

import socket
import threading
import xmlrpc.client
from collections.abc import Iterator

import prometheus_client
import pytest

from aggregates_ext.compute.xen import failures
from aggregates_ext.compute.xen import transport
from aggregates_ext.compute.xen import xenapi
from aggregates_ext.metrics import calls
from aggregates_ext.metrics import families
from aggregates_ext.metrics import process

LOGIN = 'session.login_with_password'
SUCCESS = {'Status': 'Success', 'Value': 'OpaqueRef:a'}
REFUSED = {'Status': 'Failure', 'ErrorDescription': ['HOST_IS_SLAVE', 'a']}
ACCOUNT = xenapi.Credential('default', 'root', 'sentinel')


class Host:
    """Gives one answer to whatever it is asked; None: it hangs up."""

    def __init__(self) -> None:
        self._listening = socket.create_server(('127.0.0.1', 0))
        self.answer: object = SUCCESS
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f'http://127.0.0.1:{self._listening.getsockname()[1]}'

    def stop(self) -> None:
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _address = self._listening.accept()
            except OSError:
                return
            with connection:
                while b'</methodCall>' in connection.recv(65536):
                    if self.answer is None:
                        break
                    body = xmlrpc.client.dumps(
                        (self.answer,), methodresponse=True
                    ).encode()
                    head = f'HTTP/1.1 200 OK\r\nContent-Length: {len(body)}'
                    connection.sendall(f'{head}\r\n\r\n'.encode() + body)


@pytest.fixture
def host() -> Iterator[Host]:
    made = Host()
    yield made
    made.stop()


class Counted:
    """Sessions at a host, and what was counted of them."""

    def __init__(self, url: str) -> None:
        self._registry = prometheus_client.CollectorRegistry()
        self._seconds = process.histogram(
            families.XENAPI_SECONDS, self._registry, (1,)
        )
        self._url = url

    def login(self) -> xenapi.Session:
        return calls.Session(
            self._seconds,
            'xen1',
            self._url,
            ACCOUNT,
            transport.Transport(10, None, None),
            (),
        )

    def found(self) -> dict[tuple[str, str], float]:
        """Requests by method and outcome."""
        return {
            (s.labels['method'], s.labels['outcome']): s.value
            for family in self._registry.collect()
            for s in family.samples
            if s.name.endswith('_count')
        }


def test_answers_are_counted_by_their_methods(host: Host) -> None:
    counted = Counted(host.url)
    session = counted.login()
    assert session.call('pool.get_all') == 'OpaqueRef:a'
    host.answer = REFUSED
    with pytest.raises(failures.XenAPIError):
        session.call('pool.get_all')
    session.close()
    assert counted.found() == {
        (LOGIN, 'answered'): 1,
        ('pool.get_all', 'answered'): 1,
        ('pool.get_all', 'refused'): 1,
        ('session.logout', 'refused'): 1,
    }


def test_what_got_no_answer_is_lost(host: Host) -> None:
    host.answer = None
    counted = Counted(host.url)
    with pytest.raises(failures.AnswerLost):
        counted.login()
    assert counted.found() == {(LOGIN, 'lost'): 1}


def test_what_was_not_sent_is_unreachable(host: Host) -> None:
    with socket.create_server(('127.0.0.1', 0)) as server:
        port = server.getsockname()[1]
    counted = Counted(f'http://127.0.0.1:{port}')
    with pytest.raises(failures.Unreachable):
        counted.login()
    assert counted.found() == {(LOGIN, 'unreachable'): 1}
