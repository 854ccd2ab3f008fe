"""aggregates-ext-demo: real services and simulated hosts tell a story."""

import argparse
import json
import pathlib
import shlex
import shutil
import signal
import sys
import time
import types
from collections.abc import Sequence
from importlib import metadata

from aggregates_ext import refusals
from aggregates_ext.demo import errors
from aggregates_ext.demo import life
from aggregates_ext.demo import rolling
from aggregates_ext.demo import screen as screens
from aggregates_ext.demo import site as sites
from aggregates_ext.demo import telling

INTERRUPTED = 130
LIFE, ROLLING = STORIES = ('life', 'rolling')
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='aggregates-ext-demo',
        description='Start the API, the compute service and simulated '
        'XenServer hosts on loopback, and walk through a story; nothing '
        'stays behind. Exit code 0: every step had its effect on the '
        'simulated hosts.',
    )
    parser.add_argument(
        '--story',
        choices=STORIES,
        default=LIFE,
        help='life: an aggregate is created, filled, used and dissolved; '
        'rolling: all hosts of a pool restart, and no guest notices '
        '(default: life)',
    )
    parser.add_argument(
        '--speed',
        type=float,
        default=6.0,
        metavar='FACTOR',
        help='how much faster than real ones the simulated hosts join and '
        'restart, and guests move, from 1 to 50 (default: 6); at 1 the '
        'rolling story takes some six minutes',
    )
    parser.add_argument(
        '--keep',
        action='store_true',
        help='let everything run until Ctrl-C: life stops where there is a '
        'pool of three hosts, rolling is told to its end first',
    )
    parser.add_argument(
        '--version',
        action='version',
        version=f'%(prog)s {metadata.version("aggregates_ext")}',
    )
    arguments = parser.parse_args(argv)
    if not 1 <= arguments.speed <= 50:
        parser.error('--speed must be from 1 to 50')
    return arguments


def main(argv: Sequence[str] | None = None) -> int:
    """Tell the story; 1 when a step fails, 130 when interrupted."""
    refusals.print_anything()
    arguments = _arguments(argv)
    screen = screens.Screen(screens.console())
    story = rolling.Story if arguments.story == ROLLING else life.Story
    # Only who is asked before can tell what a restart would do.
    asks = arguments.story == ROLLING
    site = sites.Site(arguments.speed, story.PLAN, asks=asks)

    def interrupt(_number: int, _frame: types.FrameType | None) -> None:
        site.interrupted = True
        raise KeyboardInterrupt

    for number in ENDING:
        signal.signal(number, interrupt)
    try:
        with site:
            try:
                return _run(site, screen, story(site, screen), arguments)
            finally:
                # From here on nothing keeps us from cleaning up.
                for number in ENDING:
                    signal.signal(number, signal.SIG_IGN)
    except KeyboardInterrupt:
        screen.say('', 'Interrupted; everything is ended and removed.')
        return INTERRUPTED


def _run(
    site: sites.Site,
    screen: screens.Screen,
    story: telling.Story,
    arguments: argparse.Namespace,
) -> int:
    began = time.monotonic()
    try:
        _start(site, screen, arguments.speed)
        steps = story.tell(keep=arguments.keep)
        screen.title('Done')
        screen.say(
            f'All {steps} steps had their effect on the simulated '
            f'hosts; {time.monotonic() - began:.0f} s.',
            style='bold green',
        )
        if arguments.keep:
            _keep(site, screen, story)
    except errors.DemoError as exc:
        _explain(site, screen, exc)
        return 1
    return 0


def _start(site: sites.Site, screen: screens.Screen, speed: float) -> None:
    screen.title('Starting simulator, database, API and compute service')
    site.prepare()
    screen.say(
        f'Simulated hosts, {speed:g} times as fast as real ones:',
        *(f'  {host}' for host in site.hosts),
        f'Simulator control {site.simulator.url}',
    )
    site.serve()
    screen.say(
        f'API {site.api.url}',
        'Compute service, which finds its work in the database',
    )


def _explain(
    site: sites.Site, screen: screens.Screen, failure: errors.DemoError
) -> None:
    screen.title('FAILED')
    screen.say(str(failure), style='bold red')
    for name, lines in site.tails():
        screen.title(f'the end of the log: {name}')
        screen.say(lines)


def _keep(
    site: sites.Site, screen: screens.Screen, story: telling.Story
) -> None:
    """Let everything run until it is interrupted, saying what to try."""
    url, path = site.api.url, f'{site.api.url}{story.api.path}'
    stack = f'openstack --os-auth-type none --os-endpoint {url}/v2.1'
    action = f"curl -s {path}/action -H 'Content-Type: application/json' -d"
    tries = story.tries
    screen.say('', 'The pool is yours. With python-openstackclient:')
    screen.paste(*(f'{stack} {words}' for words in tries.stack))
    screen.say('With its plug-in, the extra "client" of this package:')
    screen.paste(
        *(f'{stack} aggregate pool {words}' for words in tries.plugin)
    )
    screen.say('With curl:')
    screen.paste(
        *(f'curl -s {path}/{name}' for name in tries.paths),
        *(f"{action} '{json.dumps(body)}'" for body in tries.actions),
        f"curl -s -H 'Accept: application/xml' "
        f'{url}/v1.1/demo/os-aggregates/{story.api.id}',
    )
    screen.say('What the simulated hosts really are, and the registry:')
    screen.paste(
        f'curl -s {site.simulator.url}/state',
        f'{_manage()} --config-file {site.configuration} host list',
    )
    screen.say(
        f'Logs are in {site.directory}. Ctrl-C ends and removes everything.',
        style='bold',
    )
    _wait(site)


def _manage() -> str:
    """The operator's command, as it can be typed here."""
    name = 'aggregates-ext-manage'
    beside = pathlib.Path(sys.executable).with_name(name)
    if shutil.which(name):
        return name
    if beside.exists():
        return shlex.quote(str(beside))
    return f'{shlex.quote(sys.executable)} -m aggregates_ext.cmd.manage'


def _wait(site: sites.Site) -> None:
    """Return when interrupted.

    :raises errors.DemoError: a service has ended by itself.
    """
    try:
        while True:
            site.check()
            time.sleep(1)
    except KeyboardInterrupt:
        return


if __name__ == '__main__':
    sys.exit(main())
