"""What a fit costs: CPU seconds of the defaults, compared with an earlier commit and with a forest.

- fits: CPU seconds of a default fit, of this checkout and of an earlier commit in turn, each in its
  own process with one thread, after a fit of one epoch
- forest: CPU seconds of RandomForestClassifier with 500 trees on the labeled rows
- busy: seconds of a fit of digits with as many threads as torch chooses while as many other
  programs compute as there are processors, and of one with one thread and no other program
- search: seconds of GridSearchCV with 8 candidates and 5 folds on digits in two processes
- ablation: CPU seconds of fits without one of the things that make them fast

    python benchmarks/fit_cost.py --old REV

It takes about half an hour on a machine without other load, and can be interrupted at any time and
resumed. The figures are medians.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
from _cells import add_run_options, few_labels, run_cells, table
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GridSearchCV, train_test_split

ROOT = Path(__file__).parents[1]
PARTS = ("fits", "forest", "busy", "search", "ablation")

DATASETS = {
    "digits": load_digits,
    "wine": load_wine,
    "breast cancer": load_breast_cancer,
    "5,000 x 20": partial(
        make_classification, 5_000, 20, n_informative=10, n_classes=5, random_state=0
    ),
}
LABELS_PER_CLASS = 5
BATCH_SIZE = 50  # the default

# Parameters of SGANClassifier; "steps" becomes the number of epochs that make them.
ABLATION = {
    "the defaults": {},
    "steps not recorded": {"training__record_steps": False},
    "as wide as before": {"architecture": ((256, 256, 128), (256, 256))},
    "as long as before": {"steps": 2_000},
    "all as before": {
        "training__record_steps": False,
        "architecture": ((256, 256, 128), (256, 256)),
        "steps": 2_000,
    },
}

GRID = {"discriminator_lr": [1e-3, 3e-3], "latent_dim": [16, 64], "unsupervised_weight": [0.5, 1.0]}


def keys(parts: list[str], old: str, n_runs: int) -> list[dict]:
    """Return the cells; those to compare come one after the other."""
    found = []
    for run in range(n_runs):
        for dataset in DATASETS:
            found += [
                {"part": "fits", "dataset": dataset, "commit": commit, "run": run}
                for commit in (old, "this")
            ]
            found.append({"part": "forest", "dataset": dataset, "run": run})
        found += [{"part": "busy", "busy": busy, "run": run} for busy in (False, True)]
        found += [
            {"part": "ablation", "dataset": dataset, "setting": setting, "run": run}
            for dataset in ("digits", "wine")
            for setting in ABLATION
        ]
    found.append({"part": "search", "run": 0})
    return [key for key in found if key["part"] in parts]


# --- one measurement, in a process of its own -------------------------------------------------


def rows(dataset: str) -> tuple[np.ndarray, np.ndarray]:
    """Return training rows of which few are labeled."""
    loader = DATASETS[dataset]
    X, y = loader() if isinstance(loader, partial) else loader(return_X_y=True)
    X, _, y, _ = train_test_split(X, y, test_size=0.3, stratify=y, random_state=0)
    return X, few_labels(y, LABELS_PER_CLASS, seed=0)


def classifier(n_rows: int, steps: int | None = None, **params: object) -> object:
    from sgan_sklearn import SGANClassifier, Training
    from sgan_sklearn.architectures import MLPArchitecture

    if "architecture" in params:
        params["architecture"] = MLPArchitecture(*params["architecture"])
    estimator = SGANClassifier(device="cpu", random_state=0)
    if params:
        estimator.set_params(training=Training()).set_params(**params)
    if steps is not None:
        estimator.set_params(max_epochs=-(-steps // -(-n_rows // BATCH_SIZE)))
    return estimator


def fitted(key: dict) -> dict:
    """Return the seconds of a fit, after one that imports and initializes what it needs."""
    import torch

    if not key.get("busy"):
        torch.set_num_threads(1)
    X, y = rows(key.get("dataset", "digits"))
    params = ABLATION[key.get("setting", "the defaults")]
    classifier(len(X)).set_params(max_epochs=1).fit(X, y)
    estimator = classifier(len(X), **params)
    wall, cpu = time.perf_counter(), time.process_time()
    estimator.fit(X, y)
    return {
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": time.process_time() - cpu,
        "steps": estimator.n_steps_,
    }


def forest(key: dict) -> dict:
    X, y = rows(key["dataset"])
    cpu = time.process_time()
    RandomForestClassifier(500, random_state=key["run"]).fit(X[y != -1], y[y != -1])
    return {"cpu_seconds": time.process_time() - cpu}


def search(key: dict) -> dict:
    from sgan_sklearn.metrics import labeled_scorer
    from sgan_sklearn.model_selection import SemiSupervisedSplit

    X, y = rows("digits")
    found = GridSearchCV(
        classifier(len(X)),
        GRID,
        cv=SemiSupervisedSplit(5),
        scoring=labeled_scorer("accuracy"),
        n_jobs=2,
        refit=False,
    )
    wall = time.perf_counter()
    found.fit(X, y)
    return {
        "wall_seconds": time.perf_counter() - wall,
        "fits": 5 * len(found.cv_results_["rank_test_score"]),
    }


CHILDREN = {"forest": forest, "search": search}


@contextmanager
def other_programs(n_programs: int) -> Iterator[None]:
    """Keep processors busy."""
    programs = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(n_programs)
    ]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def measure(key: dict, old_checkout: Path) -> dict:
    """Return what a child process has measured, with the package of one of the checkouts."""
    is_old = key["part"] == "fits" and key["commit"] != "this"
    environment = {**os.environ, "PYTHONPATH": str(old_checkout if is_old else ROOT)}
    command = [sys.executable, __file__, "--child", json.dumps(key)]
    n_programs = (os.cpu_count() or 1) if key.get("busy") else 0
    with other_programs(n_programs):
        ended = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE)
    return json.loads(ended.stdout.splitlines()[-1])


@contextmanager
def checkout(revision: str) -> Iterator[Path]:
    """Check out a commit to a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "old"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(path), revision], check=True)
        try:
            yield path
        finally:
            subprocess.run([*git, "remove", "--force", str(path)], check=True)


