"""How Sphinx makes a site of these pages: `make docs`."""

project = "transcoder"
html_title = project
html_theme = "furo"
html_static_path = ["_static"]
html_css_files = ["tables.css"]
html_copy_source = False
html_show_copyright = False
html_use_index = False
extensions = ["myst_parser"]
# Links may end in the anchor of a heading, down to this level.
myst_heading_anchors = 3
