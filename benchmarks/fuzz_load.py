"""Mutated files of saved models: none may be taken for a model, crash Python or run code.

Half of the files keep the checksum that they had, as if a disk or a download had failed. The others
get a new and correct one, as from somebody who knows the format: they may say something else, but
nothing more than that. Each file is read in a process whose every way to run code, to import from
elsewhere, to write and to start programs is a trap (an audit hook, the canary). Those with a
correct checksum that are loaded must be estimators or be refused with a ValueError.

    python benchmarks/fuzz_load.py

It takes some ten minutes.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections import Counter
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from _cells import RESULTS, run_cells, table
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import sgan_sklearn
from sgan_sklearn import SGANClassifier, load, save
from sgan_sklearn._files import read_file, write_file
from sgan_sklearn.architectures import MLPArchitecture

DAMAGES = ("bit flip", "many bits", "truncation", "swap", "insertion", "zeros")
FORGERIES = ("other value", "other class", "other key", "moved part", "other array", "lost array")

# What must never happen while a file is read.
FORBIDDEN = re.compile(
    "exec|compile|subprocess|os\\.(system|exec|fork|spawn|remove|rename|mkdir|putenv)|socket|"
    "pickle|marshal|shutil|ctypes|urllib|webbrowser|ftplib|smtplib"
)
CLASSES = ("os.system", "builtins.eval", "sklearn.svm.SVC", "sgan_sklearn.SGANNet", "custom.exit")
CLASSES += ("sklearn.preprocessing.FunctionTransformer", "sgan_sklearn.TableColumns", "", "a.b.c")
VALUES = (
    None,
    True,
    -1,
    0,
    2**31,
    1e300,
    "",
    "x",
    [],
    {},
    [[]],
    {"dict": []},
    {"function": "exit"},
)
VALUES += ({"ufunc": "add"}, {"type": "object"}, {"dtype": "|O"}, {"method": [1, "build_x"]})

MEMORY = 4 * 2**30  # bytes that a reader may take


def write_models(folder: Path) -> list[Path]:
    """Save models of different kinds, and return their files."""
    X, y = load_iris(return_X_y=True)
    frame = pd.DataFrame({"a": X[:, 0], "b": np.where(X[:, 1] > 3, "u", "v"), "c": y})
    small = {
        "architecture": MLPArchitecture((8,), (8,)),
        "unlabeled_value": None,
        "max_epochs": 1,
        "random_state": 0,
    }
    pipeline = make_pipeline(
        make_column_transformer((OneHotEncoder(sparse_output=False), ["b"]), remainder="drop"),
        StandardScaler(),
        SGANClassifier(**small),
    )
    models = {
        "array": SGANClassifier(**small).fit(X, y),
        "frame": SGANClassifier(**small, scaling="asinh").fit(frame, y.astype(str)),
        "pipeline": pipeline.fit(frame, y),
        "unfitted": SGANClassifier(),
    }
    for name, model in models.items():
        save(model, folder / name)
    return [folder / name for name in models]


# --- mutations ----------------------------------------------------------------------------------


def damaged(data: bytes, kind: str, rng: np.random.RandomState) -> bytes:
    """Return other bytes than those of a file."""
    changed, n = bytearray(data), len(data)
    header = 8 + int.from_bytes(data[:8], "little")
    # As often in the header as in the arrays, which are many times longer.
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
            first, second = sorted(rng.randint(0, n - size, 2))
            one, other = (
                bytes(changed[first : first + size]),
                bytes(changed[second : second + size]),
            )
            changed[first : first + size], changed[second : second + size] = other, one
        case "insertion":
            changed[place:place] = rng.bytes(rng.randint(1, 50))
        case "zeros":
            changed[place : place + rng.randint(1, 100)] = b""
    return bytes(changed)


def forge(path: Path, target: Path, kind: str, rng: np.random.RandomState) -> None:
    """Write a file that says something else, with a checksum that is right."""
    arrays, content = read_file(path)
    parts = [(content, "estimator")]
    for tree, key in parts:  # grows on the way
        value = tree[key]
        if isinstance(value, list | dict):
            children = range(len(value)) if isinstance(value, list) else list(value)
            parts += [(value, child) for child in children]
    tree, key = parts[rng.randint(len(parts))]
    match kind:
        case "other value":
            tree[key] = VALUES[rng.randint(len(VALUES))]
        case "other class":
            named = [(t, k) for t, k in parts if isinstance(t[k], str) and "sklearn." in t[k]]
            tree, key = named[rng.randint(len(named))]
            tree[key] = CLASSES[rng.randint(len(CLASSES))]
        case "other key" if isinstance(tree, dict):
            tree[["partial", "object", "tuple", "x"][rng.randint(4)]] = tree.pop(key)
        case "moved part":
            other, place = parts[rng.randint(len(parts))]
            tree[key] = json.loads(json.dumps(other[place]))
        case "other array" if arrays:
            name = sorted(arrays)[rng.randint(len(arrays))]
            arrays[name] = rng.standard_normal(rng.randint(9)).astype(arrays[name].dtype)
        case "lost array" if arrays:
            del arrays[sorted(arrays)[rng.randint(len(arrays))]]
    write_file(target, arrays, content)


# --- reading ------------------------------------------------------------------------------------


def read_all(folder: Path) -> None:
    """Read every file of a folder with the canary in place, and print what came of each."""
    alarms: list[str] = []
    load_first = folder / "good"
    load(load_first).get_params()  # whatever has to be imported
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    armed = [True]

    def hear(event: str, arguments: tuple) -> None:
        opened = event == "open" and isinstance(arguments[1], str) and arguments[1] not in "rbU"
        if armed[0] and (opened or FORBIDDEN.match(event)):
            alarms.append(f"{event} {arguments!r:.80}")

    sys.addaudithook(hear)
    for path in sorted(folder.glob("file*")):
        alarms.clear()
        start = time.perf_counter()
        try:
            outcome = type(load(path)).__name__
        except ValueError:
            outcome = "refused"
        except BaseException as error:
            outcome = f"raised {type(error).__name__}: {error!s:.100}"
        seconds = time.perf_counter() - start
        heard = [alarm for alarm in alarms if not is_import(alarm)]
        print(json.dumps([path.name, outcome, heard, round(seconds, 3)]), flush=True)
    armed[0] = False


def is_import(alarm: str) -> bool:
    """Whether an alarm is that of Python reading a module that is installed."""
    return bool(
        re.match(r"(exec|compile|marshal\.loads) .*(site-packages|python3|code object)", alarm)
    )


def measure(key: dict, folder: Path) -> dict:
    """Mutate files, read them in another process, and count what came of them."""
    models = write_models(folder)
    rng = np.random.RandomState(key["seed"])
    with TemporaryDirectory() as name:
        own = Path(name)
        (own / "good").write_bytes(models[0].read_bytes())
        for i in range(key["files"]):
            model, path = models[rng.randint(len(models))], own / f"file{i:06}"
            if key["kind"] in DAMAGES:
                data = model.read_bytes()
                changed = damaged(data, key["kind"], rng)
                while changed == data:
                    changed = damaged(data, key["kind"], rng)
                path.write_bytes(changed)
            else:
                forge(model, path, key["kind"], rng)
        command = [sys.executable, __file__, "--read", str(own)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("[")]
    outcomes = Counter(outcome for _, outcome, _, _ in lines)
    raised = {outcome: n for outcome, n in outcomes.items() if outcome.startswith("raised")}
    n_loaded = len(lines) - outcomes["refused"] - sum(raised.values())
    return {
        "read": len(lines),
        "refused": outcomes["refused"],
        "loaded": n_loaded,
        "raised": raised,
        "crashed": key["files"] - len(lines),
        "alarms": sorted({alarm for _, _, heard, _ in lines for alarm in heard}),
        "slowest": max(seconds for *_, seconds in lines),
        "stderr": result.stderr[-500:] if result.returncode else "",
    }


def summarize(cells: list[dict]) -> str:
    header = ["mutation", "checksum", "files", "refused", "loaded", "other errors", "crashes"]
    rows = []
    for cell in cells:
        kind = cell["key"]["kind"]
        figures = cell["refused"], cell["loaded"], sum(cell["raised"].values()), cell["crashed"]
        alarms = str(len(cell["alarms"]))
        checksum = "old" if kind in DAMAGES else "new"
        row = [kind, checksum, cell["key"]["files"], *figures]
        rows.append([*map(str, row), alarms])
    return table([*header, "alarms"], rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, default=5_004, help="files in all (default: 5004)")
    parser.add_argument("--seed", type=int, default=0, help="what the mutations come from")
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: 1)")
    parser.add_argument("--output", type=Path, default=RESULTS / "fuzz_load.json")
    parser.add_argument("--read", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.read:
        read_all(options.read)
        return
    kinds = [*DAMAGES, *FORGERIES]
    shared = {
        "files": options.files // len(kinds),
        "seed": options.seed,
        "version": sgan_sklearn.__version__,
    }
    with TemporaryDirectory() as folder:
        run = partial(measure, folder=Path(folder))
        keys = [{"kind": kind, **shared} for kind in kinds]
        print(summarize(run_cells(options.output, keys, run, jobs=options.jobs)))


if __name__ == "__main__":
    main()
