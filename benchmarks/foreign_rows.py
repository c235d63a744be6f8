"""Unlabeled rows of no known class: whether they harm, and whether `novelty_p_values` finds them.

On the tables of the suite with at least four classes, a quarter of the classes have no labels, but
their rows are among the unlabeled ones. Each classifier is also fitted without these rows. The
score is the balanced accuracy on test rows of the other classes. `novelty_p_values` is applied to
all test rows; p-values up to 0.1 are alarms.

    python benchmarks/foreign_rows.py --data DIR --jobs 2

It takes about an hour on two cores, and can be interrupted at any time and resumed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _cells import few_labels, mean_and_deviation, seeded, table
from _tables import draw_rows, load_table, suite_cells, suite_options
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from tabular_suite import LINEAR, N_TRAINING_ROWS, ROWS_PER_LABEL, encoder

from sgan_sklearn import SGANClassifier
from sgan_sklearn.inspection import novelty_p_values

LABELS_PER_CLASS = (5, 10, 25)
MIN_CLASSES = 4
ALPHA = 0.1
ON_LABELS = ("RandomForest",)  # not fitted on unlabeled rows
METHODS = {
    "SGANClassifier": SGANClassifier(device="cpu"),
    "LabelSpreading": make_pipeline(encoder(), LabelSpreading(kernel="knn", max_iter=100)),
    "SelfTraining": make_pipeline(encoder(), SelfTrainingClassifier(LINEAR)),
    "RandomForest": make_pipeline(encoder(), RandomForestClassifier()),
}


def measure(key: dict, folder: Path | None) -> dict:
    """Return the scores with and without foreign rows, and how many of them are found."""
    torch.set_num_threads(1)
    per_class, seed = key["labels_per_class"], key["draw"]
    draw = draw_rows(
        load_table(key["dataset"], folder), ROWS_PER_LABEL * per_class, N_TRAINING_ROWS, seed
    )
    classes = np.unique(draw.y_train)
    if len(classes) < MIN_CLASSES:
        return {"n_classes": len(classes)}
    hidden = np.random.RandomState(seed).choice(classes, len(classes) // 4, replace=False)
    is_foreign, is_foreign_test = (np.isin(y, hidden) for y in (draw.y_train, draw.y_test))
    y = few_labels(draw.y_train, per_class, seed=seed)
    y[is_foreign] = -1
    X_known, y_known = draw.X_test[~is_foreign_test], draw.y_test[~is_foreign_test]
    found: dict = {"n_classes": len(classes), "n_labeled": int((y != -1).sum())}
    fits = {"without": ~is_foreign, "with": np.full(len(y), True)}
    if key["method"] in ON_LABELS:
        fits = {"without": y != -1}
    for name, used in fits.items():
        classifier = seeded(METHODS[key["method"]], seed)
        with np.errstate(all="ignore"):  # graphs of neighbors may be disconnected
            classifier.fit(draw.X_train[used], y[used])
            predicted = classifier.predict(X_known)
        found[name] = float(balanced_accuracy_score(y_known, predicted))
    with np.errstate(all="ignore"):
        p_values = novelty_p_values(
            METHODS[key["method"]], draw.X_train, y, draw.X_test, random_state=seed, verbose=0
        )
    alarms = p_values <= ALPHA
    return {
        **found,
        "auc": float(roc_auc_score(is_foreign_test, -p_values)),
        "false_alarms": float(alarms[~is_foreign_test].mean()),
        "detected": float(alarms[is_foreign_test].mean()),
    }


def summarize(cells: list[dict]) -> str:
    """Return the means over the tables with enough classes."""
    rows = []
    for method in METHODS:
        for n_labels in LABELS_PER_CLASS:
            chosen = [
                cell
                for cell in cells
                if (cell["key"]["method"], cell["key"]["labels_per_class"]) == (method, n_labels)
                and cell["n_classes"] >= MIN_CLASSES
            ]
            if chosen:
                differences = [cell["with"] - cell["without"] for cell in chosen if "with" in cell]
                columns = [
                    mean_and_deviation(values) if values else "-"
                    for values in (
                        [cell["without"] for cell in chosen],
                        differences,
                        [cell["false_alarms"] for cell in chosen],
                        [cell["detected"] for cell in chosen],
                        [cell["auc"] for cell in chosen],
                    )
                ]
                rows.append([method, str(n_labels), *columns, str(len(chosen))])
    title = "In percent, mean ± standard deviation over tables and draws\n\n"
    header = ["classifier", "labels per class", "balanced accuracy without foreign rows"]
    header += ["difference with them", f"false alarms, p <= {ALPHA}", "foreign rows found"]
    return title + table([*header, "AUC", "cells"], rows)


def main() -> None:
    options = suite_options(__doc__, "foreign_rows", METHODS, LABELS_PER_CLASS, n_draws=3)
    print(summarize(suite_cells(options, METHODS, measure)))


if __name__ == "__main__":
    main()
