"""Functions shared by the benchmarks: cells that are computed once, stored as JSON, and tabulated.

A cell is one measurement, identified by its key: a dict of data set, method, draw and settings. All
cells of a benchmark are in one JSON file, which is rewritten after each cell, so a benchmark can be
interrupted at any time and resumed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import time
import warnings
from collections.abc import Callable, Iterable
from importlib.metadata import version
from inspect import signature
from pathlib import Path

import joblib
import numpy as np
import torch
from _code import fingerprint
from _states import is_stale
from rich.progress import track
from sklearn.base import clone

RESULTS = Path(__file__).parent / "results"
# Fingerprints of the code that is imported: files may change during a run.
CODE = {part: fingerprint(part) for part in ("training", "tools", "package")}
PACKAGES = ("sgan-sklearn", "scikit-learn", "torch", "skorch", "numpy", "scipy")


def environment() -> dict:
    """Return the versions and the hardware that a result depends on."""
    gpu = {"gpu": torch.cuda.get_device_name()} if torch.cuda.is_available() else {}
    return {
        "python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "machine": platform.machine(),
        "cpu": _cpu_name(),
        "cores": os.cpu_count(),
        **gpu,
    }


def add_run_options(parser: argparse.ArgumentParser, name: str, *, jobs: bool = True) -> None:
    """Add the options of every benchmark with cells: where they are, and which are measured."""
    if jobs:
        parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument(
        "--output", type=Path, default=RESULTS / f"{name}.json", help="file of the cells"
    )
    parser.add_argument(
        "--rerun-stale",
        action="store_true",
        help="also measure cells of earlier code anew (see check_figures.py)",
    )


def run_cells(
    options: argparse.Namespace, keys: Iterable[dict], measure: Callable[[dict], dict]
) -> list[dict]:
    """Measure the cells that are not stored yet, and return all requested cells.

    ``measure(key)`` returns the results of a cell; the cell contains the key, the results, the
    time in seconds, and the state of the code.
    """
    keys, path = list(keys), options.output
    stored = json.loads(path.read_text()) if path.exists() else {"cells": []}
    cells = {_name(cell["key"]): cell for cell in stored["cells"]}
    missing = [
        key
        for key in keys
        if (cell := cells.get(_name(key))) is None
        or (options.rerun_stale and is_stale(cell, path.stem))
    ]
    run = joblib.Parallel(n_jobs=getattr(options, "jobs", 1), return_as="generator_unordered")
    new = run(joblib.delayed(_timed)(measure, key) for key in missing)
    path.parent.mkdir(parents=True, exist_ok=True)
    for cell in track(new, f"{len(missing)} cells", total=len(missing)):
        cells[_name(cell["key"])] = cell
        ordered = sorted(cells.values(), key=lambda cell: _name(cell["key"]))
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps({"cells": ordered}, indent=1) + "\n")
        temporary.replace(path)
    return [cells[_name(key)] for key in keys]


def seeded(method: object, seed: int) -> object:
    """Return a copy of a method, all of whose random states are the seed."""
    method = clone(method)
    seeds = [name for name in method.get_params() if name.split("__")[-1] == "random_state"]
    return method.set_params(**dict.fromkeys(seeds, seed))


def learn_and_predict(
    method: object,
    X_train: np.ndarray,
    y: np.ndarray,
    X_test: np.ndarray,
    *,
    seed: int,
    labels_alone: bool,
    quiet: bool,
) -> np.ndarray:
    """Return the predictions of a copy of a method fitted on all rows, or on the labeled ones.

    `quiet` suppresses warnings: the graph kernels underflow on some columns, which their score
    shows.
    """
    method = seeded(method, seed)
    with warnings.catch_warnings():
        if quiet:
            warnings.simplefilter("ignore")
        chosen = y != -1 if labels_alone else slice(None)
        return method.fit(X_train[chosen], y[chosen]).predict(X_test)


def settings(estimator: object) -> str:
    """Return the package, its version and the parameters that a cell depends on.

    For this package's estimators, only parameters that differ from the defaults are included, so
    that a new parameter does not invalidate existing cells.
    """
    root = type(estimator).__module__.split(".")[0]
    package = {"sgan_sklearn": "sgan-sklearn", "sklearn": "scikit-learn"}.get(root, root)
    defaults = {}
    if root == "sgan_sklearn":
        given = signature(type(estimator)).parameters
        defaults = {name: parameter.default for name, parameter in given.items()}
    chosen = {
        name: value
        for name, value in sorted(estimator.get_params(deep=False).items())
        if name not in defaults or repr(value) != repr(defaults[name])
    }
    # Objects without a text of their own have the address in memory in it.
    return re.sub(r" at 0x[0-9a-fA-F]+", "", f"{package} {version(package)}: {chosen}")


def table(header: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    widths = [max(len(row[i]) for row in [header, *rows]) for i in range(len(header))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [header, rule, *rows]
    )


def mean_and_deviation(values: Iterable[float]) -> str:
    """Return "mean ± standard deviation" in percent, or the value itself if there is only one."""
    values = np.array(list(values)) * 100
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{values.mean():.2f} ± {values.std(ddof=1):.2f}"


def few_labels(y: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Return a copy of `y` with `per_class` random labels of each class and -1 for the others."""
    rng = np.random.RandomState(seed)
    masked = np.full(len(y), -1)
    for label in np.unique(y):
        kept = rng.choice(np.flatnonzero(y == label), per_class, replace=False)
        masked[kept] = label
    return masked


def _timed(measure: Callable[[dict], dict], key: dict) -> dict:
    start = time.perf_counter()
    figures = measure(key)
    seconds = round(time.perf_counter() - start, 3)
    return {"key": key, **figures, "seconds": seconds, "code": CODE, "environment": environment()}


def _name(key: dict) -> str:
    return json.dumps(key, sort_keys=True)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
