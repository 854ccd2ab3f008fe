"""How the documents are built; nothing here asks the network."""

import os
import pathlib
import shutil
import subprocess
from typing import Any

ROOT = pathlib.Path(__file__).parents[2]
project = 'aggregates_ext'
extensions = ['reno.sphinxext', 'sphinx.ext.graphviz']
graphviz_output_format = 'svg'
root_doc = 'index'
exclude_patterns: list[str] = []
html_theme = 'alabaster'
html_theme_options = {
    'description': 'Host aggregates that are XenServer pools',
    'page_width': '1100px',
    'sidebar_width': '240px',
}
html_sidebars = {'**': ['about.html', 'navigation.html', 'searchbox.html']}
html_show_copyright = False
# Samples are shown as they are sent: no smart quotes, no guessed language;
# each block names its own.
smartquotes = False
highlight_language = 'none'
nitpicky = True
# Page, section, and what its first line says after the name.
_PAGES = (
    ('api', 8, 'serve the API of host aggregates'),
    ('compute', 8, 'form and watch the pools of host aggregates'),
    ('manage', 8, 'commands for the operator of host aggregates'),
    ('xensim', 1, 'simulate XenServer hosts'),
    ('demo', 1, 'show host aggregates on simulated hosts'),
)
man_pages = [
    (
        f'man/aggregates-ext-{name}',
        f'aggregates-ext-{name}',
        about,
        'The aggregates_ext project',
        section,
    )
    for name, section, about in _PAGES
]
man_show_urls = True


def setup(app: Any) -> None:
    """Do with what there is: without pictures, without history."""
    if shutil.which('dot') is None:
        _draw_nothing(app)
    if not _history_is_whole():
        _read_files()


# What follows imports inside, so that the tests can read this file without
# Sphinx.


def _draw_nothing(app: Any) -> None:
    """Show pictures as the text that they are drawn from."""
    if os.environ.get('REQUIRE_SERVICES'):
        raise RuntimeError('dot of graphviz draws the pictures: install it')
    from docutils import nodes  # noqa: PLC0415
    from sphinx.ext import graphviz  # noqa: PLC0415

    class Text(graphviz.Graphviz):
        """A picture as text."""

        def run(self) -> list[nodes.Node]:
            return [
                nodes.literal_block(node['code'], node['code'])
                for node in super().run()
                if 'code' in node
            ]

    print('pictures are shown as text: dot of graphviz is missing')
    app.add_directive('graphviz', Text, override=True)


def _history_is_whole() -> bool:
    """Whether reno can look up since when there is a note."""
    try:
        asked = subprocess.run(
            ['git', 'rev-parse', '--is-shallow-repository'],  # noqa: S607
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
    except OSError:
        return False
    return asked.stdout.strip() == 'false'


def _read_files() -> None:
    """Let reno take all notes as they are, for those of one version."""
    import yaml  # noqa: PLC0415
    from reno import sphinxext  # noqa: PLC0415

    class Loader(sphinxext.loader.Loader):
        """A loader whose cache is the directory."""

        def _load_data(self) -> None:
            files = sorted((ROOT / self._notespath).glob('*.yaml'))
            self._cache = {
                'file-contents': {
                    file.name: yaml.safe_load(file.read_text())
                    for file in files
                }
            }
            self._scanner_output = {
                'this-source': [(file.name, '') for file in files]
            }
            self._tags_to_dates = {}

    print('release notes are shown without their versions: no history')
    sphinxext.loader.Loader = Loader
