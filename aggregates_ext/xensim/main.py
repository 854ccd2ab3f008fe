"""The command aggregates-ext-xensim: simulated hosts until it is ended."""

import argparse
import pathlib
import signal
import sys
import threading

from aggregates_ext.xensim import control as controls
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import described
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock as clocks


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='aggregates-ext-xensim',
        description='Simulate XenServer hosts which speak XenAPI.',
    )
    parser.add_argument(
        '--topology',
        type=pathlib.Path,
        metavar='FILE',
        help='YAML description of the hosts (default: xen1, xen2, xen3)',
    )
    parser.add_argument(
        '--speed',
        type=float,
        default=1.0,
        metavar='FACTOR',
        help='how much faster than real time; 0: only POST /advance moves'
        ' the clock (default: 1)',
    )
    parser.add_argument(
        '--state',
        type=pathlib.Path,
        metavar='FILE',
        help='what is on the disks of the hosts: read at the start if it'
        ' exists, written at the end and by POST /save',
    )
    parser.add_argument(
        '--control',
        type=int,
        default=0,
        metavar='PORT',
        help='port of the control endpoint (default: a free one)',
    )
    arguments = parser.parse_args(argv)
    if arguments.speed < 0:
        parser.error('--speed must not be negative')
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT."""
    arguments = _arguments(argv)
    try:
        simulated = simulator.Simulator(
            topology.load(arguments.topology or topology.DEFAULT),
            _clock(arguments.speed),
            arguments.state,
        )
    except (described.TopologyError, OSError) as exc:
        print(f'aggregates-ext-xensim: {exc}', file=sys.stderr)
        return 2
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with simulated as sim:
        control = controls.Control(sim, arguments.control)
        control.start()
        for host in sim.world.hosts.values():
            print(host.name, host.url, host.address)
        print('control', control.url)
        print('ready', flush=True)
        ended.wait()
        control.stop()
    return 0


def _clock(speed: float) -> clocks.Clock:
    return clocks.RunningClock(speed) if speed else clocks.SteppedClock()


if __name__ == '__main__':
    sys.exit(main())
