"""Few labels on scikit-learn's data sets: SGANClassifier compared with other methods.

Digits, breast cancer and wine; a stratified 70/30 split, 5 labels per class, all other training
rows unlabeled; accuracy on the test rows. Each draw has a new split and new labels. Every method
has its default parameters, except for those in its name. Each other method runs on standardized
columns and on columns divided by their range (digits: pixels / 16); the scaling with the better
mean is reported.

    python benchmarks/digits.py --jobs 2
"""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import torch
from _cells import (
    add_run_options,
    few_labels,
    learn_and_predict,
    mean_and_deviation,
    run_cells,
    settings,
    table,
)
from sklearn.calibration import CalibratedClassifierCV
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, StandardScaler
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC
from tabular_suite import SUPERVISED as TABULAR_SUPERVISED

from sgan_sklearn import SGANClassifier

LABELS_PER_CLASS = 5
DATASETS = {"digits": load_digits, "breast_cancer": load_breast_cancer, "wine": load_wine}

OURS = {
    "SGANClassifier": SGANClassifier(device="cpu"),
    "the same network on the labels alone": SGANClassifier(unsupervised_weight=0, device="cpu"),
}
SEMI_SUPERVISED = {
    "LabelSpreading (knn, 7 neighbors)": LabelSpreading(kernel="knn", n_neighbors=7),
    "LabelSpreading (rbf)": LabelSpreading(),
    "LabelPropagation (knn, 7 neighbors)": LabelPropagation(kernel="knn", n_neighbors=7),
    "LabelPropagation (rbf)": LabelPropagation(),
    "SelfTraining (LogisticRegression)": SelfTrainingClassifier(LogisticRegression(max_iter=1000)),
    "SelfTraining (SVC)": SelfTrainingClassifier(CalibratedClassifierCV(SVC(), ensemble=False)),
}
FORESTS = ("ExtraTrees (500 trees)", "vote of both forests and LogisticRegression")
SUPERVISED = {
    "LogisticRegression": LogisticRegression(max_iter=1000),
    "RandomForest": RandomForestClassifier(),
    "SVC": SVC(),
    "1-nearest neighbor": KNeighborsClassifier(1),
    **{name: TABULAR_SUPERVISED[name] for name in FORESTS},
}
METHODS = {**OURS, **SEMI_SUPERVISED, **SUPERVISED}


def scalers(dataset: str) -> dict:
    unit = (
        FunctionTransformer(partial(np.multiply, 1 / 16)) if dataset == "digits" else MinMaxScaler()
    )
    return {"standardized": StandardScaler(), "unit range": unit}


def keys(datasets: list[str], n_draws: int) -> list[dict]:
    methods = [(name, "own") for name in OURS]
    methods += [(n, s) for n in [*SEMI_SUPERVISED, *SUPERVISED] for s in scalers("digits")]
    return [
        {
            "dataset": dataset,
            "method": method,
            "settings": settings(METHODS[method]),
            "scaling": scaling,
            "draw": draw,
        }
        for dataset in datasets
        for method, scaling in methods
        for draw in range(n_draws)
    ]


def measure(key: dict) -> dict:
    """Return the test accuracy of one method on one draw."""
    torch.set_num_threads(1)
    X, y = DATASETS[key["dataset"]](return_X_y=True)
    X_train, X_test, y_train, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=key["draw"]
    )
    y_train = few_labels(y_train, LABELS_PER_CLASS, seed=key["draw"])
    if key["method"] not in OURS:
        scaler = scalers(key["dataset"])[key["scaling"]].fit(X_train)
        X_train, X_test = scaler.transform(X_train), scaler.transform(X_test)
    predicted = learn_and_predict(
        METHODS[key["method"]],
        X_train,
        y_train,
        X_test,
        seed=key["draw"],
        labels_alone=key["method"] in SUPERVISED,
        quiet=key["method"] not in OURS,
    )
    return {"accuracy": float(np.mean(predicted == y_test))}


def summarize(cells: list[dict], datasets: list[str], n_draws: int) -> str:
    """Return the table with one row per method, sorted by the first data set."""
    accuracy = {}
    for cell in cells:
        key = cell["key"]
        by_scaling = accuracy.setdefault((key["method"], key["dataset"]), {})
        by_scaling.setdefault(key["scaling"], []).append(cell["accuracy"])
    best = {name: max(runs.values(), key=np.mean) for name, runs in accuracy.items()}
    methods = sorted({name for name, _ in best}, key=lambda m: -np.mean(best[m, datasets[0]]))
    seconds = {
        m: np.median([c["seconds"] for c in cells if c["key"]["method"] == m]) for m in methods
    }
    rows = [
        [m, *(mean_and_deviation(best[m, d]) for d in datasets), f"{seconds[m]:.1f}"]
        for m in methods
    ]
    title = f"Test accuracy in percent, mean ± standard deviation of {n_draws} draws\n\n"
    return title + table(["method", *datasets, "seconds (median)"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--datasets", nargs="+", choices=DATASETS, default=list(DATASETS))
    parser.add_argument("--draws", type=int, default=10, help="number of draws (default: 10)")
    add_run_options(parser, "digits")
    options = parser.parse_args()
    wanted = keys(options.datasets, options.draws)
    cells = run_cells(options, wanted, measure)
    print(summarize(cells, options.datasets, options.draws))


if __name__ == "__main__":
    main()
