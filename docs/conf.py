"""Configuration of the documentation, built by `make docs`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

import inventories  # noqa: E402 (found by the line above)

import sgan_sklearn  # noqa: E402 (isort puts it after that)

project = "sgan_sklearn"
author = "The sgan_sklearn developers"
copyright = "The sgan_sklearn developers"
version = release = sgan_sklearn.__version__

extensions = [
    "benchmark_results",
    "code_links",
    "mathml",
    "myst_parser",
    "numpydoc",
    "package_plot",
    "parameter_groups",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_ext", "**/README.*"]
templates_path = ["_templates"]
nitpicky = True
nitpick_ignore = [("py:class", "torch.optim.adam.Adam")]  # torch documents it as torch.optim.Adam

# --- docstrings -----------------------------------------------------------------------------

default_role = "autolink"
autosummary_generate = True
toc_object_entries_show_parents = "hide"
autodoc_typehints = "none"  # the sections of numpydoc say more
numpydoc_show_class_members = False

# --- pages in Markdown ------------------------------------------------------------------------

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
html_math_renderer = "mathml"

# --- links to other projects --------------------------------------------------------------------

# The second place is a short list of our own, so that the site can be built without a network.
intersphinx_mapping = {
    name: (address, (None, inventories.write(name, DOCS / "_build" / "inventories")))
    for name, address in inventories.ADDRESSES.items()
}
intersphinx_timeout = 5
if os.environ.get("DOCS_OFFLINE", "1") == "1":
    intersphinx_mapping = {
        name: (address, places[1]) for name, (address, places) in intersphinx_mapping.items()
    }

# --- gallery ----------------------------------------------------------------------------------

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"__init__\.py|output",
    "within_subsection_order": "gallery_order.Order",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "matplotlib_animations": (True, "jshtml"),
    "min_reported_time": 1,
    "write_computation_times": False,
    "reference_url": {"sgan_sklearn": None},
    "doc_module": ("sgan_sklearn",),
    "backreferences_dir": "api/backreferences",
    "parallel": int(os.environ.get("DOCS_JOBS", "1")),
}

# Neither prompts nor what Python answers.
copybutton_exclude = ".linenos, .gp, .go"

# --- look ---------------------------------------------------------------------------------------

html_theme = "pydata_sphinx_theme"
html_title = "sgan_sklearn"
html_logo = html_favicon = "_static/logo.svg"
html_context = {"default_mode": "auto"}
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/sgan-sklearn/sgan-sklearn",
    "header_links_before_dropdown": 6,
    "show_prev_next": False,
    "show_toc_level": 2,
    "navbar_align": "left",
    "logo": {"text": "sgan_sklearn"},
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}


def skip_metadata_requests(app, what, name, obj, skip, options):
    """Leave out scikit-learn's ``set_fit_request`` and the like, which it documents itself."""
    return True if name.startswith("set_") and name.endswith("_request") else skip


def setup(app):
    """Tell Sphinx of the hook."""
    app.connect("autodoc-skip-member", skip_metadata_requests)
