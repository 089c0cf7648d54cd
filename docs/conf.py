"""How this documentation is built: Sphinx, MyST, furo. Warnings are errors (`make docs`)."""

import sys
from pathlib import Path

import higgsdemo

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "higgsdemo"
author = "The higgsdemo developers"
copyright = "The higgsdemo developers, Apache-2.0"  # noqa: A001
version = release = higgsdemo.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "commands",  # _ext/commands.py: the command reference, from the program itself
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = False
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"higgsdemo {release}"
html_theme_options = {"navigation_with_keys": True}


def _keep_colons(*event):
    """Napoleon takes what stands before a colon in a property's first line for its type."""
    _app, what, _name, _obj, _options, lines = event
    if what == "property" and lines:
        lines[0] = lines[0].replace(": ", " – ")  # noqa: RUF001


def setup(app):
    app.connect("autodoc-process-docstring", _keep_colons, priority=400)  # before Napoleon
