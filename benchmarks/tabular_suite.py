"""Few labels on many tables: SGANClassifier with its defaults compared with other methods.

All tables of a folder (or of OpenML), with 5, 10 and 25 labels per class and all other training
rows unlabeled. Classes with fewer than four times as many rows are removed. The test rows are the
official ones, or a stratified 30 %; there are at most 5,000 training rows. The score is the
balanced accuracy on the test rows. Every method has its default parameters, except for those in its
name. SGANClassifier receives the table without preprocessing; the other methods receive
standardized numbers and one-hot encoded categories, fitted on all training rows.

The tables called "held out" were not used to choose the defaults of SGANClassifier.

    python benchmarks/tabular_suite.py --data DIR --jobs 2

It takes hours on two cores, and can be interrupted at any time and resumed.
"""

from __future__ import annotations

import argparse
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from _cells import add_run_options, few_labels, learn_and_predict, run_cells, settings, table
from _tables import draw_rows, load_table, names
from scipy.stats import rankdata, studentized_range
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.gaussian_process import GaussianProcessClassifier
from sklearn.gaussian_process.kernels import RBF, ConstantKernel
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC

from sgan_sklearn import SGANClassifier
from sgan_sklearn._training.ensemble import BalancedSelfTraining

# Not used to choose any default.
HELD_OUT = ("adult", "bank_marketing", "credit_g", "letter", "magic04", "mushroom", "nursery")

LABELS_PER_CLASS = (5, 10, 25)
ROWS_PER_LABEL = 4
N_TRAINING_ROWS = 5_000

DEFAULT = "SGANClassifier"
TWIN = "the same network on the labels alone"
OURS = {
    DEFAULT: SGANClassifier(device="cpu"),
    TWIN: SGANClassifier(unsupervised_weight=0, device="cpu"),
}
TREES = {"n_estimators": 500}
BOTH_FORESTS = [
    ("extra", ExtraTreesClassifier(**TREES)),
    ("random", RandomForestClassifier(**TREES)),
]
LINEAR = LogisticRegression(max_iter=1000)
SEMI_SUPERVISED = {
    "LabelSpreading (knn, 7 neighbors)": LabelSpreading(kernel="knn", n_neighbors=7),
    "LabelSpreading (rbf)": LabelSpreading(),
    "LabelPropagation (knn, 7 neighbors)": LabelPropagation(kernel="knn", n_neighbors=7),
    "SelfTraining (LogisticRegression)": SelfTrainingClassifier(LogisticRegression(max_iter=1000)),
    "SelfTraining (RandomForest)": SelfTrainingClassifier(RandomForestClassifier()),
    "SelfTraining (SVC)": SelfTrainingClassifier(CalibratedClassifierCV(SVC(), ensemble=False)),
    "class-balanced SelfTraining (LogisticRegression)": BalancedSelfTraining(LINEAR),
    "class-balanced SelfTraining (ExtraTrees)": BalancedSelfTraining(ExtraTreesClassifier(**TREES)),
}
SUPERVISED = {
    "LogisticRegression": LogisticRegression(max_iter=1000),
    "RandomForest": RandomForestClassifier(),
    "HistGradientBoosting": HistGradientBoostingClassifier(),
    "SVC": SVC(),
    "5 nearest neighbors": KNeighborsClassifier(),
    "RandomForest (500 trees)": RandomForestClassifier(**TREES),
    "ExtraTrees (500 trees)": ExtraTreesClassifier(**TREES),
    "vote of both forests": VotingClassifier(BOTH_FORESTS, voting="soft"),
    "vote of both forests and LogisticRegression": VotingClassifier(
        [*BOTH_FORESTS, ("linear", LINEAR)], voting="soft"
    ),
    "LinearDiscriminantAnalysis (shrinkage)": LinearDiscriminantAnalysis("lsqr", shrinkage="auto"),
    # From a length scale of 1, most kernels of many columns are zero, and the search does not move.
    "GaussianProcess": GaussianProcessClassifier(ConstantKernel() * RBF(10.0)),
}
# Classifiers that a user would try first.
SIMPLE = ("RandomForest (500 trees)", "ExtraTrees (500 trees)", "LogisticRegression")
METHODS = {**OURS, **SEMI_SUPERVISED, **SUPERVISED}


def encoder():
    """Return a transformer from a table to the numbers for the other methods."""
    numbers = make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    categories = make_pipeline(
        SimpleImputer(strategy="constant", fill_value="missing"),
        OneHotEncoder(handle_unknown="ignore", sparse_output=False),
    )
    return make_column_transformer(
        (numbers, make_column_selector(dtype_include="number")),
        (categories, make_column_selector(dtype_include="category")),
    )


