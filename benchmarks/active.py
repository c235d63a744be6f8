"""Labels saved by `suggest_labels`, compared with labels of random rows.

On the tables of the suite, a classifier gets three labels per class on average, and then more in
batches, up to 25. The rows are random, or those of `suggest_labels`: typical rows for the first
batch, and uncertain ones, according to the classifier of the previous batch, for the others. Labels
of random rows have the class proportions of the table. The goal is the score with 25 random
labels of each class: how many labels are needed to reach it? The scores are the accuracy and the
balanced accuracy on the test rows, as means over the draws of each table.

    python benchmarks/active.py --data DIR --jobs 2

It takes hours on two cores, and can be interrupted at any time and resumed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _cells import few_labels, seeded, table
from _tables import draw_rows, load_table, suite_cells, suite_options
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import accuracy_score, balanced_accuracy_score
from sklearn.pipeline import make_pipeline
from tabular_suite import HELD_OUT, LINEAR, N_TRAINING_ROWS, ROWS_PER_LABEL, encoder

from sgan_sklearn import SGANClassifier
from sgan_sklearn.inspection import suggest_labels

# Labels per class, on average, after each batch.
BUDGETS = (3, 5, 7.5, 10, 15, 20, 25)

# What is counted, relative to all labels, if the goal is not reached with them.
NOT_REACHED = 1.25

GOAL, RANDOM, SUGGESTED = "25 labels of each class", "random rows", "suggested rows"
CLASSIFIERS = {
    "SGANClassifier": SGANClassifier(device="cpu"),
    "RandomForest": make_pipeline(encoder(), RandomForestClassifier()),
    "LogisticRegression": make_pipeline(encoder(), LINEAR),
}
METHODS = {
    f"{name}, {rows}": classifier
    for name, classifier in CLASSIFIERS.items()
    for rows in (GOAL, RANDOM, SUGGESTED)
}


def measure(key: dict, folder: Path | None) -> dict:
    """Return the number of labels and the score after each batch."""
    torch.set_num_threads(1)
    per_class, seed = key["labels_per_class"], key["draw"]
    draw = draw_rows(
        load_table(key["dataset"], folder), ROWS_PER_LABEL * per_class, N_TRAINING_ROWS, seed
    )
    X, true = draw.X_train, draw.y_train
    n_classes = len(np.unique(true))
    name, rows = key["method"].split(", ")

    def fitted(y: np.ndarray) -> object:
        classifier = seeded(CLASSIFIERS[name], seed)
        if isinstance(classifier, SGANClassifier):
            return classifier.fit(X, y)
        return classifier.fit(X[y != -1], y[y != -1])

    def scores(classifier: object) -> dict:
        predicted = classifier.predict(draw.X_test)
        return {
            "accuracy": float(accuracy_score(draw.y_test, predicted)),
            "balanced_accuracy": float(balanced_accuracy_score(draw.y_test, predicted)),
        }

    if rows == GOAL:
        y = few_labels(true, per_class, seed=seed)
        return {"curve": [{"n_labels": int((y != -1).sum()), **scores(fitted(y))}]}
    rng = np.random.RandomState(seed)
    classifier, y, curve = None, np.full(len(true), -1), []
    for budget in BUDGETS:
        n_rows = round(budget * n_classes) - (y != -1).sum()
        if rows == RANDOM:
            chosen = rng.choice(np.flatnonzero(y == -1), n_rows, replace=False)
        else:
            chosen = suggest_labels(classifier, X, n_rows, y=y, random_state=rng)
        y[chosen] = true[chosen]
        known = np.unique(y[y != -1])
        if len(known) > 1:
            classifier = fitted(y)
        best = classifier or DummyClassifier().fit(X, np.full(len(X), known[0]))
        curve.append({"n_labels": int((y != -1).sum()), **scores(best)})
    return {"curve": curve}


def labels_needed(curve: list[tuple[int, float]], goal: float) -> float:
    """Return the labels at which a curve reaches the goal, 1.25 times the last if it does not."""
    before: tuple[int, float] | None = None
    for n, score in curve:
        if score >= goal:
            if before is None:
                return n
            return before[0] + (goal - before[1]) / (score - before[1]) * (n - before[0])
        before = n, score
    return NOT_REACHED * curve[-1][0]


def shares(cells: list[dict], name: str, metric: str) -> dict[str, dict[str, float]]:
    """Return the share of the labels that random and suggested rows need, by table."""
    curves: dict[str, dict[str, dict[int, list[dict]]]] = {}
    for cell in cells:
        key = cell["key"]
        if key["method"].startswith(f"{name}, "):
            by_rows = curves.setdefault(key["dataset"], {})
            rows = key["method"].removeprefix(f"{name}, ")
            by_rows.setdefault(rows, {})[key["draw"]] = cell["curve"]
    found: dict[str, dict[str, float]] = {RANDOM: {}, SUGGESTED: {}}
    for dataset, by_rows in sorted(curves.items()):
        draws = set.intersection(*(set(by_rows.get(rows, {})) for rows in (GOAL, *found)))
        if not draws:
            continue
        mean = {
            rows: [
                (points[0]["n_labels"], float(np.mean([point[metric] for point in points])))
                for points in zip(*(by_rows[rows][draw] for draw in sorted(draws)), strict=True)
            ]
            for rows in (GOAL, *found)
        }
        ((n_labels, goal),) = mean[GOAL]
        for rows, of_tables in found.items():
            of_tables[dataset] = labels_needed(mean[rows], goal) / n_labels
    return found


def summarize(cells: list[dict]) -> str:
    """Return the labels needed, and the mean score of each budget."""
    rows = []
    for metric in ("accuracy", "balanced_accuracy"):
        for name in CLASSIFIERS:
            found = shares(cells, name, metric)
            for kind, needed in found.items():
                if not needed:
                    continue
                values, random = np.array([*needed.values()]), np.array([*found[RANDOM].values()])
                held_out = np.array([dataset in HELD_OUT for dataset in needed])
                rows.append(
                    [
                        metric.replace("_", " "),
                        name,
                        kind,
                        f"{values.mean():.0%}",
                        f"{values[held_out].mean():.0%}" if held_out.any() else "-",
                        f"{values.max():.0%}",
                        "" if kind == RANDOM else str(int((values > random).sum())),
                        str(int((values == NOT_REACHED).sum())),
                        str(len(values)),
                    ]
                )
    header = ["score", "classifier", "labels of", "labels needed", "held out", "worst"]
    header += ["worse than random", "not reached", "tables"]
    title = "Labels needed for the score with 25 random labels of each class, relative to these\n\n"
    return title + table(header, rows)


def main() -> None:
    options = suite_options(__doc__, "active", METHODS, (25,), n_draws=3)
    print(summarize(suite_cells(options, METHODS, measure)))


if __name__ == "__main__":
    main()
