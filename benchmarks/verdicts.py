"""How often the verdicts of `compare_with_labels_alone` agree with the test rows.

On the tables of the suite, with 5, 10 and 25 labels per class, it compares semi-supervised
classifiers with the same ones on the labels alone, by cross-validation on the labels. The same two
classifiers are also fitted on all labels and scored on the test rows. A verdict is wrong if it is
"helps" and the score on the test rows is lower with the unlabeled rows, or "harms" and it is
higher.

    python benchmarks/verdicts.py --data DIR --jobs 2

It takes hours on two cores, and can be interrupted at any time and resumed.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from inspect import signature
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _cells import few_labels, table
from _tables import draw_rows, load_table, suite_cells, suite_options
from sklearn.model_selection import PredefinedSplit
from sklearn.pipeline import make_pipeline
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from tabular_suite import LINEAR, N_TRAINING_ROWS, ROWS_PER_LABEL, encoder

from sgan_sklearn import SGANClassifier
from sgan_sklearn.inspection import Comparison, compare_with_labels_alone

LABELS_PER_CLASS = (5, 10, 25)
LEVELS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
ESTIMATORS = {
    "SGANClassifier": SGANClassifier(device="cpu"),
    "LabelSpreading": make_pipeline(encoder(), LabelSpreading(kernel="knn", max_iter=100)),
    "SelfTraining": make_pipeline(encoder(), SelfTrainingClassifier(LINEAR)),
}


def measure(key: dict, folder: Path | None) -> dict:
    """Return the scores of the splits and those of the test rows."""
    torch.set_num_threads(1)
    per_class, seed = key["labels_per_class"], key["draw"]
    draw = draw_rows(
        load_table(key["dataset"], folder), ROWS_PER_LABEL * per_class, N_TRAINING_ROWS, seed
    )
    y = few_labels(draw.y_train, per_class, seed=seed)
    compare = partial(
        compare_with_labels_alone,
        ESTIMATORS[key["method"]],
        baselines=None,
        random_state=seed,
        verbose=0,
    )
    n_labeled, n_test = int((y != -1).sum()), len(draw.y_test)
    on_test = PredefinedSplit(np.repeat([-1, 0], [n_labeled, n_test]))
    with np.errstate(all="ignore"):  # graphs of neighbors may be disconnected
        found = compare(draw.X_train, y)
        X, y = pd.concat([draw.X_train, draw.X_test]), np.concatenate([y, draw.y_test])
        tested = compare(X, y, cv=on_test)
    return {
        "scores": {name: values.tolist() for name, values in found.scores.items()},
        "test_scores": {name: float(values[0]) for name, values in tested.scores.items()},
        "n_labeled": n_labeled,
        "n_unlabeled": found.n_unlabeled,
        "test_ratio": found.test_ratio,
    }


def verdict(cell: dict, level: float) -> tuple[str, bool]:
    """Return the verdict at a confidence level, and whether it is wrong on the test rows."""
    scores = {name: np.array(values) for name, values in cell["scores"].items()}
    numbers = {name: cell[name] for name in ("n_labeled", "n_unlabeled", "test_ratio")}
    found = Comparison(scores, {}, "", confidence_level=level, **numbers).verdict
    with_unlabeled, alone = cell["test_scores"].values()
    is_wrong = {
        "helps": with_unlabeled < alone,
        "harms": with_unlabeled > alone,
        "cannot tell": False,
    }
    return found, is_wrong[found]


def summarize(cells: list[dict]) -> str:
    """Return the numbers of verdicts and of wrong ones, by level, and by labels and method."""
    groups = {
        f"{method}, {n} labels per class": [
            cell
            for cell in cells
            if (cell["key"]["method"], cell["key"]["labels_per_class"]) == (method, n)
        ]
        for method in ESTIMATORS
        for n in LABELS_PER_CLASS
    }
    level = signature(compare_with_labels_alone).parameters["confidence_level"].default
    rows = [[f"all, level {level}", *_counts(cells, level)] for level in LEVELS]
    rows += [[name, *_counts(group, level)] for name, group in groups.items() if group]
    title = f"Verdicts; where no level is given, it is the default, {level}\n\n"
    header = ["cells", "number", "helps", "harms", "cannot tell", "wrong", "share of wrong ones"]
    return title + table(header, rows)


def _counts(cells: list[dict], level: float) -> list[str]:
    found = [verdict(cell, level) for cell in cells]
    counts = Counter(name for name, _ in found)
    n_wrong = sum(is_wrong for _, is_wrong in found)
    n_given = counts["helps"] + counts["harms"]
    share = f"{n_wrong / n_given:.0%}" if n_given else "-"
    numbers = [len(cells), counts["helps"], counts["harms"], counts["cannot tell"], n_wrong]
    return [*map(str, numbers), share]


def main() -> None:
    options = suite_options(__doc__, "verdicts", ESTIMATORS, LABELS_PER_CLASS, n_draws=3)
    print(summarize(suite_cells(options, ESTIMATORS, measure)))


if __name__ == "__main__":
    main()
