"""The documentation as pages: `make docs`."""

from importlib.metadata import version as version_of

project = "ecalnb"
author = "The ecalnb developers"
version = release = version_of("ecalnb")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.mathjax"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # the docstrings say it, with shapes and units
napoleon_google_docstring = False
napoleon_use_rtype = napoleon_use_param = False  # types are prose, such as "array, shape (n,)"
napoleon_use_ivar = True

html_theme = "pydata_sphinx_theme"
html_title = "ecalnb"
html_copy_source = False
html_theme_options = {"show_toc_level": 2, "navigation_depth": 2}
