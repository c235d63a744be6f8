"""Tables and plots of the benchmarks, made of the committed results while the site is built.

    ```{benchmark-table} digits
    ```
    ```{benchmark-plot} digits
    ```

A table is what the benchmark of that name prints last; that of the ablation is a second one of
the published systems.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

DOCS = Path(__file__).parents[1]
BENCHMARKS = DOCS.parent / "benchmarks"
PLOTS = DOCS / "_build" / "plots"


@cache
def benchmark(name: str) -> ModuleType:
    """Return the script of a benchmark as a module."""
    if str(BENCHMARKS) not in sys.path:
        sys.path.insert(0, str(BENCHMARKS))
    return import_module(name)


def cells(name: str) -> list[dict]:
    """Return the stored cells of a benchmark."""
    path = BENCHMARKS / "results" / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


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
            "fuzz_load",
            "interrupts",
            "kill_and_resume",
            "kill_save",
            "latency",
            "mutants",
            "prior_shift",
            "sample_quality",
            "soak",
            "text",
            "throughput",
        )
    },
}


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
        self.env.note_dependency(str(results))
        if not results.exists():
            raise self.error(f"There is no {results.name}: run benchmarks/{name}.py.")
        text = TABLES[table]()
        container = nodes.container(classes=["benchmark-table"])
        lines = StringList(text.splitlines(), source=f"{name}.json")
        self.state.nested_parse(lines, self.content_offset, container)
        return [container]


# --- plots ------------------------------------------------------------------------------------

OURS, TWIN, OTHER = "#c0392b", "#e59866", "#7f9fbf"
LEAST = 70  # percent: where the axis of digits begins
LABELS, UNLABELED = "labels alone", "with unlabeled images"


def color(method: str) -> str:
    """Return the color of a method: ours, the same network on labels alone, all others."""
    if "labels alone" in method:
        return TWIN
    return OURS if method.startswith(("SGANClassifier", "default", UNLABELED)) else OTHER


def _plot_digits(path: Path) -> None:
    import matplotlib.pyplot as plt
    import numpy as np

    module = benchmark("digits")
    fig, axes = plt.subplots(1, 3, figsize=(10, 4), sharey=True, layout="constrained")
    scores: dict[tuple[str, str], dict[str, list[float]]] = {}
    for cell in cells("digits"):
        key = cell["key"]
        by_scaling = scores.setdefault((key["dataset"], key["method"]), {})
        by_scaling.setdefault(key["scaling"], []).append(100 * cell["accuracy"])
    best = {place: max(runs.values(), key=np.mean) for place, runs in scores.items()}
    methods = sorted(module.METHODS, key=lambda method: np.mean(best["digits", method]))
    for ax, dataset in zip(axes, module.DATASETS, strict=True):
        for i, method in enumerate(methods):
            values = np.array(best[dataset, method])
            within = values[values >= LEAST]
            ax.plot(within, [i] * len(within), "o", ms=4, alpha=0.35, color=color(method))
            if len(within) < len(values):  # an arrow for draws that would squeeze all others
                ax.plot(LEAST, i, "<", ms=6, alpha=0.6, color=color(method))
            ax.plot(np.mean(values), i, "D", ms=7, color=color(method))
        ax.set(title=dataset.replace("_", " "), xlabel="test accuracy, %")
        ax.set_xlim(left=max(ax.get_xlim()[0], LEAST - 1))
        ax.grid(axis="x", alpha=0.3)
    axes[0].set_yticks(range(len(methods)), methods)
    fig.savefig(path, dpi=110)
    plt.close(fig)


def _plot_tabular_suite(path: Path) -> None:
    module = benchmark("tabular_suite")
    found = cells("tabular_suite")
    module.draw_ranks(found, module.stored_methods(found), path)


def _plot_published_systems(path: Path) -> None:
    """Draw what the unlabeled images add, beside the same network without them."""
    import matplotlib.pyplot as plt
    import numpy as np

    pairs: dict[tuple[str, int, str], dict[str, list[float]]] = {}
    spreading: dict[tuple[str, int], list[float]] = {}
    for cell in cells("published_systems"):
        system, key = cell["key"]["system"], cell["key"]
        accuracy = 100 * cell["accuracy"]
        if system.startswith("LabelSpreading"):
            spreading.setdefault((key["dataset"], key["n_labels"]), []).append(accuracy)
        elif system.startswith(("default", "labels alone", "conv")) and key["device"] == "cpu":
            networks = "conv" if system.startswith("conv") else "default"
            name = LABELS if LABELS in system else UNLABELED
            place = key["dataset"], key["n_labels"], networks
            pairs.setdefault(place, {}).setdefault(name, []).append(accuracy)
    places = sorted(place for place, runs in pairs.items() if len(runs) == 2)
    for place in places:
        if place[:2] in spreading:
            pairs[place]["LabelSpreading"] = spreading[place[:2]]
    fig, ax = plt.subplots(figsize=(8, 0.5 * len(places) + 1.4), layout="constrained")
    for i, place in enumerate(places):
        means = {name: float(np.mean(values)) for name, values in pairs[place].items()}
        ax.plot([means[LABELS], means[UNLABELED]], [i, i], color="0.7", lw=2, zorder=0)
        for name, mean in means.items():
            ax.plot(mean, i, "o", ms=9, color=color(name))
    names = [f"{dataset.replace('_', '-')}, {n:,} labels, {nets}" for dataset, n, nets in places]
    ax.set_yticks(range(len(places)), names)
    ax.set(xlabel="test accuracy, %")
    ax.grid(axis="x", alpha=0.3)
    handles = {
        name: plt.Line2D([], [], marker="o", ls="", ms=9, color=color(name))
        for name in (UNLABELED, LABELS, "LabelSpreading")
    }
    ax.legend(handles.values(), handles.keys(), loc="lower left")
    ax.invert_yaxis()
    fig.savefig(path, dpi=110)
    plt.close(fig)


def _plot_sample_quality(path: Path) -> None:
    import matplotlib.pyplot as plt
    import numpy as np

    chosen = [cell for cell in cells("sample_quality") if cell["key"]["share_of_labels"] == 1]
    tables = sorted({cell["key"]["table"] for cell in chosen})
    methods = list(dict.fromkeys(cell["key"]["method"] for cell in chosen))
    markers = dict(zip(methods, "ovs^DPX", strict=False))
    fig, axes = plt.subplots(1, len(tables), figsize=(10, 3.4), layout="constrained")
    for ax, name in zip(axes, tables, strict=True):
        for method in methods:
            own = [c for c in chosen if c["key"]["table"] == name and c["key"]["method"] == method]
            told = 100 * np.mean([cell["told_apart"] for cell in own])
            accuracy = 100 * np.mean([cell["accuracy"] for cell in own])
            ours = OURS if method == "SGANClassifier" else TWIN
            shade = ours if method.startswith("SGAN") else "black" if method[0] == "r" else OTHER
            ax.plot(told, accuracy, markers[method], ms=8, color=shade, label=method)
        ax.set(title=name, xlabel="detection AUC, % (50: perfect)")
        ax.grid(alpha=0.3)
    axes[0].set_ylabel("accuracy learned from the rows, %")
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    fig.savefig(path, dpi=110)
    plt.close(fig)


PLOTTERS: dict[str, Callable[[Path], None]] = {
    "digits": _plot_digits,
    "published_systems": _plot_published_systems,
    "sample_quality": _plot_sample_quality,
    "tabular_suite": _plot_tabular_suite,
}


class BenchmarkPlot(SphinxDirective):
    """A picture of a benchmark's results; the content is what it says to those who cannot see."""

    required_arguments = 1
    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the picture."""
        name = self.arguments[0]
        self.env.note_dependency(str(BENCHMARKS / "results" / f"{name}.json"))
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
