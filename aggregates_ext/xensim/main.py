"""The command aggregates-ext-xensim: simulated hosts until it is ended."""

import argparse
import io
import os
import pathlib
import signal
import sys
import threading
from importlib import metadata

from aggregates_ext.xensim import control as controls
from aggregates_ext.xensim import simulator
from aggregates_ext.xensim.plan import described
from aggregates_ext.xensim.plan import topology
from aggregates_ext.xensim.world import clock as clocks

MAX_SPEED = 10_000
MAX_PORT = 65_535
# What a shell makes of SIGPIPE.
NOBODY_READS = 141


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
    parser.add_argument(
        '--version',
        action='version',
        version=f'%(prog)s {metadata.version("aggregates_ext")}',
    )
    arguments = parser.parse_args(argv)
    if not 0 <= arguments.speed <= MAX_SPEED:
        parser.error(f'--speed must be from 0 to {MAX_SPEED}')
    if not 0 <= arguments.control <= MAX_PORT:
        parser.error(f'--control must be from 0 to {MAX_PORT}')
    return arguments


def main(argv: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; 2 and a sentence when that cannot be."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Whatever the terminal can show.
            stream.reconfigure(errors='backslashreplace')
    arguments = _arguments(argv)
    try:
        simulated = simulator.Simulator(
            topology.load(arguments.topology or topology.DEFAULT),
            _clock(arguments.speed),
            arguments.state,
        )
        _run(simulated, arguments.control)
    except BrokenPipeError:
        # What the interpreter flushes at its end goes nowhere either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except (described.TopologyError, OSError) as exc:
        print(f'aggregates-ext-xensim: {exc}', file=sys.stderr)
        return 2
    return 0


def _run(simulated: simulator.Simulator, port: int) -> None:
    """Simulate until a signal ends it.

    :raises OSError: a port cannot be had, or the state not be written.
    """
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    control = controls.Control(simulated, port)
    try:
        with simulated as sim:
            control.start()
            for host in sim.world.hosts.values():
                print(host.name, host.url, host.address)
            print('control', control.url)
            print('ready', flush=True)
            ended.wait()
            control.stop()
    finally:
        control.close()


def _clock(speed: float) -> clocks.Clock:
    return clocks.RunningClock(speed) if speed else clocks.SteppedClock()


if __name__ == '__main__':
    sys.exit(main())
