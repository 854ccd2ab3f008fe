"""How the documents are built; nothing here asks the network."""

project = 'aggregates_ext'
extensions: list[str] = []
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
# Samples are shown as they are sent: no smart quotes, no guessed language.
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
