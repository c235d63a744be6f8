"""Headings among the parameters of `SGANClassifier` on its API page."""

from __future__ import annotations

from typing import Any

from sphinx.application import Sphinx

CLASS = "sgan_sklearn.SGANClassifier"

# The first parameter of each group.
GROUPS = {
    "architecture": "Model",
    "categorical_features": "Rows and labels",
    "max_epochs": "Training",
    "early_stopping": "Early stopping",
    "callbacks": "Callbacks, randomness and output",
}


def add_headings(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Insert a heading before the first parameter of each group, after numpydoc."""
    if name != CLASS:
        return
    start = lines.index(":Parameters:")
    for parameter, heading in GROUPS.items():
        prefix = f"    **{parameter}** : "
        place = next(i for i in range(start, len(lines)) if lines[i].startswith(prefix))
        lines[place:place] = [f"    .. rubric:: {heading}", ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the headings."""
    app.connect("autodoc-process-docstring", add_headings, priority=600)  # numpydoc has 500
    return {"parallel_read_safe": True}