# --- tables -----------------------------------------------------------------------------------


def median(cells: list[dict], figure: str, **key: object) -> float:
    """Return the median of a figure over the cells with these values in their keys."""
    values = [cell[figure] for cell in cells if key.items() <= cell["key"].items()]
    return float(np.median(values)) if values else float("nan")


def fits_table(cells: list[dict]) -> str:
    """Return the cost of the defaults, before and now, beside that of a forest."""
    commits = [c["key"]["commit"] for c in cells if c["key"]["part"] == "fits"]
    old = next(commit for commit in commits if commit != "this")
    lines = []
    for dataset in DATASETS:
        before, now = (
            median(cells, "cpu_seconds", part="fits", dataset=dataset, commit=commit)
            for commit in (old, "this")
        )
        trees = median(cells, "cpu_seconds", part="forest", dataset=dataset)
        figures = f"{before:.2f}", f"{now:.2f}", f"{now / before:.2f}"
        lines.append([dataset, *figures, f"{trees:.2f}", f"{now / trees:.1f}"])
    header = ["CPU seconds of a fit", f"at {old}", "now", "ratio", "forest", "fit / forest"]
    return table(header, lines)


def walls_table(cells: list[dict]) -> str:
    """Return the time of a fit on a busy machine, and of a search."""
    alone, busy = (median(cells, "wall_seconds", part="busy", busy=flag) for flag in (False, True))
    seconds = median(cells, "wall_seconds", part="search")
    return table(
        ["fit", "seconds", ""],
        [
            ["digits, one thread, no other program", f"{alone:.1f}", ""],
            ["digits, processors busy", f"{busy:.1f}", f"{busy / alone:.1f} times"],
            ["GridSearchCV, 8 candidates, 5 folds, digits, two processes", f"{seconds:.0f}", ""],
        ],
    )


def ablation_table(cells: list[dict]) -> str:
    """Return the cost of fits without one of the things that make them fast."""
    datasets = ("digits", "wine")
    lines = [
        [
            setting,
            *(
                f"{median(cells, 'cpu_seconds', dataset=dataset, setting=setting):.2f}"
                for dataset in datasets
            ),
        ]
        for setting in ABLATION
    ]
    return table(["CPU seconds of a fit", *datasets], lines)


def summarize(cells: list[dict]) -> str:
    """Return a table for each group of parts that were measured."""
    measured = {cell["key"]["part"] for cell in cells}
    groups = [
        (fits_table, {"fits", "forest"}),
        (walls_table, {"busy", "search"}),
        (ablation_table, {"ablation"}),
    ]
    return "\n\n".join(make(cells) for make, parts in groups if parts <= measured)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--old", default="4d5826f", help="commit to compare with")
    parser.add_argument("--runs", type=int, default=5, help="runs of each measurement")
    add_run_options(parser, "fit_cost", jobs=False)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        key = json.loads(options.child)
        print(json.dumps(CHILDREN.get(key["part"], fitted)(key)))
        return
    with checkout(options.old) as path:
        wanted = keys(options.parts, options.old, options.runs)
        print(summarize(run_cells(options, wanted, partial(measure, old_checkout=path))))


if __name__ == "__main__":
    main()
