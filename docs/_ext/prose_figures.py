"""The figures in the text of a page, and the results that they come from.

A comment after a paragraph, a list item or a table gives an expression for each of its figures, or
the reason why it has none::

    The unlabeled rows improve accuracy by ten points, to 94.7 percent; the goal was 94.
    <!-- figures:
    ten = gain("digits", dataset="digits")
    94.7 = percent("digits", dataset="digits", method=SGAN)
    94: a goal
    -->

A figure is a number or a fraction with a unit, such as percent, points or seconds, or a decimal
number of at least 10, such as 94.7. Smaller ones without a unit are often values of parameters.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from benchmark_cells import benchmark, cells

ROOT = Path(__file__).parents[2]
# These hold the results of trials, whose cells are not kept, or no results.
WITHOUT_RESULTS = ("notebook.md", "references.md", "whats_new.md")

SGAN = "SGANClassifier"
TWIN = "the same network on the labels alone"
# The parts of a key that tell one method from another.
VARIANT = ("method", "scaling", "features")
# Benchmarks whose accuracy is the mean recall of the classes.
BALANCED = ("tabular_suite",)

WORDS = [
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
]
FRACTIONS = {"half": 1 / 2, "third": 1 / 3, "quarter": 1 / 4, "fifth": 1 / 5, "tenth": 1 / 10}
UNITS = "%|percent|points?|(?:milli)?seconds?|minutes?|hours?|times|MB|GB|MiB|GiB"

# Longer words come first, so that "nineteen" is not read as "nine".
NUMBER = rf"(?:\d[\d,]*(?:\.\d+)?|{'|'.join(sorted(WORDS, key=len, reverse=True))})"
BETWEEN = r"(?:,? (?:and|or|to) |, |; )"
WITH_UNIT = re.compile(rf"(?<![\w.])(?<!\w-)({NUMBER}(?:{BETWEEN}{NUMBER})*)[ -]?(?:{UNITS})(?!\w)")
FRACTION = re.compile(
    rf"\b(?:({NUMBER}) and a )?((?:{'|'.join(FRACTIONS)})s?)(?: of)?(?: an?)? (?:{UNITS})(?!\w)",
    re.IGNORECASE,
)
DECIMAL = re.compile(r"(?<![\w.:/])(?<!\w-)\d\d+\.\d+(?![\w.]*\w)")
# Code, targets of links, and versions of packages are no figures.
NO_FIGURES = re.compile(
    r"`[^`]*`|\]\([^)]*\)|https?://\S+|arXiv:\S+|(?:Python|PyTorch|NumPy|scikit-learn) [\d.]*\d"
)

COMMENT = re.compile(r"(<!--.*?-->)", re.DOTALL)
SOURCE = re.compile(r"(\S+) = (.+)")
REASON = re.compile(r"(\S+): (.+)")


@dataclass
class Block:
    """A paragraph, list item or table, with the comment after it.

    Parameters
    ----------
    line : int
        Number of its first line.
    text : str
        Its text in one line.
    sources : list of (str, str)
        The figures of the comment, each with an expression.
    reasons : list of (str, str)
        The figures without an expression, each with the reason.
    """

    line: int
    text: str
    sources: list[tuple[str, str]] = field(default_factory=list)
    reasons: list[tuple[str, str]] = field(default_factory=list)


def pages() -> list[Path]:
    """Return the README and the pages of the documentation whose figures are results."""
    found = [
        ROOT / "README.md",
        *(ROOT / "docs").glob("*.md"),
        *(ROOT / "docs").glob("[a-z]*/*.md"),
    ]
    return sorted(page for page in found if page.name not in WITHOUT_RESULTS)


def blocks(page: Path) -> list[Block]:
    """Return the paragraphs, list items and tables of a page in Markdown."""
    text = page.read_text(encoding="utf-8")
    # Without code, and with the same number of lines.
    text = re.sub(r"^```.*?^```$", lambda m: "\n" * m[0].count("\n"), text, flags=re.S | re.M)
    found: list[Block] = []
    number = 1
    for part in COMMENT.split(text):
        if part.startswith("<!-- figures:"):
            _add_comment(found[-1], part, f"{page.name}:{number}")
        elif not part.startswith("<!--"):
            _add_text(found, part, number)
        number += part.count("\n")
    return found


def _add_text(found: list[Block], text: str, number: int) -> None:
    is_open = False  # whether a line continues the last block
    for i, line in enumerate(text.split("\n")):
        content = line.strip()
        if is_open and content and not re.match(r"(?:[-*:]|\d+\.) ", content):
            found[-1].text += f" {content}"
        elif content:
            found.append(Block(number + i, content))
        is_open = bool(content)


def _add_comment(block: Block, comment: str, place: str) -> None:
    lines = comment.removeprefix("<!-- figures:").removesuffix("-->").strip().split("\n")
    for line in map(str.strip, lines):
        if match := SOURCE.fullmatch(line):
            block.sources.append((match[1], match[2]))
        elif match := REASON.fullmatch(line):
            block.reasons.append((match[1], match[2]))
        else:
            raise ValueError(
                f"{place}: a line is 'figure = expression' or 'figure: reason': {line!r}"
            )


def figures(text: str) -> Counter[str]:
    """Return the figures of a text, and how often each occurs."""
    text = NO_FIGURES.sub(" ", text.replace("**", ""))
    places = {match.start(): match[0] for match in DECIMAL.finditer(text)}
    for match in WITH_UNIT.finditer(text):
        for number in re.finditer(NUMBER, match[1]):
            places[match.start() + number.start()] = number[0]
    for match in FRACTION.finditer(text):
        places |= {match.start(i): match[i].lower() for i in (1, 2) if match[i]}
    return Counter(places.values())


def problems(page: Path) -> Iterator[str]:
    """Yield the figures of a page that differ from the results or have no source."""
    for block in blocks(page):
        place = f"{page.name}:{block.line}"
        for figure, expression in block.sources:
            computed = evaluate(expression)
            stated, unit = _number(figure)
            if abs(computed - stated) > unit / 2 + 1e-9:
                yield f"{place}: {figure} is {computed:.4g} by {expression}"
        named = Counter(figure for figure, _ in block.sources + block.reasons)
        if named["all"] == 0:
            for figure in (figures(block.text) - named).elements():
                yield f"{place}: {figure} has no source in: {block.text}"
        for figure in named - Counter(["all"]):
            if not re.search(rf"(?<![\w.]){re.escape(figure)}(?!\.?\w)", block.text):
                yield f"{place}: {figure} is not in: {block.text}"


def _number(figure: str) -> tuple[float, float]:
    """Return the value of a figure, and the unit that it is rounded to."""
    if figure.rstrip("s") in FRACTIONS:
        return FRACTIONS[figure.rstrip("s")], 0.1
    if figure in WORDS:
        return WORDS.index(figure), 1.0
    return float(figure.replace(",", "")), 10.0 ** -len(figure.partition(".")[2])


# --- expressions ------------------------------------------------------------------------------


def evaluate(expression: str) -> float:
    """Return the value of an expression of the functions below."""
    names = {
        "np": np,
        "SGAN": SGAN,
        "TWIN": TWIN,
        "HELD_OUT": benchmark("tabular_suite").HELD_OUT,
        **{function.__name__: function for function in (datasets, values, percent, gain, lead)},
        **{function.__name__: function for function in (len, max, min, sum)},
        "mean": lambda *args, **key: float(np.mean(values(*args, **key))),
        "median": lambda *args, **key: float(np.median(values(*args, **key))),
    }
    return float(eval(expression, {"__builtins__": {}, **names}))


_cells = cache(cells)


def values(name: str, figure: str = "accuracy", **key: Any) -> np.ndarray:
    """Return a figure of the cells that have it and whose key has these values."""
    path = ("balanced_accuracy" if figure == "accuracy" and name in BALANCED else figure).split("/")
    cells_of_key = (cell for cell in _cells(name) if _has(cell["key"], key))
    found = [_at(cell, path) for cell in cells_of_key if path[0] in cell]
    if not found:
        raise ValueError(f"No cell of {name} has {figure} and {key}.")
    return np.array(found, dtype=float)


def datasets(name: str) -> list[str]:
    """Return the names of the data sets of a benchmark."""
    return sorted({cell["key"]["dataset"] for cell in _cells(name)})


def _at(value: Any, path: list[str]) -> Any:
    for part in path:
        value = value[int(part)] if isinstance(value, list) else value[part]
    return value


def _has(cell_key: dict, key: dict) -> bool:
    return all(
        cell_key.get(part) in (wanted if isinstance(wanted, tuple) else (wanted,))
        for part, wanted in key.items()
    )


def _method(cell_key: dict) -> tuple:
    return tuple(cell_key.get(part) for part in VARIANT)


def percent(name: str, figure: str = "accuracy", **key: Any) -> float:
    """Return the mean of a figure in percent."""
    return 100 * float(values(name, figure, **key).mean())


def gain(name: str, **key: Any) -> float:
    """Return how much the unlabeled rows improve accuracy, in points."""
    return percent(name, method=SGAN, **key) - percent(name, method=TWIN, **key)


def lead(name: str, over: str | None = None, **key: Any) -> float:
    """Return by how many points SGANClassifier is better than the best other method.

    Its name must begin with `over`. A method whose features are scaled in several ways is several
    methods.
    """
    variants = {_method(cell["key"]) for cell in _cells(name) if _has(cell["key"], key)}
    others = {
        variant: percent(name, **dict(zip(VARIANT, variant, strict=True)), **key)
        for variant in variants
        if variant[0] not in (SGAN, TWIN)
    }
    best = max(others, key=lambda variant: others[variant])
    if over is not None and not best[0].startswith(over):
        raise ValueError(f"The best other method in {name} with {key} is {best[0]}, not {over}.")
    return percent(name, method=SGAN, **key) - others[best]
