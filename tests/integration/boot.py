"""Becomes a systemd, in namespaces that were made for it.

Run by ``booted`` as root, as the first process of them. It sees the files of
the machine and writes to none of them: what it writes is in memory. It has
the network of the machine, but processes, mounts and cgroups of its own.
"""

import os
import pathlib
import subprocess
import sys
import uuid

CGROUPS = pathlib.Path('/sys/fs/cgroup')
DEVICES = ('null', 'zero', 'full', 'random', 'urandom', 'tty')
# What is the machine's own: its services, accounts beside, and its disks.
HIDDEN = (
    'etc/systemd/system',
    'etc/init.d',
    *(f'etc/rc{level}.d' for level in 'S0123456'),
    'etc/sysusers.d',
    'etc/tmpfiles.d',
    'etc/cron.d',
    'etc/aggregates_ext',
    'var/lib/aggregates_ext',
    'var/log',
    'usr/local/bin',
    'opt',
    'tmp',
    'var/tmp',
    'run',
)
# Units of the beginning that are needed; no other ones start.
WANTED = ('systemd-journald.service', 'systemd-journald.socket',
          'systemd-journald-dev-log.socket')  # fmt: skip
TARGET = 'tests.target'
UNIT = """[Unit]
Requires=basic.target
After=basic.target
AllowIsolate=yes
"""
PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'


def mount(kind: str, where: pathlib.Path, options: str = 'defaults') -> None:
    """Mount a file system."""
    where.mkdir(parents=True, exist_ok=True)
    run('mount', '-t', kind, '-o', options, kind, str(where))


def bind(what: pathlib.Path, where: pathlib.Path) -> None:
    """Show a directory or a file at a second place."""
    if what.is_dir():
        where.mkdir(parents=True, exist_ok=True)
    else:
        where.touch()
    run('mount', '--bind', str(what), str(where))


def run(*command: str) -> None:
    subprocess.run(command, check=True)


def make_root(place: pathlib.Path) -> pathlib.Path:
    """The files of the machine, with all changes in memory."""
    mount('tmpfs', place)
    for name in ('upper', 'work', 'root'):
        (place / name).mkdir()
    root = place / 'root'
    layers = f'lowerdir=/,upperdir={place}/upper,workdir={place}/work'
    mount('overlay', root, layers)
    for name in HIDDEN:
        mode = 'mode=1777' if name.endswith('tmp') else 'mode=755'
        mount('tmpfs', root / name, mode)
    mount('proc', root / 'proc')
    mount('sysfs', root / 'sys', 'ro')
    make_devices(root / 'dev')
    (root / 'etc' / 'fstab').write_text('')
    # With none it would enable all that is installed.
    (root / 'etc' / 'machine-id').write_text(f'{uuid.uuid4().hex}\n')
    return root


def make_devices(dev: pathlib.Path) -> None:
    """A few devices, so that nothing is written among the machine's."""
    mount('tmpfs', dev, 'mode=755')
    for name in DEVICES:
        bind(pathlib.Path('/dev') / name, dev / name)
    mount('devpts', dev / 'pts', 'newinstance,ptmxmode=0666')
    (dev / 'ptmx').symlink_to('pts/ptmx')
    mount('tmpfs', dev / 'shm', 'mode=1777')


def mount_cgroups(root: pathlib.Path) -> None:
    """The same hierarchies as the machine has, from its own group down."""
    there = root / CGROUPS.relative_to('/')
    if (CGROUPS / 'cgroup.controllers').exists():
        mount('cgroup2', there)
        return
    mount('tmpfs', there, 'mode=755')
    for line in pathlib.Path('/proc/self/cgroup').read_text().splitlines():
        _number, names, _path = line.split(':', 2)
        if not names:
            if (CGROUPS / 'unified').exists():
                mount('cgroup2', there / 'unified')
        elif names.startswith('name='):
            mount(
                'cgroup',
                there / names.removeprefix('name='),
                f'none,{names}',
            )
        else:
            mount('cgroup', there / names, names)


def choose_units(root: pathlib.Path) -> None:
    """Let nothing start but what every unit needs."""
    units = root / 'etc' / 'systemd' / 'system'
    for group in ('sysinit', 'sockets', 'timers', 'local-fs', 'basic'):
        for wants in root.glob(f'*/lib/systemd/system/{group}.target.wants'):
            for unit in wants.iterdir():
                masked = units / unit.name
                if unit.name not in WANTED and not masked.is_symlink():
                    masked.symlink_to('/dev/null')
    for name in ('systemd-remount-fs', 'systemd-journald-audit'):
        for kind in ('service', 'socket'):
            masked = units / f'{name}.{kind}'
            if not masked.is_symlink():
                masked.symlink_to('/dev/null')
    (units / TARGET).write_text(UNIT)


def put_python(root: pathlib.Path, base: str, packages: str) -> None:
    """Python and the tests' packages, out of any home."""
    bind(pathlib.Path(packages), root / 'opt' / 'packages')
    if not pathlib.Path(base).is_relative_to('/usr'):
        bind(pathlib.Path(base), root / 'opt' / 'python')
        libraries = root / 'etc' / 'ld.so.conf.d' / 'tests.conf'
        libraries.write_text('/opt/python/lib\n')
        run('chroot', str(root), 'ldconfig')


def main() -> None:
    """Make the machine, and start its systemd."""
    systemd, place, base, packages = sys.argv[1:]
    root = make_root(pathlib.Path(place))
    mount_cgroups(root)
    choose_units(root)
    put_python(root, base, packages)
    os.chdir(root)
    run('mkdir', 'mnt/old')
    run('pivot_root', '.', 'mnt/old')
    os.chroot('.')
    run('umount', '--lazy', '/mnt/old')
    os.execve(  # noqa: S606
        systemd,
        [systemd, f'--unit={TARGET}', '--log-target=journal'],
        {'container': 'tests', 'PATH': PATH},
    )


if __name__ == '__main__':
    main()
