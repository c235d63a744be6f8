"""Pictures of the stored results."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from benchmark_cells import benchmark, cells

OURS, TWIN, OTHER = "#c0392b", "#e59866", "#7f9fbf"
LEAST = 70  # percent: where the axis of digits begins
LABELS, UNLABELED = "labels alone", "with unlabeled images"
LABELS_PER_CLASS = (5, 10, 25)
ALONE = "the same network on the labels alone"
FORESTS = ("RandomForest (500 trees)", "ExtraTrees (500 trees)")
IN_CURVES = (
    "SGANClassifier",
    ALONE,
    "ExtraTrees (500 trees)",
    "vote of both forests and LogisticRegression",
    "LogisticRegression",
    "SelfTraining (LogisticRegression)",
    "LabelSpreading (knn, 7 neighbors)",
)


def color(method: str) -> str:
    """Return the color of a method: ours, the same network on labels alone, all others."""
    if "labels alone" in method:
        return TWIN
    return OURS if method.startswith(("SGANClassifier", "default", UNLABELED)) else OTHER


def _plot_digits(path: Path) -> None:
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
    pairs: dict[tuple[str, int, str], dict[str, list[float]]] = {}
    spreading: dict[tuple[str, int], list[float]] = {}
    budgets = {row[:3] for row in benchmark("published_systems").BUDGETS}
    for cell in cells("published_systems"):
        system, key = cell["key"]["system"], cell["key"]
        is_budget = (system, key["dataset"], key["n_labels"]) in budgets
        accuracy = 100 * cell["accuracy"]
        if system.startswith("LabelSpreading"):
            spreading.setdefault((key["dataset"], key["n_labels"]), []).append(accuracy)
        elif (is_budget or system.startswith("conv")) and key["device"] == "cpu":
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
    chosen = [cell for cell in cells("sample_quality") if cell["key"]["share_of_labels"] == 1]
    tables = sorted({cell["key"]["table"] for cell in chosen})
    methods = list(dict.fromkeys(cell["key"]["method"] for cell in chosen))
    markers = dict(zip(methods, "ovs^DPXp*"[: len(methods)], strict=True))
    n_lines = -(-len(tables) // 4)
    n_columns = -(-len(tables) // n_lines)
    fig, grid = plt.subplots(
        n_lines, n_columns, figsize=(2.5 * n_columns, 2.7 * n_lines + 0.7), layout="constrained"
    )
    axes, handles = np.ravel(grid), {}
    for ax, name in zip(axes, tables, strict=False):
        for method in methods:
            own = [c for c in chosen if c["key"]["table"] == name and c["key"]["method"] == method]
            if not own:  # ForestDiffusion is fitted to some of the tables
                continue
            told = 100 * np.mean([cell["told_apart"] for cell in own])
            accuracy = 100 * np.mean([cell["accuracy"] for cell in own])
            ours = OURS if method == "SGANClassifier" else TWIN
            shade = ours if method.startswith("SGAN") else "black" if method[0] == "r" else OTHER
            (handles[method],) = ax.plot(told, accuracy, markers[method], ms=8, color=shade)
        ax.set(title=name, xlabel="detection AUC, % (50: perfect)")
        ax.grid(alpha=0.3)
    for ax in axes[len(tables) :]:
        ax.set_axis_off()
    fig.supylabel("accuracy learned from the rows, %", size="medium")
    fig.legend(handles.values(), handles.keys(), loc="outside lower center", ncols=n_columns)
    fig.savefig(path, dpi=110)
    plt.close(fig)


def _suite() -> tuple[np.ndarray, list[str], list[str]]:
    """Return balanced accuracies of the suite in percent, the methods and the tables.

    The axes are those of methods, tables and numbers of labels; each is a mean over draws.
    """
    found: dict[tuple, list[float]] = {}
    settings: dict[str, str] = {}
    for cell in cells("tabular_suite"):
        key = cell["key"]
        if settings.setdefault(key["method"], key["settings"]) != key["settings"]:
            raise ValueError(f"The cells of {key['method']} have different settings.")
        place = key["method"], key["dataset"], key["labels_per_class"]
        found.setdefault(place, []).append(100 * cell["balanced_accuracy"])
    methods, tables = (sorted({place[axis] for place in found}) for axis in (0, 1))
    values = [
        [[np.mean(found[method, name, n]) for n in LABELS_PER_CLASS] for name in tables]
        for method in methods
    ]
    return np.array(values), methods, tables


def _plot_number_of_labels(path: Path) -> None:
    """Draw the mean over the tables against the number of labels."""
    values, methods, _ = _suite()
    fig, ax = plt.subplots(figsize=(8, 4.5), layout="constrained")
    shades = (OURS, TWIN, "#1f4e79", "#5d8aa8", "#6b8e23", "#8fbc8f", "0.6")
    for method, marker, shade in zip(IN_CURVES, "os^vDPX", shades, strict=True):
        means = values[methods.index(method)].mean(axis=0)
        ax.plot(LABELS_PER_CLASS, means, f"{marker}-", color=shade, label=method)
    ax.set(xlabel="labels per class", ylabel="balanced accuracy, %")
    ax.set_xscale("log")
    ax.set_xticks(LABELS_PER_CLASS, list(map(str, LABELS_PER_CLASS)))
    ax.minorticks_off()
    ax.legend()
    ax.grid(alpha=0.3)
    fig.savefig(path, dpi=110)
    plt.close(fig)


def _plot_cost(path: Path) -> None:
    """Draw the mean over the tables against the seconds of a fit and a prediction."""
    values, methods, _ = _suite()
    seconds: dict[str, list[float]] = {}
    for cell in cells("tabular_suite"):
        seconds.setdefault(cell["key"]["method"], []).append(cell["seconds"])
    means = values.mean(axis=(1, 2))
    order = np.argsort(means)
    fig, ax = plt.subplots(figsize=(9, 5.5), layout="constrained")
    heights = np.linspace(means.min(), means.max(), len(order))
    for i, height in zip(order, heights, strict=True):
        method, x = methods[i], np.median(seconds[methods[i]])
        ax.plot(x, means[i], "o", ms=10 if color(method) == OURS else 6, color=color(method))
        # The names are in a column beside the points, in the order of the methods.
        ax.annotate(
            f"{means[i]:.1f}  {method}",
            (x, means[i]),
            (1.08, height),
            textcoords=ax.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=color(method) if color(method) != OTHER else "0.3",
            arrowprops={"arrowstyle": "-", "color": "0.85", "lw": 0.6, "relpos": (0, 0.5)},
            zorder=0,
        )
    ax.set(xscale="log", xlabel="seconds on one core, median", ylabel="balanced accuracy, %")
    ax.set_xticks([0.1, 1], ["0.1", "1"])
    ax.grid(alpha=0.3)
    fig.savefig(path, dpi=110)
    plt.close(fig)


def _plot_gains(path: Path) -> None:
    """Draw the gain of each table over the labels alone, and over the best forest."""
    values, methods, tables = _suite()
    means = dict(zip(methods, values.mean(axis=2), strict=True))
    best_forest = np.max([means[method] for method in FORESTS], axis=0)
    gains = means["SGANClassifier"] - means[ALONE]
    order = np.argsort(gains)
    fig, ax = plt.subplots(figsize=(8, 5.5), layout="constrained")
    bars = {"over the same network on the labels alone": gains}
    bars["over the better of two forests"] = means["SGANClassifier"] - best_forest
    for i, (name, gain) in enumerate(bars.items()):
        places = np.arange(len(tables)) + 0.2 - 0.4 * i
        ax.barh(places, gain[order], 0.4, label=name, color=(TWIN, OTHER)[i])
    ax.axvline(0, color="0.3", lw=1)
    ax.set_yticks(range(len(tables)), [tables[i].replace("_", " ") for i in order])
    ax.set(xlabel="gain of SGANClassifier in balanced accuracy, points")
    ax.legend(loc="lower right")
    ax.grid(axis="x", alpha=0.3)
    fig.savefig(path, dpi=110)
    plt.close(fig)


PLOTTERS: dict[str, Callable[[Path], None]] = {
    "cost": _plot_cost,
    "digits": _plot_digits,
    "gains": _plot_gains,
    "number_of_labels": _plot_number_of_labels,
    "published_systems": _plot_published_systems,
    "sample_quality": _plot_sample_quality,
    "tabular_suite": _plot_tabular_suite,
}
