"""Tables and plots of the benchmarks, made of the committed results while the site is built.

    ```{benchmark-table} digits
    ```
    ```{benchmark-plot} digits
    ```

A table is what the benchmark of that name prints last; that of the ablation is a second one of
the published systems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmark_cells import BENCHMARKS, benchmark, cells
from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).parents[1]
PLOTS = DOCS / "_build" / "plots"


# --- tables -----------------------------------------------------------------------------------


def _digits() -> str:
    module, found = benchmark("digits"), cells("digits")
    n_draws = len({cell["key"]["draw"] for cell in found})
    return module.summarize(found, list(module.DATASETS), n_draws)


def _tabular_suite() -> str:
    module = benchmark("tabular_suite")
    found = cells("tabular_suite")
    return module.summarize(found, module.stored_methods(found))


def _published_systems() -> str:
    module = benchmark("published_systems")
    return module.summarize(cells("published_systems"), module.PLANNED)


def _ablation() -> str:
    module = benchmark("published_systems")
    return module.summarize_ablation(cells("published_systems"))


def _forged() -> str:
    return benchmark("fuzz_load").summarize_forged(cells("fuzz_load"))


def _printed(name: str) -> Callable[[], str]:
    return lambda: benchmark(name).summarize(cells(name))


TABLES: dict[str, Callable[[], str]] = {
    "ablation": _ablation,
    "digits": _digits,
    "forged": _forged,
    "published_systems": _published_systems,
    "tabular_suite": _tabular_suite,
    **{
        name: _printed(name)
        for name in (
            "active",
            "audio",
            "fit_cost",
            "foreign_rows",
            "fuzz_load",
            "interrupts",
            "kill_and_resume",
            "kill_save",
            "label_doubts",
            "latency",
            "mutants",
            "prior_shift",
            "sample_quality",
            "soak",
            "text",
            "throughput",
            "verdicts",
        )
    },
}


# The parts of a key that the columns of a table show, and the columns that take a mark.
KEY_OF = {"method": "method", "system": "system", "data": "dataset", "labels": "n_labels"}
NAMES = ("method", "system")
MARK = "†"
# Systems of the table "ablation", which omits this part of their names.
PREFIX = "ablation: "


def with_states(name: str, text: str) -> str:
    """Return a table with a mark on each row with cells of earlier code, and a sentence on them.

    If all cells of this package are of earlier code, the sentence is enough.
    """
    states = benchmark("_states")
    rows = list(_rows(text.splitlines()))
    own = [cell for cell in cells(name) if states.parts_of(cell, name)]
    # One table may show some of the cells of a benchmark, and another one the rest.
    own = [cell for cell in own if any(_shows(row, cell["key"]) for _, row in rows)] or own
    stale = [cell for cell in own if states.is_stale(cell, name)]
    if not stale:
        return text
    if len(stale) == len(own):
        return f"{text}\n\nThe records of this package were measured with earlier code."
    marked = "\n".join(_marked(rows, [cell["key"] for cell in stale]))
    sentence = f"{len(stale):,} of the {len(own):,} records of this package were measured with"
    which = f", in part or all of those of the rows with {MARK}" if MARK in marked else ""
    return f"{marked}\n\n{sentence} earlier code{which}."


def _rows(lines: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each line and its entries by column; none for lines that are no rows of a table."""
    columns: list[str] = []
    for line in lines:
        entries = [entry.strip() for entry in line.split("|")[1:-1]]
        yield line, dict(zip(columns, entries, strict=False))
        columns = (columns or entries) if line.startswith("|") else []


def _marked(rows: list[tuple[str, dict[str, str]]], stale: list[dict]) -> Iterator[str]:
    for line, row in rows:
        name = next((row[column] for column in NAMES if column in row), None)
        if name and any(_shows(row, key) for key in stale):
            yield line.replace(f"| {name} ", f"| {name} {MARK} ", 1)
        else:
            yield line


def _shows(row: dict[str, str], key: dict) -> bool:
    """Return whether a row of a table shows the cells of a key."""
    shown = {column: key[part] for column, part in KEY_OF.items() if column in row and part in key}
    return any(column in shown for column in NAMES) and all(
        row[column] == ("all" if value is None else str(value).removeprefix(PREFIX))
        for column, value in shown.items()
    )


# Benchmarks of tables that have another name.
BENCHMARK_OF = {"ablation": "published_systems", "forged": "fuzz_load"}


class BenchmarkTable(SphinxDirective):
    """What a benchmark prints last."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Return the table."""
        table = self.arguments[0]
        name = BENCHMARK_OF.get(table, table)
        results = BENCHMARKS / "results" / f"{name}.json"
        for path in filter(Path.exists, (results, benchmark("_states").STATES)):
            self.env.note_dependency(str(path))
        if not results.exists():
            raise self.error(f"There is no {results.name}: run benchmarks/{name}.py.")
        text = with_states(name, TABLES[table]())
        container = nodes.container(classes=["benchmark-table"])
        lines = StringList(text.splitlines(), source=f"{name}.json")
        self.state.nested_parse(lines, self.content_offset, container)
        return [container]


# --- plots ------------------------------------------------------------------------------------

# Plots of a benchmark that have another name.
PLOT_OF = {"cost": "tabular_suite", "gains": "tabular_suite", "number_of_labels": "tabular_suite"}


class BenchmarkPlot(SphinxDirective):
    """A picture of a benchmark's results; the content is what it says to those who cannot see."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the picture."""
        from benchmark_plots import PLOTTERS  # needs matplotlib

        name = self.arguments[0]
        results = BENCHMARKS / "results" / f"{PLOT_OF.get(name, name)}.json"
        self.env.note_dependency(str(results))
        PLOTS.mkdir(parents=True, exist_ok=True)
        path = PLOTS / f"{name}.png"
        PLOTTERS[name](path)
        source = "/" + path.relative_to(DOCS).as_posix()
        image = nodes.image(uri=source, alt=" ".join(self.content) or name)
        image["candidates"] = {}
        return [image]


def setup(app: Sphinx) -> dict:
    """Tell Sphinx of the directives."""
    app.add_directive("benchmark-table", BenchmarkTable)
    app.add_directive("benchmark-plot", BenchmarkPlot)
    return {"parallel_read_safe": True}
