"""Class probabilities on the tables of the suite: log loss, Brier score and calibration error.

All tables with 5, 10 and 25 labels per class, as in `tabular_suite.py`. The classifiers are the
semi-supervised ones and those supervised ones that have probabilities by default.

- log loss: the mean of -log p of the true class, where p is at least 0.001: some classifiers have
  p = 0, whose logarithm would decide the mean
- Brier score: the mean of the squared distance from the probabilities to the true class
- calibration error: the mean difference of the largest probability and the accuracy, in 15 bins

    python benchmarks/calibration.py --data DIR --jobs 2

It takes about an hour on two cores, and can be interrupted at any time and resumed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _cells import few_labels, seeded, table
from _tables import draw_rows, load_table, suite_cells, suite_options
from tabular_suite import (
    DEFAULT,
    HELD_OUT,
    LABELS_PER_CLASS,
    METHODS,
    N_TRAINING_ROWS,
    OURS,
    ROWS_PER_LABEL,
    SEMI_SUPERVISED,
    encoder,
)

from sgan_sklearn.inspection._numbers import class_probabilities

NAMES = (
    DEFAULT,
    "the same network on the labels alone",
    "LabelSpreading (knn, 7 neighbors)",
    "SelfTraining (LogisticRegression)",
    "SelfTraining (RandomForest)",
    "LogisticRegression",
    "RandomForest (500 trees)",
    "ExtraTrees (500 trees)",
    "vote of both forests and LogisticRegression",
    "LinearDiscriminantAnalysis (shrinkage)",
    "GaussianProcess",
)
CLASSIFIERS = {name: METHODS[name] for name in NAMES}
SMALLEST = 1e-3
N_BINS = 15
METRICS = ("log_loss", "brier_score", "calibration_error")


def scores(probabilities: np.ndarray, codes: np.ndarray) -> dict[str, float]:
    """Return the three scores of class probabilities."""
    rows = np.arange(len(codes))
    of_true = probabilities[rows, codes]
    errors = probabilities.copy()
    errors[rows, codes] -= 1
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == codes
    bins = np.minimum((confidence * N_BINS).astype(int), N_BINS - 1)
    gaps = [abs((right[bins == i] - confidence[bins == i]).sum()) for i in np.unique(bins)]
    return {
        "log_loss": float(-np.log(of_true.clip(SMALLEST)).mean()),
        "brier_score": float(np.square(errors).sum(axis=1).mean()),
        "calibration_error": float(sum(gaps) / len(codes)),
    }


def measure(key: dict, folder: Path | None) -> dict:
    """Return the scores of one method on one draw."""
    torch.set_num_threads(1)
    per_class, seed = key["labels_per_class"], key["draw"]
    draw = draw_rows(
        load_table(key["dataset"], folder), ROWS_PER_LABEL * per_class, N_TRAINING_ROWS, seed
    )
    y = few_labels(draw.y_train, per_class, seed=seed)
    X_train, X_test = draw.X_train, draw.X_test
    if key["method"] not in OURS:
        prepare = encoder().fit(X_train)
        X_train, X_test = (prepare.transform(X) for X in (X_train, X_test))
    classifier = seeded(CLASSIFIERS[key["method"]], seed)
    used = np.full(len(y), True)
    if key["method"] not in {**OURS, **SEMI_SUPERVISED}:
        used = y != -1
    with np.errstate(all="ignore"):  # graphs of neighbors may be disconnected
        classifier.fit(X_train[used], y[used])
        probabilities = class_probabilities(classifier, X_test)
    return scores(probabilities, np.searchsorted(classifier.classes_, draw.y_test))


def summarize(cells: list[dict]) -> str:
    """Return the mean scores of each method, sorted by the log loss."""
    of_method: dict[str, list[dict]] = {}
    for cell in cells:
        of_method.setdefault(cell["key"]["method"], []).append(cell)
    places = [{_place(cell) for cell in found} for found in of_method.values()]
    common = set.intersection(*places) if places else set()
    rows = []
    for method, found in of_method.items():
        chosen = [cell for cell in found if _place(cell) in common]
        held_out = [cell for cell in chosen if cell["key"]["dataset"] in HELD_OUT]
        rows.append(
            [
                method,
                *(f"{np.mean([cell[metric] for cell in chosen]):.3f}" for metric in METRICS),
                f"{np.mean([cell['log_loss'] for cell in held_out]):.3f}" if held_out else "-",
            ]
        )
    rows.sort(key=lambda row: float(row[1]))
    title = f"Means over {len(common)} draws of labels on the tables; smaller is better\n\n"
    header = ["method", "log loss", "Brier score", "calibration error", "log loss, held out"]
    return title + table(header, rows)


def _place(cell: dict) -> tuple:
    return tuple(cell["key"][name] for name in ("dataset", "labels_per_class", "draw"))


def main() -> None:
    options = suite_options(__doc__, "calibration", CLASSIFIERS, LABELS_PER_CLASS, n_draws=2)
    print(summarize(suite_cells(options, CLASSIFIERS, measure)))


if __name__ == "__main__":
    main()
