"""SIGINTs at random times during `fit`: each must be reported and leave a complete model.

A process with a fitted classifier refits it and receives SIGINT, as sent by Ctrl-C, after a random
time. `fit` must then raise KeyboardInterrupt: either it warns that the model trained so far is
kept, and keeps it, or the previous model is unchanged. There must be no other error, no normal
return, and no remaining thread or temporary file. A grid search must stop.

    python benchmarks/interrupts.py

It takes about five minutes.
"""

from __future__ import annotations

import argparse
import os
import select
import signal
import threading
import time
import warnings
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from _cells import add_run_options, few_labels, run_cells, table
from sklearn.datasets import load_digits
from sklearn.model_selection import GridSearchCV

import sgan_sklearn
from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.model_selection import SemiSupervisedSplit
from sgan_sklearn.samplers import CriticSampler

KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "early stopping": {"early_stopping": True, "validation_fraction": 0.3},
    "checkpoints": {},
    "critic": {"sampler": CriticSampler((16,), (16,), max_epochs=20, batch_size=100)},
    "grid": {},
}
SMALL = {
    "architecture": MLPArchitecture((32,), (32,)),
    "max_epochs": 6,
    "batch_size": 20,
    "device": "cpu",
    "random_state": 0,
}
BAD = ("silent", "error", "not whole", "thread", "file")


def digits() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:300], few_labels(y[:300], 10, 0)


def outcome(kind: str, folder: Path, started: int) -> str:
    """Refit a fitted classifier, and return the outcome of an interrupt."""
    X, y = digits()
    params = KINDS[kind]
    if kind == "checkpoints":
        params = {"training": Training(checkpoint_dir=folder / "checkpoints")}
    estimator = SGANClassifier(**{**SMALL, "random_state": 1}).fit(X, y)
    former = estimator.predict_proba(X)
    estimator.set_params(**SMALL, **params)
    model: Any = estimator
    if kind == "grid":
        grid = {"latent_dim": [8, 16, 32]}
        model = GridSearchCV(estimator, grid, cv=SemiSupervisedSplit(2), refit=False)
    arrived: list[int] = []
    fits: list[bool] = []

    def handler(signum: int, frame: Any) -> None:
        if fits:  # signals before or after `fit` are ignored
            arrived.append(signum)
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, handler)
    os.write(started, b"started ")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fits.append(True)
            model.fit(X, y)
            fits.clear()
            found = "finished before"
        except KeyboardInterrupt:
            found = "interrupted"
        except BaseException as error:
            found = f"error: {type(error).__name__}: {error}"[:150]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = any("interrupted" in str(warning.message) for warning in caught)
    if found == "finished before" and arrived:
        return "silent"
    if threading.active_count() > 1:
        return "thread left"
    if list(folder.rglob("*.tmp")):
        return "file left"
    if kind == "grid":
        return f"error: {vars(model)}" if hasattr(model, "cv_results_") and arrived else found
    now = estimator.predict_proba(X)
    if found == "interrupted":
        same = np.array_equal(now, former)
        found = "model so far, with the warning" if told else "former model"
        if not np.isfinite(now).all() or (same and told) or not (same or told):
            return "not whole"
    return found


def measure(key: dict) -> dict[str, Any]:
    """Interrupt a number of fits, each in a separate process."""
    torch.set_num_threads(1)
    rng = np.random.RandomState(key["seed"])
    found: Counter[str] = Counter()
    seconds = None
    while sum(found.values()) < key["signals"]:
        with TemporaryDirectory() as folder:
            reader, writer = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    os.write(writer, outcome(key["kind"], Path(folder), writer).encode())
                finally:
                    os._exit(0)
            os.close(writer)
            os.read(reader, 8)
            start = time.perf_counter()
            if seconds is not None:  # the first fit measures the time
                select.select([reader], [], [], rng.uniform(0, seconds))
                os.kill(child, signal.SIGINT)
            os.waitpid(child, 0)
            text = os.read(reader, 4096).decode()
            os.close(reader)
            if seconds is None:
                seconds = time.perf_counter() - start
            else:
                found[text or "error: the process has ended"] += 1
    return {"outcomes": dict(found), "seconds_of_fit": seconds}


def summarize(cells: list[dict]) -> str:
    header = ["fit", "signals", "model so far, with the warning", "former model", "finished before"]
    rows = []
    for cell in cells:
        found = Counter(cell["outcomes"])
        told = found["model so far, with the warning"] + found["interrupted"]
        bad = [sum(n for text, n in found.items() if text.startswith(kind)) for kind in BAD]
        figures = [cell["key"]["signals"], told, found["former model"], found["finished before"]]
        rows.append([cell["key"]["kind"], *map(str, figures), *map(str, bad)])
    names = ["silent returns", "other errors", "models not whole", "threads left", "files left"]
    return table([*header, *names], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--signals", type=int, default=200, help="total number (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the times (default: 0)")
    add_run_options(parser, "interrupts", jobs=False)
    options = parser.parse_args()
    shared = {
        "signals": options.signals // len(KINDS),
        "seed": options.seed,
        "version": sgan_sklearn.__version__,
    }
    keys = [{"kind": kind, **shared} for kind in KINDS]
    print(summarize(run_cells(options, keys, measure)))


if __name__ == "__main__":
    main()
