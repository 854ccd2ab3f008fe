"""The oldest releases that setup.cfg allows, as a file of pip's constraints.

``tox -e mindeps`` installs exactly these, so that a lower bound is never a
guess. They are Debian 13's where those work (design#bounds).
"""

import configparser
import pathlib
import re
import sys
from collections.abc import Iterator

SETUP = pathlib.Path(__file__).parents[1] / 'setup.cfg'
# Name, extras, bound: the one form that setup.cfg uses.
REQUIREMENT = re.compile(r'([\w.-]+)(?:\[[\w,]+\])?>=([\d.]+)')
# What the tests run with, beside what the package itself needs.
EXTRAS = ('test', 'mysql', 'postgresql')


def constraints(text: str) -> Iterator[str]:
    """One line for each dependency of the package and its tests.

    :param text: of setup.cfg.
    :raises ValueError: a dependency has no lower bound.
    """
    parser = configparser.ConfigParser()
    parser.read_string(text)
    lists = [parser['options']['install_requires']]
    lists += [parser['options.extras_require'][name] for name in EXTRAS]
    for line in sorted(set('\n'.join(lists).split('\n')) - {''}):
        found = REQUIREMENT.fullmatch(line)
        if found is None:
            raise ValueError(f'setup.cfg: {line}: NAME>=BOUND is expected')
        yield f'{found[1]}=={found[2]}'


if __name__ == '__main__':
    pathlib.Path(sys.argv[1]).write_text(
        '\n'.join(constraints(SETUP.read_text())) + '\n'
    )
