"""Links from code in the Markdown pages to the API: `SGANClassifier` in backticks is enough.

So the pages need no roles, which GitHub would show as text. In each section, the first mention of a
name is a link.
"""

from __future__ import annotations

import inspect
import re
from functools import cache
from importlib import import_module

import inventories
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from sgan_sklearn.architectures import ARCHITECTURES
from sgan_sklearn.augmentations import AUGMENTATIONS
from sgan_sklearn.objectives import OBJECTIVES
from sgan_sklearn.regularizers import REGULARIZERS
from sgan_sklearn.samplers import SAMPLERS

PACKAGE = "sgan_sklearn"
MODULES = (
    PACKAGE,
    *(
        f"{PACKAGE}.{name}"
        for name in (
            "architectures",
            "augmentations",
            "calibration",
            "callbacks",
            "inspection",
            "metrics",
            "model_selection",
            "objectives",
            "regularizers",
            "samplers",
        )
    ),
)
REGISTRIES = (ARCHITECTURES, AUGMENTATIONS, OBJECTIVES, REGULARIZERS, SAMPLERS)


@cache
def targets() -> dict[str, str]:
    """Return the documented name that each code on a page stands for."""
    found = {}
    for project in inventories.NAMES.values():
        for name in project:
            found[name] = name
            short = name.rpartition(".")[2]
            if "." in name and short[0].isupper():
                found[short] = name
    for module in MODULES[::-1]:  # the shortest place of a name counts
        if module != PACKAGE:
            found[module] = module
        for name in import_module(module).__all__:
            value = getattr(import_module(module), name)
            if inspect.isclass(value) or inspect.isfunction(value):
                found[name] = found[f"{module}.{name}"] = f"{module}.{name}"
            if inspect.isclass(value):
                for method in vars(value):
                    if not method.startswith("_") and callable(getattr(value, method)):
                        found[f"{name}.{method}"] = f"{module}.{name}.{method}"
    classes = {part.__name__: name for registry in REGISTRIES for name, part in registry.items()}
    return {**found, **{f'"{name}"': found[part] for part, name in classes.items()}}


def target_of(code: str) -> str | None:
    """Return the documented name of a piece of code: a name, or a call of it."""
    called = re.match(r"([\w.]+)\(", code)
    return targets().get(called[1] if called else code)


class CodeLinks(SphinxTransform):
    """Make links of the names in backticks."""

    default_priority = 400  # before the references are resolved

    def apply(self) -> None:
        """Replace the first mention of each name in a section."""
        if not self.document["source"].endswith(".md"):
            return
        for section in self.document.findall(nodes.section):
            linked = set()
            for literal in section.findall(nodes.literal):
                place = _section_of(literal)
                target = target_of(literal.astext())
                if place is not section or target is None or target in linked:
                    continue
                if isinstance(literal.parent, nodes.title | nodes.reference):
                    continue
                linked.add(target)
                link = addnodes.pending_xref(
                    "", refdomain="py", reftype="obj", reftarget=target, refexplicit=True
                )
                literal.replace_self(link)
                link.append(literal)


def _section_of(node: nodes.Node) -> nodes.Node:
    while not isinstance(node, nodes.section):
        node = node.parent
    return node


def setup(app: Sphinx) -> dict:
    """Register the transform."""
    app.add_transform(CodeLinks)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
