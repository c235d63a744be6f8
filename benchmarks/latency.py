"""Time of a prediction, and time and memory of a program that predicts.

- predict: the time of `predict_proba` of SGANClassifier, of MLPClassifier with hidden layers of the
  same sizes, and of the exported graph in ONNX Runtime, for an array, a DataFrame of numbers and
  one that also has categories. Since MLPClassifier takes no categories, it gets them from a
  ColumnTransformer in a Pipeline. The graph is that of a model of arrays. The systems alternate.
- process: the time and the memory of a new process that imports torch, scikit-learn and skorch,
  that imports sgan_sklearn, and that also loads a model and predicts one row.

All figures are medians. With one thread the time is that of the processor, which other programs on
the machine change little.

    python benchmarks/latency.py

It takes about four minutes, and can be interrupted at any time and resumed.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from _cells import add_run_options, run_cells, table
from sklearn.compose import make_column_transformer
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from threadpoolctl import threadpool_limits

from sgan_sklearn import SGANClassifier, export_onnx, save
from sgan_sklearn.architectures import MLPArchitecture

PARTS = ("predict", "process")
INPUTS = ("array", "DataFrame", "DataFrame with categories")
SIZES = (1, 100, 10_000)
N_NUMBERS, N_CATEGORIES, N_TRAINING_ROWS = 20, 3, 2_000
HIDDEN = (256, 256, 128)
SGAN, MLP, ONNX = SYSTEMS = ("SGANClassifier", "MLPClassifier", "ONNX Runtime")

# What a new process runs, one more step in each row of the table.
PROGRAMS = {
    "import torch, scikit-learn and skorch": "import torch, sklearn.pipeline, skorch",
    "import sgan_sklearn": "import sgan_sklearn",
    "load a model, predict one row": (
        "import sys, numpy as np, sgan_sklearn\n"
        f"sgan_sklearn.load(sys.argv[1]).predict_proba(np.zeros((1, {N_NUMBERS})))"
    ),
}


def keys(parts: list[str], inputs: list[str], sizes: list[int], threads: int) -> list[dict]:
    where = {"threads": threads, "seed": 0, "hidden": list(HIDDEN)}
    found: list[dict] = []
    if "predict" in parts:
        found += [
            {"part": "predict", "input": name, "rows": n_rows, **where}
            for name in inputs
            for n_rows in sizes
        ]
    if "process" in parts:
        found += [{"part": "process", "program": name, **where} for name in PROGRAMS]
    return found


def measure(key: dict, options: argparse.Namespace) -> dict:
    torch.set_num_threads(key["threads"])
    with threadpool_limits(key["threads"]):
        return MEASURES[key["part"]](key, options)


def make_rows(name: str, n_rows: int, seed: int) -> np.ndarray | pd.DataFrame:
    """Return rows of columns with different scales, a quarter of which have heavy tails."""
    rng = np.random.RandomState(seed)
    numbers = rng.randn(n_rows, N_NUMBERS) * np.arange(1, N_NUMBERS + 1)
    numbers[:, ::4] = np.exp(3 * rng.randn(*numbers[:, ::4].shape))
    if name == "array":
        return numbers
    frame = pd.DataFrame(numbers, columns=[f"number {i}" for i in range(N_NUMBERS)])
    if name == "DataFrame with categories":
        for i in range(N_CATEGORIES):
            frame[f"category {i}"] = pd.Categorical(
                rng.choice(list("abcde"), n_rows), list("abcde")
            )
    return frame


def fitted(name: str, seed: int) -> tuple[SGANClassifier, object]:
    """Return both classifiers, trained briefly: the time of a prediction does not depend on it."""
    X, y = make_rows(name, N_TRAINING_ROWS, seed), np.arange(N_TRAINING_ROWS) % 2
    ours = SGANClassifier(
        MLPArchitecture(HIDDEN),
        unlabeled_value=None,
        max_epochs=1,
        device="cpu",
        random_state=seed,
    ).fit(X, y)
    theirs = MLPClassifier(HIDDEN, max_iter=1, random_state=seed)
    if name == "DataFrame with categories":
        categories = [column for column in X.columns if column.startswith("category")]
        encoder = make_column_transformer((OneHotEncoder(), categories), remainder="passthrough")
        theirs = make_pipeline(encoder, theirs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return ours, theirs.fit(X, y)


def onnx_session(classifier: SGANClassifier, threads: int):
    """Return a session of the exported classifier; raise ImportError if a package is missing."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = threads
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        export_onnx(classifier, path)
        return onnxruntime.InferenceSession(
            path.read_bytes(), options, providers=["CPUExecutionProvider"]
        )


