"""How well wrong labels are found by `label_doubts`, compared with cleanlab.

On the tables of the suite, with 10 and 25 labels per class, a fifth of the labels are replaced by
those of other classes, chosen at random. The score is the average precision of the ranking of the
labels by their doubts: 1 if all wrong ones come first, and 0.2 for a random order. cleanlab ranks
the labels by out-of-fold probabilities of logistic regression, its default, or of a random forest.

    pip install cleanlab
    python benchmarks/label_doubts.py --data DIR --jobs 2

It takes about two hours on two cores, and can be interrupted at any time and resumed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _cells import few_labels, seeded, table
from _tables import draw_rows, load_table, suite_cells, suite_options
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import average_precision_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from tabular_suite import LINEAR, N_TRAINING_ROWS, ROWS_PER_LABEL, encoder

from sgan_sklearn import SGANClassifier
from sgan_sklearn.inspection import label_doubts

LABELS_PER_CLASS = (10, 25)
SHARE_OF_WRONG = 0.2
FOREST = make_pipeline(encoder(), RandomForestClassifier())
LOGISTIC = make_pipeline(encoder(), LINEAR)
OURS = {
    "label_doubts, SGANClassifier": SGANClassifier(device="cpu"),
    "label_doubts, RandomForest": FOREST,
    "label_doubts, LogisticRegression": LOGISTIC,
}
CLEANLAB = {"cleanlab, LogisticRegression": LOGISTIC, "cleanlab, RandomForest": FOREST}
METHODS = {**OURS, **CLEANLAB}


def with_wrong_labels(y: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a copy of partly labeled rows with some wrong labels, and the mask of these."""
    rng = np.random.RandomState(seed)
    labeled = np.flatnonzero(y != -1)
    wrong = rng.choice(labeled, round(SHARE_OF_WRONG * len(labeled)), replace=False)
    noisy, classes = y.copy(), np.unique(y[labeled])
    for i in wrong:
        noisy[i] = rng.choice(classes[classes != y[i]])
    return noisy, np.isin(np.arange(len(y)), wrong)


def measure(key: dict, folder: Path | None) -> dict:
    """Return the average precision of one method on one draw."""
    torch.set_num_threads(1)
    per_class, seed, name = key["labels_per_class"], key["draw"], key["method"]
    draw = draw_rows(
        load_table(key["dataset"], folder), ROWS_PER_LABEL * per_class, N_TRAINING_ROWS, seed
    )
    y, is_wrong = with_wrong_labels(few_labels(draw.y_train, per_class, seed=seed), seed)
    labeled = y != -1
    if name in OURS:
        doubts = label_doubts(OURS[name], draw.X_train, y, random_state=seed, verbose=0)[labeled]
    else:
        doubts = cleanlab_doubts(CLEANLAB[name], draw.X_train[labeled], y[labeled], seed)
    return {"average_precision": float(average_precision_score(is_wrong[labeled], doubts))}


def cleanlab_doubts(classifier: object, X: object, y: np.ndarray, seed: int) -> np.ndarray:
    """Return minus the label quality of cleanlab, with its default score."""
    from cleanlab.rank import get_label_quality_scores

    classifier = seeded(classifier, seed)
    codes = np.unique(y, return_inverse=True)[1]
    n_folds = int(np.clip(np.bincount(codes).min(), 2, 5))
    folds = StratifiedKFold(n_folds, shuffle=True, random_state=seed)
    probabilities = cross_val_predict(classifier, X, codes, cv=folds, method="predict_proba")
    return -get_label_quality_scores(codes, probabilities)


def summarize(cells: list[dict]) -> str:
    """Return the mean average precision of each method, by number of labels."""
    rows = []
    for method in METHODS:
        row = [method]
        for n_labels in LABELS_PER_CLASS:
            values = [
                cell["average_precision"]
                for cell in cells
                if (cell["key"]["method"], cell["key"]["labels_per_class"]) == (method, n_labels)
            ]
            row.append(f"{np.mean(values):.3f}" if values else "-")
        if set(row[1:]) != {"-"}:
            rows.append(row)
    title = f"Average precision of the wrong labels, {len(cells)} cells\n\n"
    return title + table(["method", *(f"{n} labels per class" for n in LABELS_PER_CLASS)], rows)


def main() -> None:
    options = suite_options(__doc__, "label_doubts", METHODS, LABELS_PER_CLASS, n_draws=2)
    print(summarize(suite_cells(options, METHODS, measure)))


if __name__ == "__main__":
    main()
