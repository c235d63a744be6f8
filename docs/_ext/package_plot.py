"""The parts of the package and their imports as a picture, read from the sources.

```{package-plot}
What it shows, for those who cannot see it.
```
"""

from __future__ import annotations

import ast
from pathlib import Path

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).parents[1]
PACKAGE = DOCS.parent / "sgan_sklearn"
PICTURE = DOCS / "_build" / "plots" / "package.png"
PUBLIC, PRIVATE = "#f5cba7", "#d6e4f0"


def imports(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Return the parts of the package, its folders and files, with the parts that each imports."""
    names = {_part(path, package) for path in package.rglob("*.py")} - {"__init__"}
    found: dict[str, set[str]] = {name: set() for name in names}
    for path in package.rglob("*.py"):
        if (part := _part(path, package)) == "__init__":
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                for name in node.names:
                    place = f"{node.module}.{name.name}".split(".")
                    if place[0] == package.name and place[1] in names - {part}:
                        found[part].add(place[1])
    return found


def _part(path: Path, package: Path) -> str:
    return path.relative_to(package).parts[0].removesuffix(".py")


def levels(found: dict[str, set[str]]) -> dict[str, int]:
    """Return the level of each part: one above the highest part that it imports."""
    level: dict[str, int] = {}

    def of(part: str) -> int:
        if part not in level:
            level[part] = 1 + max(map(of, found[part]), default=-1)
        return level[part]

    for part in found:
        of(part)
    return level


def direct(found: dict[str, set[str]]) -> set[tuple[str, str]]:
    """Return the imports without those that follow from others."""

    def all_below(part: str) -> set[str]:
        return found[part].union(*map(all_below, found[part]))

    return {
        (part, below)
        for part, parts in found.items()
        for below in parts
        if not any(below in all_below(other) for other in parts - {below})
    }


def draw(path: Path) -> None:
    """Draw the parts, with arrows to those that they import."""
    import matplotlib.pyplot as plt

    found = imports()
    level = levels(found)
    rows = [
        sorted(part for part in level if level[part] == i) for i in range(1 + max(level.values()))
    ]
    places = {
        part: ((i + 0.5) * 10 / len(row), level[part]) for row in rows for i, part in enumerate(row)
    }
    fig, ax = plt.subplots(figsize=(9, 7), layout="constrained")
    for part, below in sorted(direct(found)):
        (x, y), (x_below, y_below) = places[part], places[below]
        ax.annotate(
            "",
            (x_below, y_below + 0.2),
            (x, y - 0.2),
            arrowprops={"arrowstyle": "->", "color": "0.6", "shrinkA": 0, "shrinkB": 0},
        )
    for part, (x, y) in places.items():
        is_folder = (PACKAGE / part).is_dir()
        ax.text(
            x,
            y,
            f"{part}/" if is_folder else f"{part}.py",
            ha="center",
            va="center",
            fontsize=10,
            bbox={
                "boxstyle": "round,pad=0.4" if is_folder else "square,pad=0.4",
                "facecolor": PRIVATE if part.startswith("_") else PUBLIC,
                "edgecolor": "0.5",
            },
        )
    ax.set(xlim=(0, 10), ylim=(-0.5, len(rows) - 0.5))
    ax.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    fig.savefig(path, dpi=110)
    plt.close(fig)


class PackagePlot(SphinxDirective):
    """The picture of the package."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the picture."""
        for path in PACKAGE.rglob("*.py"):
            self.env.note_dependency(str(path))
        draw(PICTURE)
        source = "/" + PICTURE.relative_to(DOCS).as_posix()
        image = nodes.image(uri=source, alt=" ".join(self.content))
        image["candidates"] = {}
        return [image]


def setup(app: Sphinx) -> dict:
    """Register the directive."""
    app.add_directive("package-plot", PackagePlot)
    return {"parallel_read_safe": True}