def measure_predictions(key: dict, options: argparse.Namespace) -> dict:
    ours, theirs = fitted(key["input"], key["seed"])
    X = make_rows(key["input"], key["rows"], key["seed"] + 1)
    functions: dict[str, Callable] = {SGAN: ours.predict_proba, MLP: theirs.predict_proba}
    skipped = {}
    if key["input"] == "array":
        try:
            session = onnx_session(ours, key["threads"])
            functions[ONNX] = lambda rows: session.run(["probabilities"], {"X": rows})
        except ImportError as error:
            skipped[ONNX] = f"{error.name or 'onnxruntime'} is not installed"
    else:
        skipped[ONNX] = "the graph takes an array"
    times: dict[str, list[float]] = {name: [] for name in functions}
    end = time.perf_counter() + options.seconds
    # With several threads, the time of the processor would be their sum.
    clock = time.process_time if key["threads"] == 1 else time.perf_counter
    # The first round is a warm-up.
    while len(times[SGAN]) <= options.rounds or time.perf_counter() < end:
        for name, function in functions.items():
            start = clock()
            function(X)
            times[name].append(clock() - start)
    medians = {name: float(np.median(values[1:])) for name, values in times.items()}
    return {
        "median_seconds": medians,
        "ratio_to_mlp": medians[SGAN] / medians[MLP],
        "rounds": len(times[SGAN]) - 1,
        "skipped": skipped,
    }


def measure_process(key: dict, options: argparse.Namespace) -> dict:
    """Run a program in new processes, the first of which only fills the cache of files."""
    usage = "\nimport psutil, time\nprint(time.process_time(), psutil.Process().memory_info().rss)"
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.sgan")
        save(fitted("array", key["seed"])[0], path)
        command = [sys.executable, "-c", PROGRAMS[key["program"]] + usage, str(path)]
        for _ in range(options.processes + 1):
            child = subprocess.run(command, capture_output=True, text=True, check=True)
            figures.append([float(figure) for figure in child.stdout.split()])
        size = path.stat().st_size
    seconds, n_bytes = np.median(figures[1:], axis=0)
    return {
        "median_seconds": float(seconds),
        "megabytes": float(n_bytes) / 1e6,
        "file_megabytes": size / 1e6,
    }


MEASURES = {"predict": measure_predictions, "process": measure_process}


def summarize(cells: list[dict]) -> str:
    """Return a table of predictions and one of processes."""
    found = {part: [c for c in cells if c["key"]["part"] == part] for part in PARTS}
    place = {name: i for i, name in enumerate([*INPUTS, *PROGRAMS])}
    predictions = sorted(
        found["predict"],
        key=lambda c: (c["key"]["threads"], place[c["key"]["input"]], c["key"]["rows"]),
    )
    rows = [
        [
            cell["key"]["input"],
            f"{cell['key']['rows']:,}",
            *(_milliseconds(cell, name) for name in SYSTEMS),
            f"{cell['ratio_to_mlp']:.1f}",
        ]
        for cell in predictions
    ]
    header = ["input", "rows", *(f"{name}, ms" for name in SYSTEMS)]
    texts = [table([*header, f"{SGAN} / {MLP}"], rows)] if rows else []
    rows = [
        [
            cell["key"]["program"],
            f"{cell['median_seconds']:.1f}",
            f"{cell['megabytes']:.0f}",
        ]
        for cell in sorted(found["process"], key=lambda c: place[c["key"]["program"]])
    ]
    texts += [table(["new process", "seconds", "memory, MB"], rows)] if rows else []
    return "\n\n".join(texts)


def _milliseconds(cell: dict, system: str) -> str:
    seconds = cell["median_seconds"].get(system)
    return f"- ({cell['skipped'][system]})" if seconds is None else f"{1000 * seconds:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--inputs", nargs="+", choices=INPUTS, default=list(INPUTS))
    parser.add_argument("--sizes", nargs="+", type=int, default=list(SIZES), help="numbers of rows")
    parser.add_argument("--threads", type=int, default=1, help="threads (default: 1)")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="seconds for the rounds of a cell (default: 5)"
    )
    parser.add_argument("--rounds", type=int, default=20, help="minimum of rounds (default: 20)")
    parser.add_argument("--processes", type=int, default=3, help="processes (default: 3)")
    add_run_options(parser, "latency", jobs=False)
    options = parser.parse_args()
    wanted = keys(options.parts, options.inputs, options.sizes, options.threads)
    print(summarize(run_cells(options, wanted, partial(measure, options=options))))


if __name__ == "__main__":
    main()
