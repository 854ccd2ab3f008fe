"""How the documents are built; nothing here asks the network."""

import os
import shutil
from typing import Any

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
    """Do without pictures where graphviz is not installed."""
    if shutil.which('dot') is not None:
        return
    if os.environ.get('REQUIRE_SERVICES'):
        raise RuntimeError('dot of graphviz draws the pictures: install it')
    # Here, so that the tests can read this file without Sphinx.
    from docutils import nodes  # noqa: PLC0415
    from sphinx.ext import graphviz  # noqa: PLC0415

    class Text(graphviz.Graphviz):
        """A picture as the text that it is drawn from."""

        def run(self) -> list[nodes.Node]:
            return [
                nodes.literal_block(node['code'], node['code'])
                for node in super().run()
                if 'code' in node
            ]

    print('pictures are shown as text: dot of graphviz is missing')
    app.add_directive('graphviz', Text, override=True)
