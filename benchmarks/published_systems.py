"""Published semi-supervised GANs, each as one argument of SGANClassifier, on their original data.

Each row uses the official training and test sets, the same number of labels per class (different
ones in each draw), and all other training rows without labels. The accuracy is that of the last
epoch on all test rows. A cell is measured once for each set of parameters and version: after a
change of the code, for example of the meaning of "auto", delete the affected cells.

    python benchmarks/published_systems.py --data DIR --jobs 2
    python benchmarks/published_systems.py --data DIR --rows ablation
    python benchmarks/published_systems.py --data DIR --rows budgets --jobs 2
    python benchmarks/published_systems.py --data DIR --rows parts --jobs 2 --draws 1
    python benchmarks/published_systems.py --data DIR --rows gpu --device cuda

It takes hours on two cores, and can be interrupted at any time and resumed. The first three rows
for a GPU, with one draw each, take less than ten minutes: --systems "2 minutes" --draws 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from _cells import add_run_options, few_labels, mean_and_deviation, run_cells, settings, table
from _images import OPENML, load_images
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from skorch.callbacks import Callback

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.objectives import Complement, Stacked, TwoHeaded
from sgan_sklearn.regularizers import PseudoLabel, SpreadLabels


class Row(NamedTuple):
    """One line of the table."""

    system: str
    dataset: str
    n_labels: int | None  # over all classes; None means all rows
    estimator: object
    goal: float | None = None  # percent
    published: str = ""


# Half of the number of epochs of max_epochs="auto" for 60,000 images.
HALF = 4

ALONE = {"unsupervised_weight": 0}
SALIMANS = MLPArchitecture(hidden_layer_sizes=(1000, 500, 250, 250, 250))
SPREADING = LabelSpreading(kernel="knn", n_neighbors=7)
SELF_TRAINING = SelfTrainingClassifier(LogisticRegression(max_iter=200))


def as_in_the_paper(max_epochs: int) -> SGANClassifier:
    """Return feature matching on flat pixels, with the network and batches of Salimans et al."""
    return SGANClassifier(
        SALIMANS, image_shape=(28, 28), regularizer=None, max_epochs=max_epochs, batch_size=100
    )


SYSTEMS = [
    Row("conv", "mnist", 100, SGANClassifier("conv"), 98.5),
    Row(
        "stacked discriminators, conv",
        "mnist",
        100,
        SGANClassifier("conv", Stacked(label_smoothing=0.1), max_epochs=HALF),
        95.0,
        "90.67",
    ),
    Row(
        "(K+1)-softmax, conv",
        "mnist",
        1_000,
        SGANClassifier("conv", "softmax", max_epochs=HALF),
        96.4,
        "96.4",
    ),
    Row(
        "two heads, conv",
        "mnist",
        1_000,
        SGANClassifier("conv", TwoHeaded(), max_epochs=HALF),
        96.4,
    ),
    Row(
        "two heads, conv",
        "mnist",
        None,
        SGANClassifier("conv", TwoHeaded(), max_epochs=HALF),
        99.0,
    ),
    Row(
        "complement generator, conv",
        "mnist",
        100,
        SGANClassifier("conv", Complement()),
        98.5,
        "99.2",
    ),
    # With a tenth of the paper's 300 epochs; then with the regularizers for tables.
    Row(
        "feature matching, MLP, 30 epochs",
        "mnist",
        100,
        as_in_the_paper(max_epochs=30),
        published="99.07",
    ),
    Row(
        "feature matching, default MLP, 30 epochs",
        "mnist",
        100,
        SGANClassifier("mlp", image_shape=(28, 28), max_epochs=30),
        97.5,
    ),
]
COMPARISONS = [
    *(
        Row(name, dataset, n_labels, estimator)
        for dataset, n_labels in [
            ("mnist", 20),
            ("mnist", 50),
            ("fashion_mnist", 100),
            ("fashion_mnist", 1_000),
        ]
        for name, estimator in {
            "conv, 4 epochs": SGANClassifier("conv", max_epochs=HALF),
            "conv, labels alone, 4 epochs": SGANClassifier("conv", **ALONE, max_epochs=HALF),
            "LabelSpreading (knn, 7 neighbors)": SPREADING,
        }.items()
    ),
    Row("conv, labels alone", "mnist", 100, SGANClassifier("conv", **ALONE)),
    Row("LabelSpreading (knn, 7 neighbors)", "mnist", 100, SPREADING),
    Row("SelfTraining (LogisticRegression)", "mnist", 100, SELF_TRAINING),
]


def within(minutes: float, adversarial_every: int | str = "auto", **params) -> SGANClassifier:
    """Return the default with a time budget."""
    training = Training(max_time=60 * minutes, adversarial_every=adversarial_every)
    return SGANClassifier(**params, training=training)


# The default and its twin with equal times of the training loop; the graph of label spreading takes
# up to three minutes before. The goals are for two threads; one is enough for most.
# Steps on the labels alone are faster, so the twin has no limit but the time.
BUDGETS = [
    Row(f"{name}, {minutes} minutes", dataset, n_labels, within(minutes, **params), goal)
    for dataset, n_labels, minutes, target in [
        ("cifar10", 4_000, 60, 78.0),
        ("cifar10", 250, 60, 50.0),
        ("svhn", 1_000, 60, 92.0),
        ("fashion_mnist", 100, 20, 77.0),
        ("fashion_mnist", 1_000, 20, 88.0),
        ("mnist", 20, 10, 95.0),
        ("mnist", 50, 10, 98.7),
        ("mnist", 100, 10, 99.0),
    ]
    for name, params, goal in [
        ("default", {}, target),
        ("labels alone", {**ALONE, "max_epochs": 1_000}, None),
    ]
]
# Longer than an epoch, so that only its first step has an adversarial step.
HARDLY_EVER = 10**9
EARLY, LATE = {"start": 300, "ramp_up": 300}, {"start": 600, "ramp_up": 300}
# What each part of the default gives in equal time.
PARTS = [
    Row(f"{name}, 15 minutes", "cifar10", 250, within(15, **params))
    for name, params in {
        "default": {},
        "adversarial every step": {"adversarial_every": 1},
        "without the adversarial part": {"adversarial_every": HARDLY_EVER},
        "without label spreading": {"regularizer": PseudoLabel("adaptive", **EARLY)},
        "without pseudo-labels": {"regularizer": "spread_labels"},
        "without both": {"regularizer": None, "adversarial_every": 8},
        "threshold 0.95": {"regularizer": [SpreadLabels(end=900), PseudoLabel(**LATE)]},
        "complement generator": {"objective": Complement()},
        "(K+1)-softmax": {"objective": "softmax"},
        "two heads": {"objective": TwoHeaded()},
        "stacked discriminators": {"objective": Stacked()},
        "labels alone": {**ALONE, "max_epochs": 1_000},
    }.items()
]
# Rows that take too long on a CPU, in the order of their worth.
GPU = [
    Row("default, 2 minutes", "cifar10", 4_000, within(2), 90.0),
    Row("default, 2 minutes", "cifar10", 250, within(2), 75.0),
    Row("default, 2 minutes", "mnist", 100, within(2), 99.5),
    Row("conv, 50 epochs", "mnist", 100, SGANClassifier("conv", max_epochs=50), 99.4),
    Row(
        "complement generator, conv, 50 epochs",
        "mnist",
        100,
        SGANClassifier("conv", Complement(), max_epochs=50),
        99.2,
        "99.2",
    ),
    Row(
        "feature matching, MLP, 300 epochs",
        "mnist",
        100,
        as_in_the_paper(max_epochs=300),
        99.0,
        "99.07",
    ),
]
ABLATION_OF = "ablation: "
ABLATION = [
    Row(f"{ABLATION_OF}{name}", "mnist", 100, estimator)
    for name, estimator in {
        "labels alone": SGANClassifier("conv", **ALONE),
        "adversarial": SGANClassifier(
            "conv", regularizer=None, training=Training(adversarial_every=1)
        ),
        "pseudo-labels": SGANClassifier("conv", training=Training(adversarial_every=HARDLY_EVER)),
        "both": SGANClassifier("conv", training=Training(adversarial_every=1)),
        "both, adversarial every 4th step": SGANClassifier(
            "conv", training=Training(adversarial_every=4)
        ),
    }.items()
]
GROUPS = {
    "systems": SYSTEMS,
    "comparisons": COMPARISONS,
    "budgets": BUDGETS,
    "parts": PARTS,
    "ablation": ABLATION,
    "gpu": GPU,
}
# Rows that are in the table before they have been run.
PLANNED = [*GPU, *BUDGETS]


# Points of the ablation: equal numbers of training steps, and equal times on one core.
AT_STEPS = (2_000, 4_000, 8_000)
AT_MINUTES = (1, 2, 4)
N_CURVE_ROWS = 5_000
CURVE_STEPS = 200


class Curve(Callback):
    """Record the accuracy on unlabeled training images, the steps and the time during training."""

    def __init__(self, y: np.ndarray, true: np.ndarray, seed: int) -> None:
        unlabeled = np.flatnonzero(y == -1)
        self.chosen = np.random.RandomState(seed).choice(unlabeled, N_CURVE_ROWS, replace=False)
        self.y = true[self.chosen]
        self.points: list[dict] = []

    def on_train_begin(self, net, X=None, **kwargs):
        self.rows = X.rows[self.chosen]
        self.passed, self.start = 0.0, time.perf_counter()

    def on_batch_end(self, net, training=True, **kwargs):
        if net.n_steps_ % CURVE_STEPS:
            return
        self.passed += time.perf_counter() - self.start
        with torch.inference_mode():
            outputs = torch.cat([net.averaged_module_(part) for part in self.rows.split(500)])
        predicted = net.objective.class_logits(outputs).argmax(dim=1).cpu().numpy()
        self.points.append(
            {
                "steps": net.n_steps_,
                "seconds": round(self.passed, 1),
                "accuracy": float((predicted == self.y).mean()),
            }
        )
        self.start = time.perf_counter()


def find(system: str, dataset: str, n_labels: int | None) -> Row:
    rows = [row for group in GROUPS.values() for row in group]
    return next(row for row in rows if row[:3] == (system, dataset, n_labels))


def keys(rows: list[Row], n_draws: int, device: str) -> list[dict]:
    return [
        {
            "system": row.system,
            "dataset": row.dataset,
            "n_labels": row.n_labels,
            "settings": settings(row.estimator),
            "device": device if isinstance(row.estimator, SGANClassifier) else "cpu",
            "draw": draw,
        }
        for row in rows
        for draw in range(n_draws)
    ]


def measure(key: dict, folder: Path | None, svhn: Path | None, threads: int) -> dict:
    """Return the test accuracy of one system on one draw of labels."""
    torch.set_num_threads(threads)
    X_train, y_train, X_test, y_test = load_images(key["dataset"], folder, svhn)
    y = y_train
    if key["n_labels"] is not None:
        per_class = key["n_labels"] // len(np.unique(y_train))
        y = few_labels(y_train, per_class, seed=key["draw"])
    estimator = clone(find(key["system"], key["dataset"], key["n_labels"]).estimator)
    figures = {}
    if not isinstance(estimator, SGANClassifier):
        estimator = make_pipeline(FunctionTransformer(flat_units), estimator)
    else:
        estimator.set_params(random_state=key["draw"], device=key["device"])
        if is_ablation(key):
            curve = Curve(y, y_train, key["draw"])
            estimator.set_params(callbacks=[curve])
            figures["curve"] = curve.points
    start = time.perf_counter()
    estimator.fit(X_train, y)
    figures["fit_seconds"] = round(time.perf_counter() - start, 1)
    if isinstance(estimator, SGANClassifier):
        figures["steps"] = estimator.n_steps_
    return {**figures, "accuracy": float(estimator.score(X_test, y_test)), "threads": threads}


def flat_units(X: np.ndarray) -> np.ndarray:
    """Return uint8 images as rows of numbers from 0 to 1."""
    return X.reshape(len(X), -1) / 255.0


def summarize(cells: list[dict], planned: Sequence[Row] = ()) -> str:
    """Return the table of the cells without the ablation, with one row per system.

    `planned` are rows that are listed even if none of their cells has been measured.
    """
    runs: dict[tuple, list[dict]] = {}
    for cell in cells:
        key = cell["key"]
        if is_ablation(key):
            continue
        name = (key["dataset"], key["n_labels"], key["system"], key["device"])
        runs.setdefault(name, []).append(cell)
    known = {name[:3] for name in runs}
    for row in planned:
        if (row.dataset, row.n_labels, row.system) not in known:
            runs[row.dataset, row.n_labels, row.system, "cuda" if row in GPU else ""] = []
    rows = []
    ordered = sorted(runs.items(), key=lambda run: (run[0][0], run[0][1] or np.inf, run[0][2:]))
    for (dataset, n_labels, system, device), draws in ordered:
        row = find(system, dataset, n_labels)
        minutes = [cell["fit_seconds"] / 60 for cell in draws]
        threads = sorted({cell["threads"] for cell in draws})
        rows.append(
            [
                dataset,
                "all" if n_labels is None else str(n_labels),
                system,
                mean_and_deviation(cell["accuracy"] for cell in draws) if draws else "not yet run",
                str(len(draws)),
                "" if row.goal is None else f"{row.goal}",
                row.published,
                f"{np.median(minutes):.1f}" if draws else "",
                ", ".join(map(str, threads)),
                device,
            ]
        )
    header = ["data", "labels", "system", "accuracy", "draws", "goal", "paper", "minutes"]
    header += ["threads", "device"]
    title = "Test accuracy in percent, mean ± standard deviation over draws of labels\n\n"
    return title + table(header, rows)


def is_ablation(key: dict) -> bool:
    return key["system"].startswith(ABLATION_OF)


def summarize_ablation(cells: list[dict]) -> str:
    """Return the accuracy on unlabeled training images at equal steps and at equal times."""
    rows = []
    for row in GROUPS["ablation"]:
        draws = [cell for cell in cells if cell["key"]["system"] == row.system]
        if not draws:
            continue
        curves = [cell["curve"] for cell in draws]
        rows.append(
            [
                row.system.removeprefix(ABLATION_OF),
                *(at(curves, "steps", limit) for limit in AT_STEPS),
                *(at(curves, "seconds", 60 * limit) for limit in AT_MINUTES),
                mean_and_deviation(cell["accuracy"] for cell in draws),
                str(len(draws)),
            ]
        )
    steps = [f"{limit} steps" for limit in AT_STEPS]
    minutes = [f"{limit} min" for limit in AT_MINUTES]
    header = ["system", *steps, *minutes, "test rows, last epoch", "draws"]
    title = (
        "MNIST, 100 labels: accuracy on unlabeled training images in percent, mean over draws\n\n"
    )
    return title + table(header, rows)


def at(draws: list[list[dict]], axis: str, limit: float) -> str:
    """Return the mean of the last accuracies within a limit, unless a run ended much earlier."""
    within = [[point["accuracy"] for point in points if point[axis] <= limit] for points in draws]
    ended = any(points[-1][axis] < 0.95 * limit for points in draws)
    return "-" if ended or not all(within) else f"{100 * np.mean([w[-1] for w in within]):.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with mnist.npz etc. (default: OpenML)")
    parser.add_argument("--svhn", type=Path, help="folder with the .mat files of SVHN")
    parser.add_argument("--rows", nargs="+", choices=GROUPS, default=["systems"])
    parser.add_argument(
        "--systems", nargs="+", help="only systems whose name contains one of these"
    )
    parser.add_argument("--datasets", nargs="+", choices=OPENML, default=list(OPENML))
    parser.add_argument("--draws", type=int, default=3, help="number of draws (default: 3)")
    parser.add_argument("--threads", type=int, default=1, help="threads per process (default: 1)")
    parser.add_argument("--device", default="cpu", help='"cpu" (default) or "cuda"')
    add_run_options(parser, "published_systems")
    options = parser.parse_args()
    rows = [
        row
        for group in options.rows
        for row in GROUPS[group]
        if row.dataset in options.datasets
        and (not options.systems or any(part in row.system for part in options.systems))
    ]
    wanted = keys(rows, options.draws, options.device)
    # Draw by draw, so that an interrupted run has some results for every row.
    wanted.sort(key=lambda key: key["draw"])
    run = partial(measure, folder=options.data, svhn=options.svhn, threads=options.threads)
    cells = run_cells(options, wanted, run)
    of_ablation = [cell for cell in cells if is_ablation(cell["key"])]
    if len(of_ablation) < len(cells):
        print(summarize(cells))
    if of_ablation:
        print("\n" + summarize_ablation(cells))


if __name__ == "__main__":
    main()
