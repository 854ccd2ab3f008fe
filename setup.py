"""Builds the manual pages; all else is told by setup.cfg.

They are made from doc/source/man with docutils, which pyproject.toml asks
for; where something is built without it there are none.
"""

import pathlib
import runpy

# First: it brings the distutils that Python 3.12 has no more.
import setuptools  # isort: split

from distutils.command.install_data import install_data

try:
    from docutils import core
    from docutils.writers import manpage
except ImportError:
    core = None

SOURCE = pathlib.Path(__file__).parent / 'doc' / 'source'


def write_pages(target: pathlib.Path) -> dict[str, list[str]]:
    """Make the pages in a directory; the answer: section -> its files."""
    made: dict[str, list[str]] = {}
    target.mkdir(parents=True, exist_ok=True)
    pages = runpy.run_path(str(SOURCE / 'conf.py'))['man_pages']
    for source, name, about, _authors, section in pages:
        text = (SOURCE / f'{source}.rst').read_text(encoding='utf-8')
        _title, _blank, body = text.partition('\n\n')
        line = '=' * 79
        rule = '-' * 79
        heading = (
            f'{line}\n{name}\n{line}\n\n{rule}\n{about}\n{rule}\n\n'
            f':Manual section: {section}\n:Manual group: aggregates_ext\n\n'
        )
        page = target / f'{name}.{section}'
        page.write_bytes(
            core.publish_string(
                heading + body,
                writer=manpage.Writer(),
                settings_overrides={'halt_level': 2},
            )
        )
        made.setdefault(f'share/man/man{section}', []).append(str(page))
    return made


class InstallData(install_data):
    """Installs the pages beside the files that setup.cfg lists."""

    def run(self) -> None:
        if core is None:
            self.warn('no manual pages: docutils is missing')
        else:
            base = self.get_finalized_command('build').build_base
            self.data_files += write_pages(pathlib.Path(base, 'man')).items()
        super().run()


setuptools.setup(cmdclass={'install_data': InstallData})
