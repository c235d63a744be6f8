"""Tables and plots of the benchmarks, made of the committed results while the site is built.

    ```{benchmark-table} digits
    ```
    ```{benchmark-plot} digits
    ```

A table is what the benchmark of that name prints last; that of the ablation is a second one of
the published systems.
"""

from __future__ import annotations

from collections.abc import Callable
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


def state_of(name: str) -> str:
    """Return a sentence on the cells of this package, if some are not of the present code."""
    states = benchmark("_states")
    own = [cell for cell in cells(name) if states.parts_of(cell, name)]
    n_stale = sum(states.is_stale(cell, name) for cell in own)
    if n_stale == 0:
        return ""
    which = "The" if n_stale == len(own) else f"{n_stale:,} of the {len(own):,}"
    return f"{which} records of this package were measured with earlier code."


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
        for path in (results, benchmark("_states").STATES):
            self.env.note_dependency(str(path))
        if not results.exists():
            raise self.error(f"There is no {results.name}: run benchmarks/{name}.py.")
        text = TABLES[table]()
        container = nodes.container(classes=["benchmark-table"])
        lines = StringList([*text.splitlines(), "", state_of(name)], source=f"{name}.json")
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
