"""Saves over an existing file that are killed at random times, or that run into a full disk.

A process alternately saves two models to one file, until it is ended by SIGKILL or the file size
limit is reached. The file must then contain one of the two models completely, and the next save
must leave no other file in the folder.

    python benchmarks/kill_save.py

It takes about two minutes.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
import time
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from _cells import add_run_options, run_cells, table
from sklearn.datasets import load_digits

import sgan_sklearn
from sgan_sklearn import SGANClassifier, load, save
from sgan_sklearn.architectures import MLPArchitecture

KINDS = {"killed": 200, "full disk": 50}


def models() -> list[SGANClassifier]:
    """Return two models with different weights, of about five megabytes each."""
    X, y = load_digits(return_X_y=True)
    wide = MLPArchitecture((300,), (300,))
    return [
        SGANClassifier(wide, max_epochs=1, random_state=seed, device="cpu").fit(
            X, np.where(np.arange(len(y)) % 10, -1, y)
        )
        for seed in (0, 1)
    ]


def save_in_turn(both: list[SGANClassifier], path: Path, most_bytes: int | None) -> None:
    """Save the models over a file until this process ends."""
    if most_bytes is not None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails, as on a full disk
        resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, most_bytes))
    while True:
        for model in both:
            save(model, path)


def disturbed(
    kind: str, both: list[SGANClassifier], path: Path, n_bytes: int, rng: np.random.RandomState
) -> str:
    """Disturb a saving process, and return how it ended."""
    child = os.fork()
    if child == 0:
        try:
            save_in_turn(both, path, rng.randint(n_bytes) if kind == "full disk" else None)
        except OSError:
            os._exit(3)
        finally:
            os._exit(4)
    if kind == "killed":
        time.sleep(rng.uniform(0, 0.3))
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    return "killed" if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"


def measure(key: dict, folder: Path) -> dict[str, Any]:
    """Disturb saves, and count the files that are complete afterwards."""
    torch.set_num_threads(1)
    rng, path = np.random.RandomState(key["seed"]), folder / f"{key['kind']} model.sgan"
    X = load_digits(return_X_y=True)[0][:100]
    both = models()
    save(both[1], path)
    expected = [model.predict_proba(X) for model in both]
    n_whole, n_clean, n_leftovers, ends = 0, 0, 0, []
    for _ in range(key["saves"]):
        ends.append(disturbed(key["kind"], both, path, path.stat().st_size, rng))
        found = load(path).predict_proba(X)
        n_whole += any(np.array_equal(found, one) for one in expected)
        own = [name for name in os.listdir(folder) if key["kind"] in name]
        n_leftovers += len(own) - 1
        save(both[0], path)
        n_clean += [name for name in os.listdir(folder) if key["kind"] in name] == [path.name]
    return {
        "ends": sorted({(end, ends.count(end)) for end in ends}),
        "megabytes": path.stat().st_size / 1e6,
        "whole": n_whole,
        "leftovers": n_leftovers,
        "clean": n_clean,
    }


def summarize(cells: list[dict]) -> str:
    header = ["save", "times", "file whole", "temporary files left", "gone after the next save"]
    rows = [
        [c["key"]["kind"], *map(str, (c["key"]["saves"], c["whole"], c["leftovers"], c["clean"]))]
        for c in cells
    ]
    return table(header, rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--saves", type=int, help="of each kind (default: 200 killed, 50 full)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the times (default: 0)")
    add_run_options(parser, "kill_save", jobs=False)
    options = parser.parse_args()
    shared = {"seed": options.seed, "version": sgan_sklearn.__version__}
    keys = [
        {"kind": kind, "saves": options.saves or number, **shared} for kind, number in KINDS.items()
    ]
    with TemporaryDirectory() as folder:
        print(summarize(run_cells(options, keys, partial(measure, folder=Path(folder)))))


if __name__ == "__main__":
    main()
