"""Accuracy where the classes have other shares than in the training, with `adjust_to_prior`.

On the tables of the suite, with 10 and 25 labels per class, each classifier is trained as in
`tabular_suite.py`. The new rows are 1,000 test rows, drawn with replacement, with random shares of
the classes (uniform over all possible ones). Compared are the classifier itself, the adjustment to
the shares that "em" estimates from the new rows, and that to the true shares.

    python benchmarks/prior_shift.py --data DIR --jobs 2

It takes about an hour on two cores, and can be interrupted at any time and resumed.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from _cells import few_labels, table
from _tables import draw_rows, load_table, suite_cells, suite_options
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.metrics import log_loss
from sklearn.pipeline import make_pipeline
from tabular_suite import LINEAR, N_TRAINING_ROWS, ROWS_PER_LABEL, TREES, encoder

from sgan_sklearn import SGANClassifier
from sgan_sklearn.calibration import adjust_to_prior

LABELS_PER_CLASS = (10, 25)
N_NEW_ROWS = 1_000
SEMI_SUPERVISED = {"SGANClassifier": SGANClassifier(device="cpu")}
SUPERVISED = {
    "RandomForest (500 trees)": make_pipeline(encoder(), RandomForestClassifier(**TREES)),
    "LogisticRegression": make_pipeline(encoder(), LINEAR),
}
METHODS = {**SEMI_SUPERVISED, **SUPERVISED}
WAYS = ("not adjusted", "em", "true shares")


def measure(key: dict, folder: Path | None) -> dict:
    """Return the accuracy and the log loss on new rows, with each way of adjusting to them."""
    torch.set_num_threads(1)
    per_class, seed, name = key["labels_per_class"], key["draw"], key["method"]
    draw = draw_rows(
        load_table(key["dataset"], folder), ROWS_PER_LABEL * per_class, N_TRAINING_ROWS, seed
    )
    y = few_labels(draw.y_train, per_class, seed=seed)
    classifier = clone(METHODS[name])
    seeds = [param for param in classifier.get_params() if param.endswith("random_state")]
    classifier.set_params(**dict.fromkeys(seeds, seed))
    chosen = slice(None) if name in SEMI_SUPERVISED else y != -1
    classifier.fit(draw.X_train[chosen], y[chosen])
    # As many labels of each class, or the shares that the classifier stores.
    shares = None if name in SEMI_SUPERVISED else np.ones(len(classifier.classes_))
    rng = np.random.RandomState(seed)
    new_shares = rng.dirichlet(np.ones(len(classifier.classes_)))
    new_shares *= np.isin(classifier.classes_, draw.y_test)
    new_shares /= new_shares.sum()
    codes = rng.choice(len(new_shares), N_NEW_ROWS, p=new_shares)
    places = [np.flatnonzero(draw.y_test == label) for label in classifier.classes_]
    rows = np.array([rng.choice(places[code]) for code in codes])
    unchanged = adjust_to_prior(classifier, draw.X_test, training_prior=shares)
    X, labels = draw.X_test.iloc[rows], classifier.classes_[codes]
    true_shares = np.clip(np.bincount(codes, minlength=len(new_shares)), 0.5, None)
    adjusted = {
        "not adjusted": classifier,
        "em": adjust_to_prior(classifier, X, training_prior=shares),
        "true shares": adjust_to_prior(classifier, X, true_shares, training_prior=shares),
    }
    figures = {}
    for way, model in adjusted.items():
        probabilities = np.clip(model.predict_proba(X), 1e-6, None)
        probabilities /= probabilities.sum(axis=1, keepdims=True)
        predicted = model.classes_[probabilities.argmax(axis=1)]
        figures[way] = {
            "accuracy": float((predicted == labels).mean()),
            "log_loss": float(log_loss(labels, probabilities, labels=model.classes_)),
        }
    error = np.abs(adjusted["em"].prior_ - true_shares / true_shares.sum()).sum() / 2
    return {
        **figures,
        "error_of_shares": float(error),
        "p_value": adjusted["em"].p_value_,
        "p_value_without_shift": unchanged.p_value_,
    }


def summarize(cells: list[dict]) -> str:
    """Return the mean accuracy and log loss of each method, and the errors of the shares."""
    rows = []
    for method in METHODS:
        for n_labels in LABELS_PER_CLASS:
            group = [
                cell
                for cell in cells
                if (cell["key"]["method"], cell["key"]["labels_per_class"]) == (method, n_labels)
            ]
            if not group:
                continue
            accuracies = [100 * np.mean([cell[way]["accuracy"] for cell in group]) for way in WAYS]
            losses = [np.mean([cell[way]["log_loss"] for cell in group]) for way in WAYS]
            worse = np.mean([c["em"]["accuracy"] < c["not adjusted"]["accuracy"] for c in group])
            rows.append(
                [
                    method,
                    str(n_labels),
                    *(f"{value:.1f}" for value in accuracies),
                    *(f"{value:.3f}" for value in losses),
                    f"{worse:.0%}",
                    f"{np.mean([cell['error_of_shares'] for cell in group]):.3f}",
                ]
            )
    header = ["method", "labels per class", *(f"accuracy, {way}" for way in WAYS)]
    header += [
        *(f"log loss, {way}" for way in WAYS),
        "em lowers accuracy in",
        "error of the shares",
    ]
    tested = [cell for cell in cells if cell["p_value"] is not None]
    found, alarms = (
        np.mean([cell[name] < 0.01 for cell in tested]) if tested else np.nan
        for name in ("p_value", "p_value_without_shift")
    )
    title = f"New rows with random class proportions, {len(cells)} cells\n\n"
    text = f"The test has p < 0.01 in {found:.0%} of the shifts, and in {alarms:.0%} without one."
    return f"{title}{table(header, rows)}\n\n{text}"


def main() -> None:
    options = suite_options(__doc__, "prior_shift", METHODS, LABELS_PER_CLASS, n_draws=3)
    print(summarize(suite_cells(options, METHODS, measure)))


if __name__ == "__main__":
    main()
