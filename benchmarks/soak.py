"""Many fits and predictions in one process: memory growth and thread safety.

- memory: 200 fits, each used to predict and sample and then deleted, then a million predictions in
  calls of one to a thousand rows; the resident memory after a warm-up compared with that at the end
- threads: eight threads that predict and sample with one model for a minute; every result is
  compared with that of a single thread

    python benchmarks/soak.py

It takes about fifteen minutes.
"""

from __future__ import annotations

import argparse
import gc
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from _cells import add_run_options, few_labels, run_cells, table
from rich.progress import track
from sklearn.datasets import load_digits

import sgan_sklearn
from sgan_sklearn import SGANClassifier

N_FITS, N_WARM_UP = 200, 20
N_PREDICTIONS, N_WARM_UP_PREDICTIONS = 1_000_000, 100_000
N_THREADS, SECONDS = 8, 60


def classifier(seed: int) -> SGANClassifier:
    return SGANClassifier(max_epochs=2, device="cpu", random_state=seed)


def memory() -> float:
    """Return the resident memory of this process in MB."""
    import psutil

    gc.collect()
    return psutil.Process().memory_info().rss / 1e6


def fits() -> dict:
    """Return the memory after a warm-up and after all fits."""
    X, y = load_digits(return_X_y=True)
    y = few_labels(y, 10, 0)
    course = []
    for i in track(range(N_FITS), "fits"):
        fitted = classifier(i).fit(X, y)
        fitted.predict_proba(X)
        fitted.sample(10, label=3)
        del fitted
        if i + 1 >= N_WARM_UP and (i + 1) % N_WARM_UP == 0:
            course.append(memory())
    return of_course(course)


def predictions() -> dict:
    """Return the memory after some predictions and after all of them."""
    X, y = load_digits(return_X_y=True)
    fitted = classifier(0).fit(X, few_labels(y, 10, 0))
    rng = np.random.RandomState(0)
    course, n_predicted = [], 0
    while n_predicted < N_PREDICTIONS:
        rows = rng.randint(len(X), size=rng.choice([1, 10, 100, 1000]))
        fitted.predict(X[rows])
        before, n_predicted = n_predicted, n_predicted + len(rows)
        if n_predicted // N_WARM_UP_PREDICTIONS > before // N_WARM_UP_PREDICTIONS:
            course.append(memory())
    return of_course(course)


def of_course(course: list[float]) -> dict:
    """Return the mean of the second half minus that after the warm-up, and all values."""
    half = len(course) // 2
    growth = float(np.mean(course[half:]) / course[0] - 1)
    return {"growth": growth, "megabytes": [round(value, 1) for value in course]}


def threads() -> dict:
    """Return how many results of several threads differ from those of a single thread."""
    X, y = load_digits(return_X_y=True)
    fitted = classifier(0).fit(X, few_labels(y, 10, 0))
    torch.set_num_threads(1)
    probabilities = fitted.predict_proba(X)
    made = [fitted.sample(50, random_state=seed) for seed in range(10)]
    of_class = [fitted.sample(5, random_state=seed, label=seed) for seed in range(10)]
    end = time.monotonic() + SECONDS

    def work(seed: int) -> tuple[int, int]:
        rng = np.random.RandomState(seed)
        n_answers = n_wrong = 0
        while time.monotonic() < end:
            i = rng.randint(10)
            rows = slice(*sorted(rng.randint(len(X) + 1, size=2)))
            if rows.start == rows.stop:
                continue
            answers = (
                np.allclose(fitted.predict_proba(X[rows]), probabilities[rows], atol=1e-6),
                np.array_equal(fitted.predict_proba(X), probabilities),
                np.array_equal(fitted.sample(50, random_state=i), made[i]),
                np.array_equal(fitted.sample(5, random_state=i, label=i), of_class[i]),
            )
            n_answers, n_wrong = n_answers + len(answers), n_wrong + answers.count(False)
        return n_answers, n_wrong

    with ThreadPoolExecutor(N_THREADS) as pool:
        answers, wrong = np.sum(list(pool.map(work, range(N_THREADS))), axis=0).tolist()
    return {"answers": answers, "wrong": wrong}


PARTS: dict[str, Callable[[], dict]] = {
    "200 fits": fits,
    "1,000,000 predictions": predictions,
    "8 threads, 60 s": threads,
}


def measure(key: dict) -> dict:
    return PARTS[key["part"]]()


def summarize(cells: list[dict]) -> str:
    rows = []
    for cell in cells:
        found = f"{cell['wrong']} of {cell['answers']:,} answers differ" if "wrong" in cell else ""
        if "growth" in cell:
            course = cell["megabytes"]
            mean = f"mean of the later half {cell['growth']:+.1%}"
            found = f"{course[0]:.0f} MB after the warm-up, {course[-1]:.0f} at the end, {mean}"
        rows.append([cell["key"]["part"], found])
    return table(["part", "found"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    add_run_options(parser, "soak", jobs=False)
    options = parser.parse_args()
    keys = [{"part": part, "version": sgan_sklearn.__version__} for part in options.parts]
    print(summarize(run_cells(options, keys, measure)))


if __name__ == "__main__":
    main()
