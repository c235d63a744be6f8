"""Runs that are killed, resumed and compared with an uninterrupted run.

Each cell starts training in a separate process, kills it with SIGKILL one to three times, each time
later in training, and lets the last process finish. The times are uniform over the duration of the
uninterrupted training, without the start of the process, so they fall within epochs and into the
training of a sampler. One kind of run is killed at the first checkpoint that is written after such
a time. The model must be bitwise identical to that of the uninterrupted run: weights, averages,
probabilities and generated rows.

    python benchmarks/kill_and_resume.py

It takes about fifteen minutes on one core, and can be interrupted at any time and resumed.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp
from typing import Any

import numpy as np
from _cells import add_run_options, few_labels, run_cells, table
from sklearn.datasets import load_digits
from skorch.callbacks import Callback

import sgan_sklearn
from sgan_sklearn import SGANClassifier, Training, load, save
from sgan_sklearn.samplers import CriticSampler

N_ROWS = 600
WHILE_WRITING = "table, while writing"
KINDS: dict[str, dict[str, Any]] = {
    "table": {"max_epochs": 60},
    "images": {"max_epochs": 25},
    "early stopping, cosine": {
        "max_epochs": 60,
        "early_stopping": True,
        "n_iter_no_change": 30,
        "validation_fraction": 0.2,
        "training__lr_schedule": "cosine",
    },
    "complement, critic": {
        "max_epochs": 50,
        "objective": "complement",
        "sampler": CriticSampler(max_epochs=30),
    },
    WHILE_WRITING: {"max_epochs": 60},
}
MAX_KILLS = 3
NETWORKS = ("module_", "generator_", "averaged_module_", "averaged_generator_")


def digits(kind: str) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    X, y = X[:N_ROWS], y[:N_ROWS]
    return (X.reshape(-1, 8, 8) if kind == "images" else X), few_labels(y, 10, 0)


# --- the process that is killed ---------------------------------------------------------------


class PrintEpochs(Callback):
    """Print the number of complete epochs at the start of each epoch and after the last one.

    The checkpoint of that number is then already in the folder.
    """

    def on_epoch_begin(self, net: Any, **kwargs: Any) -> None:
        print(len(net.history) - 1, flush=True)

    def on_train_end(self, net: Any, **kwargs: Any) -> None:
        print(len(net.history), flush=True)


def train(kind: str, folder: Path) -> None:
    """Train to the end, from the latest checkpoint if there is one, and save the model.

    The numbers of complete epochs are printed, the last one again after training the sampler.
    """
    training = Training(checkpoint_dir=folder, resume=True)
    options = {"device": "cpu", "random_state": 0, "callbacks": [PrintEpochs()]}
    classifier = SGANClassifier(training=training, **options).set_params(**KINDS[kind])
    classifier.fit(*digits(kind))
    print(len(classifier.net_.history), flush=True)
    save(classifier, folder / "model.sgan")


# --- the process that kills -------------------------------------------------------------------


def start(kind: str, folder: Path) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--train", kind, str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def finish(kind: str, folder: Path) -> list[tuple[int, float]]:
    """Train to the end; return the printed numbers and their times."""
    with start(kind, folder) as process:
        found = [(int(line), time.monotonic()) for line in process.stdout or ()]
    if process.returncode != 0:
        raise RuntimeError(f"the training of {kind!r} failed")
    return found


def kill(kind: str, folder: Path, epoch: int, delay: float) -> tuple[int, bool]:
    """Start training and kill it some seconds after it has completed a number of epochs.

    Returns the epoch from which it resumed, and whether it was ended by the kill.
    """
    with start(kind, folder) as process:
        first = None
        for line in process.stdout or ():
            first = int(line) if first is None else first
            if int(line) >= epoch:
                break
        time.sleep(delay)
        if kind == WHILE_WRITING:
            before = half_written(folder)
            while half_written(folder) <= before and process.poll() is None:
                time.sleep(1e-4)
        process.kill()
    if first is None:
        raise RuntimeError(f"the training of {kind!r} failed")
    return first, process.returncode == -signal.SIGKILL


def half_written(folder: Path) -> set[str]:
    """Return the names of files that are being written, or that were left by a kill."""
    return {name for name in os.listdir(folder) if name.endswith(".tmp")}


def moments(seconds: list[float], rng: np.random.RandomState) -> list[tuple[int, float]]:
    """Return when to kill training: after which epoch, and how many seconds later.

    `seconds` are the times of the numbers printed by the uninterrupted run.
    """
    chosen = np.sort(rng.uniform(seconds[0], seconds[-1], rng.randint(1, MAX_KILLS + 1)))
    epochs = np.searchsorted(seconds, chosen, side="right") - 1
    return [(int(i), float(moment - seconds[i])) for i, moment in zip(epochs, chosen, strict=True)]


def uninterrupted(kind: str, folder: Path) -> tuple[Path, list[float]]:
    """Return the model of the uninterrupted run, and the times of its printed numbers."""
    reference = folder / kind
    if not reference.exists():
        own = Path(mkdtemp(dir=folder))
        seconds = [moment for _, moment in finish(kind, own)]
        (own / "seconds.json").write_text(json.dumps(seconds))
        with suppress(OSError):  # another job was first
            own.rename(reference)
    return reference / "model.sgan", json.loads((reference / "seconds.json").read_text())


def measure(key: dict, folder: Path) -> dict:
    """Kill and resume training; return the epochs of resumption and whether the model is equal."""
    kind = key["kind"]
    rng = np.random.RandomState([list(KINDS).index(kind), key["run"]])
    model, seconds = uninterrupted(kind, folder)
    killed_after, first_epochs, left = [], [], set()
    with TemporaryDirectory() as name:
        own = Path(name)
        for epoch, delay in moments(seconds, rng):
            first, was_killed = kill(kind, own, epoch, delay)
            first_epochs.append(first)
            if not was_killed:
                break
            killed_after.append([epoch, round(delay, 3)])
            left |= half_written(own)
        first_epochs.append(finish(kind, own)[0][0])
        is_same = are_same(own / "model.sgan", model, digits(kind)[0])
    return {
        "n_epochs": len(seconds) - 2,
        "killed_after": killed_after,
        "resumed_from": first_epochs[1 : len(killed_after) + 1],
        "killed_while_writing": len(left),
        "is_same": is_same,
    }


def are_same(one: Path, other: Path, X: np.ndarray) -> bool:
    a, b = load(one), load(other)
    weights = [
        (getattr(a.net_, name).state_dict()[key], value)
        for name in NETWORKS
        for key, value in getattr(b.net_, name).state_dict().items()
    ]
    return (
        all(bool((first == second).all()) for first, second in weights)
        and np.array_equal(a.predict_proba(X), b.predict_proba(X))
        and np.array_equal(a.sample(9, random_state=0), b.sample(9, random_state=0))
        and a.n_steps_ == b.n_steps_
    )


# --- the table --------------------------------------------------------------------------------


def summarize(cells: list[dict]) -> str:
    header = ["training", "runs", "kills", "resumes from the middle", "equal to the bit"]
    rows = []
    for kind in KINDS:
        own = [cell for cell in cells if cell["key"]["kind"] == kind]
        if own:
            n_kills = sum(len(cell["killed_after"]) for cell in own)
            n_middle = sum(
                0 < epoch < cell["n_epochs"] for cell in own for epoch in cell["resumed_from"]
            )
            n_same = sum(cell["is_same"] for cell in own)
            counts = [len(own), n_kills, n_middle]
            rows.append([kind, *map(str, counts), f"{n_same} of {len(own)}"])
    return table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=6, help="runs of each kind (default: 6)")
    add_run_options(parser, "kill_and_resume")
    parser.add_argument("--train", nargs=2, metavar=("KIND", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.train:
        train(options.train[0], Path(options.train[1]))
        return
    version = sgan_sklearn.__version__
    keys = [
        {"kind": kind, "run": run, "version": version}
        for run in range(options.runs)
        for kind in KINDS
    ]
    with TemporaryDirectory() as folder:
        run = partial(measure, folder=Path(folder))
        print(summarize(run_cells(options, keys, run)))


if __name__ == "__main__":
    main()
