"""Mutated files of models and checkpoints: none may crash Python, run code or exhaust the memory.

Damaged files keep their old checksum, as after a disk or download error; each of them must be
refused. Forged files (`--forged`) have a changed structure and a correct checksum, as if written by
an attacker who knows the format. Each is loaded in a separate process, which then uses the model as
a program would: predict, sample, display, clone, save, continue training. A file may be refused
with a ValueError, or be a model with other content. It must not end the process, hang for ten
seconds, take more than twice the memory of the original file and 100 MB, or run code (an audit hook
detects executed code, written files and started programs; an environment variable and markup in the
HTML representation are further canaries). `fit` skips a forged checkpoint.

    python benchmarks/fuzz_load.py
    python benchmarks/fuzz_load.py --forged --jobs 2

The first takes five minutes, the second an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import time
import warnings
from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from _cells import add_run_options, run_cells, table
from _forgeries import CANARY, forge, use
from safetensors import SafetensorError
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.decomposition import PCA, TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)

import sgan_sklearn
from sgan_sklearn import SGANClassifier, Training, save
from sgan_sklearn._storage.files import read_file, write_file
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture
from sgan_sklearn.regularizers import Distillation
from sgan_sklearn.samplers import CriticSampler

DAMAGES = ("bit flip", "many bits", "truncation", "swap", "insertion", "zeros")
MODELS = ("array", "critic", "frame", "images", "pipeline", "text", "unfitted", "checkpoint")

# Events that must not occur while a file is loaded or a model is used.
FORBIDDEN = re.compile(
    "exec|compile|subprocess|os\\.(system|exec|fork|spawn|remove|rename|mkdir|putenv)|socket|"
    "pickle|marshal|shutil|ctypes|urllib|webbrowser|ftplib|smtplib"
)

PARTS = 4  # of the forged files of a model, each with its own seed
SECONDS = 10  # maximum time per file
SPARE_MB = 100  # allowed memory in addition to twice that of the original file
MOST_BYTES = 8 * 2**30  # memory limit of a process

SMALL = {
    "architecture": MLPArchitecture((8,), (8,)),
    "latent_dim": 8,
    "max_epochs": 1,
    "device": "cpu",
    "random_state": 0,
}


def inputs(name: str) -> tuple[Any, np.ndarray]:
    """Return the rows and labels of a kind of model; some labels are missing."""
    X, y = load_iris(return_X_y=True)
    X, y = X[::3], y[::3]
    y = np.where(np.arange(len(y)) % 3 == 0, -1, y)
    match name:
        case "frame" | "pipeline":
            frame = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 3, "u", "v"), "c": X[:, 2]})
            frame.loc[::7, ["a", "b"] if name == "frame" else "a"] = None
            return frame, y
        case "images":
            rng = np.random.RandomState(0)
            return rng.randint(0, 256, (len(y), 8, 8)).astype(np.uint8), y
        case "text":
            words = np.array(["a red fox", "two blue jays", "one old hen"])
            return [f"{words[i % 3]} number{i % 5}" for i in range(len(y))], y
    return X, y


def model_of(name: str) -> Any:
    """Return a fitted model of a kind."""
    X, y = inputs(name)
    match name:
        case "critic":
            sampler = CriticSampler((8,), (8,), latent_dim=4, max_epochs=1, batch_size=20)
            state = np.random.RandomState(0)
            model = SGANClassifier(**{**SMALL, "random_state": state}, sampler=sampler)
        case "frame":
            model = SGANClassifier(**SMALL, scaling="asinh", regularizer=Distillation())
        case "images":
            small = {**SMALL, "architecture": ConvArchitecture(width=2)}
            model = SGANClassifier(**small)
        case "pipeline":
            numbers = make_pipeline(SimpleImputer(add_indicator=True), PowerTransformer())
            levels = OneHotEncoder(sparse_output=False, drop="first", handle_unknown="ignore")
            model = make_pipeline(
                make_column_transformer((numbers, ["a", "c"]), (levels, ["b"])),
                FunctionTransformer(np.exp2),
                RobustScaler(),
                PCA(3, random_state=0),
                StandardScaler(),
                SGANClassifier(**SMALL, scaling=QuantileTransformer(n_quantiles=10)),
            )
        case "text":
            classifier = SGANClassifier(**SMALL, scaling="none")
            model = make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0), classifier)
        case "unfitted":
            return SGANClassifier(**SMALL, class_weight={0: 2, 1: 1}, regularizer=["entropy"])
        case _:
            model = SGANClassifier(**SMALL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return model.fit(X, y)


def checkpointed(folder: Path, *, resume: bool = False) -> SGANClassifier:
    """Return a classifier that writes its checkpoints to a folder."""
    return SGANClassifier(
        **{**SMALL, "max_epochs": 2},
        training=Training(checkpoint_dir=folder, resume=resume),
        early_stopping=True,
        validation_fraction=0.3,
        regularizer=["class_prior", "virtual_adversarial"],
    )


def write_model(name: str, folder: Path) -> Path:
    """Write the original file of a kind of model, and return it."""
    path = folder / name
    if name == "checkpoint":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            checkpointed(folder / "run").fit(*inputs(name))
        return min((folder / "run").iterdir())
    save(model_of(name), path)
    return path


# --- damaged files ------------------------------------------------------------------------------


def damaged(data: bytes, kind: str, rng: np.random.RandomState) -> bytes:
    """Return changed bytes of a file."""
    changed, n = bytearray(data), len(data)
    header = 8 + int.from_bytes(data[:8], "little")
    # As often in the header as in the arrays, which are much longer.
    place = rng.randint(header) if rng.rand() < 0.5 else rng.randint(n)
    match kind:
        case "bit flip":
            changed[place] ^= 1 << rng.randint(8)
        case "many bits":
            for other in rng.randint(n, size=rng.randint(2, 50)):
                changed[other] ^= 1 << rng.randint(8)
        case "truncation":
            del changed[place:]
        case "swap":
            size = rng.randint(1, 200)
            one, other = sorted(rng.randint(0, n - size, 2))
            first, second = bytes(changed[one : one + size]), bytes(changed[other : other + size])
            changed[one : one + size], changed[other : other + size] = second, first
        case "insertion":
            changed[place:place] = rng.bytes(rng.randint(1, 50))
        case "zeros":
            changed[place : place + rng.randint(1, 100)] = b""
    return bytes(changed)


# --- one file in a separate process -------------------------------------------------------------


def watch(alarms: list[str], scratch: Path) -> None:
    """Append forbidden events from now on to `alarms`."""

    def hear(event: str, arguments: tuple) -> None:
        opened = event == "open" and isinstance(arguments[1], str) and arguments[1] not in "rbU"
        if opened or FORBIDDEN.match(event):
            alarm = f"{event} {arguments!r:.200}"
            # Python reads installed modules, and `save` writes to the given path.
            events = r"(exec|compile|marshal\.loads|ctypes\.dl(open|sym))"
            installed = rf"{events} .*(site-packages|python3|code object|<string>)"
            if scratch.name not in alarm and not re.match(installed, alarm):
                alarms.append(alarm)

    sys.addaudithook(hear)


def resume(path: Path, honest: Path, scratch: Path) -> str:
    """Continue training from a forged checkpoint, and return the outcome."""
    folder = scratch.with_name(f"{scratch.name}-run")
    folder.mkdir()
    shutil.copy(path, folder / honest.name)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            checkpointed(folder, resume=True).fit(*inputs("checkpoint"))
        except Exception as error:  # any exception is counted
            return f"used, but fit: {type(error).__name__}"
    passed_over = any("checkpoint cannot be used" in str(warning.message) for warning in caught)
    if CANARY in os.environ:
        return "code: an environment variable was set"
    return "refused" if passed_over else "used"


def in_own_process(name: str, path: Path, honest: Path) -> tuple[str, float, float]:
    """Return the outcome of a file, the peak memory in MB and the seconds."""
    import resource  # not on Windows

    scratch = path.with_name(f"scratch-{path.name}")
    reader, writer = os.pipe()
    start = time.perf_counter()
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
            alarms: list[str] = []
            if name == "checkpoint":  # `fit` writes checkpoints to the given folder
                found = resume(path, honest, scratch)
            else:
                watch(alarms, scratch)
                found = use(path, *inputs(name), scratch)
            os.write(writer, (f"code: {alarms[0]}" if alarms else found).encode()[:4000])
        finally:
            os._exit(0)
    os.close(writer)
    in_time = bool(select.select([reader], [], [], SECONDS)[0])
    found = os.read(reader, 4096).decode(errors="replace") if in_time else ""
    if not in_time:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    os.close(reader)
    seconds = time.perf_counter() - start
    scratch.unlink(missing_ok=True)
    shutil.rmtree(scratch.with_name(f"{scratch.name}-run"), ignore_errors=True)
    if not in_time:
        found = "hang"
    elif os.WIFSIGNALED(status) or not found:
        found = f"signal {os.WTERMSIG(status)}"
    return found, usage.ru_maxrss / 1024, seconds


def read_forged(name: str, folder: Path, n_files: int, seed: int) -> None:
    """Forge files of a kind of model, use each of them, and print the outcome."""
    torch.set_num_threads(1)
    honest = write_model(name, folder)
    arrays, content = read_file(honest)
    if name != "checkpoint":
        use(honest, *inputs(name), folder / "warm-up")  # imports everything that is needed
    found, most, seconds = in_own_process(name, honest, honest)
    print(json.dumps(["honest", found, most, seconds, ""]), flush=True)
    for i in range(n_files):
        path = folder / f"file{i:06}"
        sys.setrecursionlimit(20_000)  # to write deeply nested content
        forged, changed, kind = forge(arrays, content, np.random.RandomState([seed, i]))
        try:
            write_file(path, forged, changed)
        except (SafetensorError, TypeError, ValueError):  # cannot be represented in a file
            print(json.dumps([i, "not written", 0, 0, kind]), flush=True)
            continue
        finally:
            sys.setrecursionlimit(1_000)
        found, peak, seconds = in_own_process(name, path, honest)
        if peak > 2 * most + SPARE_MB:
            found = f"memory: {peak:.0f} MB, the honest file {most:.0f} MB; {found}"
        print(json.dumps([i, found, peak, seconds, kind]), flush=True)
        path.unlink()


def measure_forged(key: dict) -> dict:
    with TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--model", key["model"], "--read", folder]
        command += ["--files", str(key["files"]), "--seed", str(key["seed"])]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]
    honest, *forged = lines
    if len(forged) < key["files"] or honest[1] != "used":
        raise RuntimeError(f"{honest} after {len(forged)} files: {result.stderr[-2000:]}")
    outcomes = Counter(re.split(r"[:,]| \d", outcome)[0] for _, outcome, *_ in forged)
    bad = ("signal", "hang", "code", "memory", "load raised", "refused without")
    return {
        "honest_peak": honest[2],
        "outcomes": dict(outcomes),
        "errors_in_use": dict(Counter(o for _, o, *_ in forged if o.startswith("used, but"))),
        "bad": [line for line in forged if line[1].startswith(bad)][:50],
        "largest_peak": max(peak for _, _, peak, _, _ in forged),
        "slowest": max(seconds for *_, seconds, _ in forged),
    }


def measure_damaged(key: dict, folder: Path) -> dict:
    rng = np.random.RandomState(key["seed"])
    refused, others = 0, []
    data = {name: (folder / name).read_bytes() for name in MODELS if (folder / name).exists()}
    path = folder / f"damaged {key['kind']}"
    for _ in range(key["files"]):
        whole = data[sorted(data)[rng.randint(len(data))]]
        changed = damaged(whole, key["kind"], rng)
        while changed == whole:
            changed = damaged(whole, key["kind"], rng)
        path.write_bytes(changed)
        try:
            others.append(repr(sgan_sklearn.load(path))[:100])
        except ValueError:
            refused += 1
        except Exception as error:  # any exception is counted
            others.append(f"{type(error).__name__}: {error}"[:100])
    return {"refused": refused, "others": others}


# --- tables -------------------------------------------------------------------------------------


def summarize(cells: list[dict]) -> str:
    """Return the table of damaged files."""
    header = ["damage", "files", "refused", "loaded or other errors"]
    rows = [
        [c["key"]["kind"], str(c["key"]["files"]), str(c["refused"]), str(len(c["others"]))]
        for c in cells
        if c["key"]["kind"] != "forged"
    ]
    return table(header, rows)


def summarize_forged(cells: list[dict]) -> str:
    """Return the table of forged files."""
    header = ["model", "files", "refused", "used", "error in use", "signals", "hangs", "code run"]
    by_model: dict[str, list[dict]] = {}
    for cell in cells:
        if cell["key"]["kind"] == "forged":
            by_model.setdefault(cell["key"]["model"], []).append(cell)
    rows = []
    for model, parts in by_model.items():
        found: Counter[str] = Counter()
        for part in parts:
            found.update(part["outcomes"])
        n_errors = sum(sum(part["errors_in_use"].values()) for part in parts)
        not_written = sum(n for outcome, n in found.items() if outcome.startswith("not written"))
        n_files = sum(part["key"]["files"] for part in parts) - not_written
        figures = [n_files, found["refused"], found["used"] - n_errors, n_errors]
        figures += [found["signal"], found["hang"], found["code"], found["memory"]]
        peak = max(part["largest_peak"] for part in parts)
        honest = max(part["honest_peak"] for part in parts)
        slowest = max(part["slowest"] for part in parts)
        rows.append([model, *map(str, figures), f"{peak:.0f} ({honest:.0f})", f"{slowest:.1f}"])
    return table([*header, "too much memory", "largest peak, MB (honest)", "slowest, s"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--forged", action="store_true", help="forged files, not damaged ones")
    parser.add_argument("--files", type=int, help="total number (default: 5004; 20000 forged)")
    parser.add_argument("--seed", type=int, default=0, help="seed of the mutations (default: 0)")
    add_run_options(parser, "fuzz_load")
    parser.add_argument("--models", nargs="+", default=MODELS, choices=MODELS, help="forged kinds")
    parser.add_argument("--model", help=argparse.SUPPRESS)
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_forged(options.model, options.read, options.files, options.seed)
        return
    shared = {"seed": options.seed, "version": sgan_sklearn.__version__}
    os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that load files
    if options.forged:
        n_files = -(-(options.files or 20_000) // (len(MODELS) * PARTS))
        keys = [
            {**shared, "kind": "forged", "model": model, "files": n_files, "seed": seed}
            for seed in range(options.seed, options.seed + PARTS)
            for model in options.models
        ]
        print(summarize_forged(run_cells(options, keys, measure_forged)))
        return
    n_files = (options.files or 5_004) // len(DAMAGES)
    keys = [{"kind": kind, "files": n_files, **shared} for kind in DAMAGES]
    with TemporaryDirectory() as folder:
        for name in MODELS[:-1]:
            write_model(name, Path(folder))
        run = partial(measure_damaged, folder=Path(folder))
        print(summarize(run_cells(options, keys, run)))


if __name__ == "__main__":
    main()
