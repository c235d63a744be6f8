"""Trainings killed at random moments, resumed, and compared with one that was never interrupted.

Each cell starts a training in a process of its own, kills it with SIGKILL after a random time, up
to three times over, and lets the last process come to its end. The model must be, to the bit, that
of a training without a kill: weights, averages, probabilities and rows made up.

    python benchmarks/kill_and_resume.py

It takes some ten minutes on two cores. It can be stopped at any moment and goes on where it was.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from _cells import RESULTS, few_labels, run_cells, table
from sklearn.datasets import load_digits

import sgan_sklearn
from sgan_sklearn import SGANClassifier

KINDS = {
    "table": {"max_epochs": 12},
    "images": {"max_epochs": 4},
    "early stopping, cosine": {
        "max_epochs": 12,
        "early_stopping": True,
        "validation_fraction": 0.2,
        "lr_schedule": "cosine",
    },
    "complement, critic": {"max_epochs": 6, "objective": "complement", "sampler": "critic"},
}
MAX_KILLS = 3
NETWORKS = ("module_", "generator_", "averaged_module_", "averaged_generator_")


def digits(kind: str) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return (X.reshape(-1, 8, 8) if kind == "images" else X), few_labels(y, 10, 0)


def train(kind: str, folder: Path) -> None:
    """Train to the end, from the newest checkpoint if there is one, and save the model."""
    options = {"device": "cpu", "random_state": 0, "checkpoint_dir": folder, "resume": True}
    classifier = SGANClassifier(**KINDS[kind], **options).fit(*digits(kind))
    classifier.save(folder / "model.sgan")


def start(kind: str, folder: Path) -> subprocess.Popen:
    command = [sys.executable, __file__, "--train", kind, str(folder)]
    return subprocess.Popen(command, env={**os.environ, "OMP_NUM_THREADS": "1"})


def measure(key: dict, folder: Path) -> dict:
    """Kill and resume a training; return how often, and whether the models are the same."""
    kind, rng = key["kind"], np.random.RandomState(key["run"])
    reference = folder / kind
    reference.mkdir(exist_ok=True)
    if not (reference / "model.sgan").exists():
        begin = time.monotonic()
        if start(kind, reference).wait() != 0:
            raise RuntimeError(f"the training of {kind!r} failed")
        (reference / "seconds").write_text(str(time.monotonic() - begin))
    seconds = float((reference / "seconds").read_text())
    kills, epochs = [], []
    with TemporaryDirectory() as name:
        own = Path(name)
        for _ in range(rng.randint(1, MAX_KILLS + 1)):
            after = kill(kind, own, seconds, rng)
            while after is None and not kills:  # it was faster than that: once more
                for path in own.iterdir():
                    path.unlink()
                after = kill(kind, own, seconds, rng)
            if after is None:
                break
            kills.append(after)
            found = [int(path.stem[-6:]) for path in own.glob("*-epoch*.safetensors")]
            epochs.append(max(found, default=0))
        if start(kind, own).wait() != 0:
            raise RuntimeError(f"the resumed training of {kind!r} failed")
        same = is_same(own / "model.sgan", reference / "model.sgan", digits(kind)[0])
    return {"killed_after": kills, "epochs_kept": epochs, "is_same": same}


def kill(kind: str, folder: Path, seconds: float, rng: np.random.RandomState) -> float | None:
    """Start a training and kill it; return after how many seconds, or None if it was over."""
    process = start(kind, folder)
    after = round(float(rng.uniform(0, seconds)), 2)
    try:
        process.wait(after)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.wait()
        return after
    return None


def is_same(one: Path, other: Path, X: np.ndarray) -> bool:
    a, b = SGANClassifier.load(one), SGANClassifier.load(other)
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


def summarize(cells: list[dict]) -> str:
    rows = []
    for kind in KINDS:
        own = [cell for cell in cells if cell["key"]["kind"] == kind]
        if own:
            n_kills = sum(len(cell["killed_after"]) for cell in own)
            n_same = sum(cell["is_same"] for cell in own)
            rows.append([kind, str(len(own)), str(n_kills), f"{n_same} of {len(own)}"])
    return table(["training", "runs", "kills", "equal to the bit"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5, help="runs of each kind (default: 5)")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--output", type=Path, default=RESULTS / "kill_and_resume.json")
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
        print(summarize(run_cells(options.output, keys, run, jobs=options.jobs)))


if __name__ == "__main__":
    main()
