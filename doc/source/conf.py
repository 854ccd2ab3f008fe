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