def method_named(name: str) -> object:
    """Return a method of the suite, or an instance of a class given as ``package:Class``."""
    if name in METHODS:
        return METHODS[name]
    module, _, class_name = name.partition(":")
    return getattr(import_module(module), class_name)()


def stored_methods(cells: list[dict]) -> list[str]:
    """Return the methods of the suite, and those that were named with ``--peer``."""
    return list(dict.fromkeys([*METHODS, *(cell["key"]["method"] for cell in cells)]))


def keys(datasets: list[str], labels: list[int], methods: list[str], n_draws: int) -> list[dict]:
    return [
        {
            "dataset": dataset,
            "labels_per_class": n_labels,
            "method": method,
            "settings": settings(method_named(method)),
            "draw": draw,
        }
        # Draw by draw, so that an interrupted run has some results for everything.
        for draw in range(n_draws)
        for n_labels in labels
        for dataset in datasets
        for method in methods
    ]


def measure(key: dict, folder: Path | None) -> dict:
    """Return the balanced accuracy of one method on one draw."""
    torch.set_num_threads(1)
    per_class = key["labels_per_class"]
    draw = draw_rows(
        load_table(key["dataset"], folder), ROWS_PER_LABEL * per_class, N_TRAINING_ROWS, key["draw"]
    )
    y = few_labels(draw.y_train, per_class, seed=key["draw"])
    X_train, X_test = draw.X_train, draw.X_test
    if key["method"] not in OURS:
        prepare = encoder().fit(X_train)
        X_train, X_test = (prepare.transform(X) for X in (X_train, X_test))
    predicted = learn_and_predict(
        method_named(key["method"]),
        X_train,
        y,
        X_test,
        seed=key["draw"],
        labels_alone=key["method"] not in {**OURS, **SEMI_SUPERVISED},
        quiet=key["method"] not in OURS,
    )
    return {"balanced_accuracy": float(balanced_accuracy_score(draw.y_test, predicted))}


# --- the tables and the figure --------------------------------------------------------------


def means(cells: list[dict]) -> dict[tuple[str, int], dict[str, float]]:
    """Return the mean over draws of each method, by data set and number of labels."""
    runs: dict[tuple[str, int], dict[str, list[float]]] = {}
    for cell in cells:
        key = cell["key"]
        place = runs.setdefault((key["dataset"], key["labels_per_class"]), {})
        place.setdefault(key["method"], []).append(cell["balanced_accuracy"])
    return {
        place: {method: float(np.mean(values)) for method, values in methods.items()}
        for place, methods in sorted(runs.items())
    }


def ranks(by_place: dict[tuple[str, int], dict[str, float]], methods: list[str]) -> np.ndarray:
    """Return the ranks of the methods in each row; 1 is the best, and ties share a rank."""
    scores = [[by_place[place][method] for method in methods] for place in by_place]
    return rankdata(-np.array(scores), axis=1)


def summarize(cells: list[dict], methods: list[str]) -> str:
    """Return the tables: all methods over parts of the suite, and SGANClassifier by data set."""
    by_place = means(cells)
    complete = {p: m for p, m in by_place.items() if all(name in m for name in methods)}
    labels = sorted({n for _, n in complete})
    parts = {
        "all": complete,
        "chosen on": {p: m for p, m in complete.items() if p[0] not in HELD_OUT},
        "held out": {p: m for p, m in complete.items() if p[0] in HELD_OUT},
        **{f"{n} labels": {p: m for p, m in complete.items() if p[1] == n} for n in labels},
    }
    parts = {name: places for name, places in parts.items() if places}
    columns = {}
    for name, places in parts.items():
        scores = np.mean([[places[p][m] for m in methods] for p in places], axis=0)
        columns[name] = scores, ranks(places, methods).mean(axis=0)
    order = np.argsort(columns["all"][1])
    rows = [
        [methods[i], *(f"{100 * score[i]:.1f} ({rank[i]:.1f})" for score, rank in columns.values())]
        for i in order
    ]
    title = "Balanced accuracy in percent and, in brackets, mean rank\n\n"
    text = title + table(["method", *columns], rows)
    if DEFAULT in methods and TWIN in methods:
        peers = [m for m in methods if m not in OURS]
        rows = [
            [
                f"{dataset}{' (held out)' if dataset in HELD_OUT else ''}",
                str(n_labels),
                f"{100 * scores[DEFAULT]:.1f}",
                f"{100 * (scores[DEFAULT] - scores[TWIN]):+.1f}",
                *_best(scores, peers),
            ]
            for (dataset, n_labels), scores in complete.items()
        ]
        header = ["data", "labels", DEFAULT, "gain over labels alone"]
        header += ["best other method", "its score"]
        text += "\n\n" + table(header, rows)
        if peers:
            text += "\n\n" + _margins(complete, labels, peers)
    return text


