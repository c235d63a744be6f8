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
    for parameter, heading in GROUPS.items():
        prefix = f"    **{parameter}** : "
        places = [i for i, line in enumerate(lines) if line.startswith(prefix)]
        if len(places) != 1:
            raise ValueError(f"{CLASS} has no parameter {parameter!r}, where a group begins.")
        lines[places[0] : places[0]] = [f"    .. rubric:: {heading}", ""]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the headings."""
    app.connect("autodoc-process-docstring", add_headings, priority=600)  # numpydoc has 500
    return {"parallel_read_safe": True}
