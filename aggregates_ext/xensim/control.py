"""The control endpoint: JSON over HTTP, on a loopback port of its own."""

import collections.abc
import dataclasses
import http.server
import json
import threading
import typing

from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.wire import server
from aggregates_ext.xensim.world import clock as clocks

MAX_BODY = 1 << 20
LOOPBACK = ('127.0.0.1', 'localhost', '[::1]')

Body = dict[str, typing.Any]
Action = collections.abc.Callable[[simulator.Simulator, str, Body], object]


class Refused(Exception):
    """A request which cannot be done: a status and a sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def get_state(sim: simulator.Simulator, name: str, body: Body) -> object:
    return sim.state()


def get_calls(sim: simulator.Simulator, name: str, body: Body) -> object:
    return [dataclasses.asdict(arrival) for arrival in sim.calls]


def get_streams(sim: simulator.Simulator, name: str, body: Body) -> object:
    return [dataclasses.asdict(stream) for stream in sim.streams]


def plant_fault(sim: simulator.Simulator, name: str, body: Body) -> object:
    sim.plant(**body)
    return {}


def clear_faults(sim: simulator.Simulator, name: str, body: Body) -> object:
    sim.clear_faults()
    return {}


def advance(sim: simulator.Simulator, name: str, body: Body) -> object:
    if not isinstance(sim.clock, clocks.SteppedClock):
        raise Refused(409, 'this clock runs by itself')
    sim.clock.advance(float(body['seconds']))
    return {'time': sim.clock.time()}


def power(sim: simulator.Simulator, name: str, body: Body) -> object:
    if body['on'] is True:
        sim.power_on(name)
    elif body['on'] is False:
        sim.power_off(name)
    else:
        raise ValueError('on must be true or false')
    return {}


def restart(sim: simulator.Simulator, name: str, body: Body) -> object:
    sim.restart_toolstack(name, **body)
    return {}


def xapi(sim: simulator.Simulator, name: str, body: Body) -> object:
    if body['on'] is True:
        sim.start_xapi(name)
    elif body['on'] is False:
        sim.stop_xapi(name)
    else:
        raise ValueError('on must be true or false')
    return {}


def save(sim: simulator.Simulator, name: str, body: Body) -> object:
    sim.save()
    return {}


def partition(sim: simulator.Simulator, name: str, body: Body) -> object:
    if not {body['sender'], body['receiver']} <= sim.world.hosts.keys():
        raise ValueError('sender and receiver must be names of hosts')
    sim.partition(**body)
    return {}


def add_sr(sim: simulator.Simulator, name: str, body: Body) -> object:
    return {'uuid': sim.add_sr(name, **body)}


def add_vm(sim: simulator.Simulator, name: str, body: Body) -> object:
    return {'uuid': sim.add_vm(name, **body)}


def set_fields(sim: simulator.Simulator, name: str, body: Body) -> object:
    sim.set_host(name, **body)
    return {}


def update(sim: simulator.Simulator, name: str, body: Body) -> object:
    if not all(isinstance(version, str) for version in body.values()):
        raise ValueError('versions must be text')
    sim.update(name, **body)
    return {}


def enable_repository(
    sim: simulator.Simulator, name: str, body: Body
) -> object:
    return {'ref': sim.enable_repository(name)}


def publish(sim: simulator.Simulator, name: str, body: Body) -> object:
    return {'name': sim.publish(name, **body)}


def start_operation(sim: simulator.Simulator, name: str, body: Body) -> object:
    return {'ref': sim.start_pool_operation(name, body['operation'])}


def end_operation(sim: simulator.Simulator, name: str, body: Body) -> object:
    sim.end_pool_operation(name, body['ref'])
    return {}


ROUTES: dict[tuple[str, str], Action] = {
    ('GET', '/state'): get_state,
    ('GET', '/calls'): get_calls,
    ('GET', '/streams'): get_streams,
    ('POST', '/faults'): plant_fault,
    ('DELETE', '/faults'): clear_faults,
    ('POST', '/advance'): advance,
    ('POST', '/save'): save,
    ('POST', '/partitions'): partition,
    ('POST', '/hosts/NAME/power'): power,
    ('POST', '/hosts/NAME/restart-toolstack'): restart,
    ('POST', '/hosts/NAME/xapi'): xapi,
    ('POST', '/hosts/NAME/pool-operations'): start_operation,
    ('DELETE', '/hosts/NAME/pool-operations'): end_operation,
    ('POST', '/hosts/NAME/fields'): set_fields,
    ('POST', '/hosts/NAME/updates'): update,
    ('POST', '/hosts/NAME/repository'): enable_repository,
    ('POST', '/hosts/NAME/published'): publish,
    ('POST', '/hosts/NAME/srs'): add_sr,
    ('POST', '/hosts/NAME/vms'): add_vm,
}


def act(
    sim: simulator.Simulator, verb: str, path: str, body: Body
) -> tuple[int, object]:
    """Do what a request asks for: a status and what to answer."""
    parts = path.split('/')
    name = ''
    if len(parts) == 4 and parts[1] == 'hosts':
        name, parts[2] = parts[2], 'NAME'
        if name not in sim.world.hosts:
            return 404, {'error': f'no host {name!r}'}
    action = ROUTES.get((verb, '/'.join(parts)))
    if action is None:
        return 404, {'error': f'no {verb} {path}'}
    try:
        return 200, action(sim, name, body)
    except Refused as exc:
        return exc.status, {'error': str(exc)}
    except KeyError as exc:
        return 400, {'error': f'missing: {exc}'}
    except (TypeError, ValueError) as exc:
        return 400, {'error': str(exc)}


class Control:
    """The server behind the control port."""

    def __init__(self, sim: simulator.Simulator, port: int = 0) -> None:
        handler = type('Bound', (Handler,), {'sim': sim})
        with server.named(port):
            self._server = http.server.ThreadingHTTPServer(
                ('127.0.0.1', port), handler
            )
        self.url = f'http://127.0.0.1:{self._server.server_port}'
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    def start(self) -> None:
        """Take requests."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more requests."""
        self._server.shutdown()
        self.close()
        self._thread.join()

    def close(self) -> None:
        """Give the port back; nobody takes requests any more, or yet."""
        self._server.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    """One request to the control port."""

    sim: simulator.Simulator
    protocol_version = 'HTTP/1.1'
    timeout = 30

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        self._take('GET')

    def do_POST(self) -> None:
        self._take('POST')

    def do_DELETE(self) -> None:
        self._take('DELETE')

    def _take(self, verb: str) -> None:
        self.close_connection = True
        try:
            self._check_sender(verb)
            body = self._body()
        except Refused as exc:
            self._answer(exc.status, {'error': str(exc)})
            return
        except ValueError as exc:
            self._answer(400, {'error': str(exc)})
            return
        self._answer(*act(self.sim, verb, self.path, body))

    def _check_sender(self, verb: str) -> None:
        """Take nothing from web pages, which can send to loopback too.

        A page says whose it is; one whose name leads here by now is told by
        the name; and a page cannot send JSON without asking first.

        :raises Refused: it comes from one, or may.
        """
        port = self.connection.getsockname()[1]
        hosts = {f'{name}:{port}' for name in LOOPBACK}
        if self.headers.get_all('Host') not in [[host] for host in hosts]:
            raise Refused(403, f'the Host must be one of {sorted(hosts)}')
        if 'Origin' in self.headers or 'Sec-Fetch-Site' in self.headers:
            raise Refused(403, 'web pages are not answered')
        kind = self.headers.get('Content-Type', '').partition(';')[0].strip()
        if verb != 'GET' and kind.lower() != 'application/json':
            raise Refused(415, 'the Content-Type must be application/json')

    def _body(self) -> Body:
        length = int(self.headers.get('Content-Length') or 0)
        if not 0 <= length <= MAX_BODY:
            raise ValueError('the body is too long')
        body = json.loads(self.rfile.read(length) or b'{}')
        if not isinstance(body, dict):
            raise ValueError('the body must be an object')
        return body

    def _answer(self, status: int, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header('Content-Type', 'application/json')
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