def _margins(
    complete: dict[tuple[str, int], dict[str, float]], labels: list[int], peers: list[str]
) -> str:
    """Return the differences to the best other method, to simple classifiers and to the twin."""
    rows = []
    for part, is_part in (
        ("all tables", lambda dataset: True),
        ("chosen on", lambda dataset: dataset not in HELD_OUT),
        ("held out", lambda dataset: dataset in HELD_OUT),
    ):
        row = [part]
        for n_labels in labels:
            places = [m for (d, n), m in complete.items() if n == n_labels and is_part(d)]
            if places:
                ours = np.mean([scores[DEFAULT] for scores in places])
                best = max(np.mean([scores[name] for scores in places]) for name in peers)
            row.append(f"{100 * (ours - best):+.1f}" if places else "")
        rows.append(row)
    text = f"Mean of {DEFAULT} minus the best mean of the other methods\n\n"
    text += table(["", *(f"{n} labels" for n in labels)], rows)
    gains = {place: scores[DEFAULT] - scores[TWIN] for place, scores in complete.items()}
    below = [f"{d} ({n}, {100 * g:.1f})" for (d, n), g in sorted(gains.items()) if g < -0.005]
    text += f"\n\nMore than half a point below the labels alone: {len(below)} of {len(gains)} "
    text += f"settings: {', '.join(below) or 'none'}."
    simple = [name for name in SIMPLE if name in peers]
    differences = {
        place: scores[DEFAULT] - max(scores[name] for name in simple)
        for place, scores in complete.items()
        if place[1] >= 10
    }
    if simple and differences:
        (dataset, n_labels), worst = min(differences.items(), key=lambda item: item[1])
        text += f" Worst difference to the best of {', '.join(simple)}, from 10 labels on: "
        text += f"{100 * worst:+.1f} on {dataset} with {n_labels} labels."
    return text


def _best(scores: dict[str, float], methods: list[str]) -> list[str]:
    if not methods:
        return ["", ""]
    best = max(methods, key=scores.__getitem__)
    return [best, f"{100 * scores[best]:.1f}"]


def critical_difference(n_methods: int, n_places: int, alpha: float = 0.05) -> float:
    """Return the critical difference of mean ranks (Nemenyi's test)."""
    quantile = studentized_range.ppf(1 - alpha, n_methods, np.inf) / np.sqrt(2)
    return float(quantile * np.sqrt(n_methods * (n_methods + 1) / (6 * n_places)))


def draw_ranks(cells: list[dict], methods: list[str], path: Path) -> None:
    """Plot the mean ranks, with a line over those that do not differ from the first."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    by_place = {p: m for p, m in means(cells).items() if all(name in m for name in methods)}
    if not by_place or len(methods) < 2:
        return
    mean_ranks = ranks(by_place, methods).mean(axis=0)
    difference = critical_difference(len(methods), len(by_place))
    order = np.argsort(mean_ranks)
    fig, ax = plt.subplots(figsize=(8, 0.32 * len(methods) + 1.2), layout="constrained")
    shades = ["#c0392b" if methods[i] == DEFAULT else "#7f9fbf" for i in order]
    ax.barh([methods[i] for i in order], mean_ranks[order], color=shades)
    ax.axvline(mean_ranks.min() + difference, color="#b03a2e", lw=1)
    ax.invert_yaxis()
    ax.set_xlabel(
        f"mean rank over {len(by_place)} settings\n"
        "left of the line: not different from the first (Nemenyi, 5 %)"
    )
    fig.savefig(path, dpi=120)
    plt.close(fig)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with schema.json (default: OpenML)")
    parser.add_argument("--datasets", nargs="+", help="names (default: all)")
    parser.add_argument("--labels", nargs="+", type=int, default=list(LABELS_PER_CLASS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument(
        "--peer",
        nargs="+",
        default=[],
        metavar="PACKAGE:CLASS",
        help="other classifiers that learn from the labeled rows, with their default parameters, "
        "such as catboost:CatBoostClassifier",
    )
    parser.add_argument("--draws", type=int, default=5, help="number of draws (default: 5)")
    add_run_options(parser, "tabular_suite")
    options = parser.parse_args()
    datasets = options.datasets or names(options.data)
    methods = [*options.methods, *options.peer]
    wanted = keys(datasets, options.labels, methods, options.draws)
    run = partial(measure, folder=options.data)
    cells = run_cells(options, wanted, run)
    print(summarize(cells, methods))
    draw_ranks(cells, methods, options.output.with_suffix(".png"))


if __name__ == "__main__":
    main()
