"""Time per step of SGANClassifier, and time and memory for many rows.

- steps: steps per second of `fit` and of two hand-written loops with the same networks, batch size
  and losses, a plain one and a tight one (benchmarks/_loops.py), both in float32. The three
  alternate, one epoch each; `fit` runs one more epoch first, in which a step is recorded on a GPU.
  The ratios are those of the medians.
- share: the counted operations of a step per second, as a fraction of this machine's rate of matrix
  products.
- profile: the parts of a step according to torch's profiler, in the threads of the loop itself.
- rows: seconds and memory of one epoch on 10^3 to 10^6 rows of 50 columns in a file, and of
  LabelSpreading and SelfTrainingClassifier until they fail or take too long. Memory is the peak of
  the process, without its files and the memory that it used before.
- processes: two processes under torchrun compared with one, with the same rows in a step, and one
  process with the rows of each step in another order, which shows the effect of rounding.
- accuracy: seconds of training until the accuracy on the MNIST test set is 97 % with 100 labels,
  measured after every 100 steps of `fit`, and after each epoch of the loop, which uses the method
  of the paper. The time before the first epoch and that of scoring do not count.

    python benchmarks/throughput.py --data DIR

It takes hours on two cores without other load, and can be interrupted at any time and resumed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import torch
from _cells import add_run_options, few_labels, run_cells, table
from _images import load_images
from _loops import plain_loop, tight_loop
from sklearn.linear_model import LogisticRegression
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from skorch.callbacks import Callback
from torch.utils.flop_counter import FlopCounterMode

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn._data.batches import SemiSupervisedBatches, SemiSupervisedDataset
from sgan_sklearn._runtime.recorded_steps import N_UNRECORDED
from sgan_sklearn._training import net as net_module
from sgan_sklearn.architectures import MLPArchitecture

PARTS = ("steps", "share", "profile", "rows", "processes", "accuracy")

# The network of Salimans et al. for MNIST: 1.54 million multiplications per row.
SALIMANS = MLPArchitecture((1000, 500, 250, 250, 250), (500, 500))
NETWORKS = {
    "mlp": {"architecture": SALIMANS, "batch_size": 100},
    "conv": {"architecture": "conv", "batch_size": 50},
}
NETWORKS = {
    f"{name}{suffix}": {**given, "image_shape": (28, 28), "training__record_steps": recorded}
    for suffix, recorded in {"": False, ", recorded": True}.items()
    for name, given in NETWORKS.items()
}
# Only the adversarial losses, as in the loops.
GAME = {"regularizer": None, "augment": None, "training__averaging_decay": 0.999}

SIZES = (1_000, 10_000, 100_000, 1_000_000)
# Rows and columns of the matrices whose products the steps are compared with.
SIDE = 2048
N_COLUMNS, N_CLASSES = 50, 10
PEERS = {
    "LabelSpreading (knn)": lambda: LabelSpreading("knn"),
    "LabelSpreading (rbf)": lambda: LabelSpreading("rbf"),
    "SelfTraining (LogisticRegression)": lambda: SelfTrainingClassifier(LogisticRegression()),
}
ROWS_METHODS = ("SGANClassifier", *PEERS)


def keys(
    parts: list[str],
    device: str,
    threads: int,
    precisions: list[str],
    networks: Sequence[str] = ("mlp", "conv"),
    systems: Sequence[str] | None = None,
) -> list[dict]:
    where = {"device": device, "threads": threads}
    choices = [
        {"network": name, "precision": precision} for name in networks for precision in precisions
    ]
    found: list[dict] = []
    if "steps" in parts:
        found += [{"part": "steps", **choice, **where} for choice in choices]
    if "share" in parts:
        found += [{"part": "share", **choice, **where} for choice in choices]
    if "profile" in parts:
        found += [{"part": "profile", **choice, **where} for choice in choices]
    if "rows" in parts:
        found += [
            {"part": "rows", "rows": n_rows, "method": method, **where}
            for method in (ROWS_METHODS if device == "cpu" else ROWS_METHODS[:1])
            for n_rows in SIZES
        ]
    if "processes" in parts:
        found.append({"part": "processes", **where})
    if "accuracy" in parts:
        left_out = LEFT_OUT[torch.device(device).type]
        systems = systems or [name for name in SYSTEMS if name != left_out]
        found += [{"part": "accuracy", "system": name, **where} for name in systems]
    return found


def measure(key: dict, folder: Path | None, options: argparse.Namespace) -> dict:
    torch.set_num_threads(key["threads"])
    return MEASURES[key["part"]](key, folder, options)


# --- one step ---------------------------------------------------------------------------------


def mnist(folder: Path | None, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return flat images and 10 labels of each class."""
    images = load_images("mnist", folder)
    X, y = images.X_train[:n_rows], images.y_train[:n_rows]
    return X.reshape(len(X), -1), few_labels(y, 10, seed=0)


def classifier(network: str, device: str, **params) -> SGANClassifier:
    return SGANClassifier(device=device, training=Training(), random_state=0).set_params(
        **{**NETWORKS[network], **GAME, **params}
    )


def measure_steps(key: dict, folder: Path | None, options: argparse.Namespace) -> dict:
    # Two epochs, of which the second is measured: steps are recorded in the first one.
    clf = classifier(key["network"], key["device"], max_epochs=2, warm_start=True)
    clf.set_params(training__precision=key["precision"])
    X, y = mnist(folder, options.steps * clf.batch_size)
    clf.fit(X, y)
    rows = clf._space.transform(X)
    loops = {
        name: loop(
            clf.net_.module().to(key["device"]),
            clf.net_.generator().to(key["device"]),
            torch.from_numpy(np.ascontiguousarray(rows)),
            torch.from_numpy(y),
            batch_size=clf.batch_size,
            latent_dim=clf.latent_dim,
            lr=clf.plan_.discriminator_lr,
            device=key["device"],
        )
        for name, loop in {"plain loop": plain_loop, "tight loop": tight_loop}.items()
    }
    rounds: dict[str, list[float]] = {"SGANClassifier": [], **{name: [] for name in loops}}
    for repeat in range(options.rounds + 1):
        seconds = {"SGANClassifier": clf.fit(X, y).history_[-1]["dur"]}
        for name, loop in loops.items():
            start = time.perf_counter()
            next(loop)
            wait_for(key["device"])
            seconds[name] = time.perf_counter() - start
        if repeat:  # the first one is a warm-up
            for name, value in seconds.items():
                rounds[name].append(value)
    medians = {name: float(np.median(values)) for name, values in rounds.items()}
    return {
        "steps_per_second": {name: options.steps / value for name, value in medians.items()},
        "ratio_to_plain": medians["plain loop"] / medians["SGANClassifier"],
        "ratio_to_tight": medians["tight loop"] / medians["SGANClassifier"],
        "epochs": rounds,
    }


def fitted_net(key: dict, folder: Path | None):
    """Return a net and a batch for training steps."""
    clf = classifier(
        key["network"], key["device"], max_epochs=1, training__precision=key["precision"]
    )
    X, y = mnist(folder, 2_000)
    net = clf.fit(X, y).net_
    rows = torch.from_numpy(clf._space.transform(X)).to(key["device"])
    dataset = SemiSupervisedDataset(rows, torch.from_numpy(y).to(key["device"]))
    return net, next(iter(SemiSupervisedBatches(dataset, clf.batch_size)))


def measure_share(key: dict, folder: Path | None, options: argparse.Namespace) -> dict:
    net, batch = fitted_net(key, folder)
    with FlopCounterMode(display=False) as counter:
        net.train_step(batch)
    dtype = getattr(torch, key["precision"])
    square = torch.randn(SIDE, SIDE, device=key["device"], dtype=dtype)
    of_steps, of_products = [], []
    for _ in range(options.rounds):
        n_steps = 10
        of_steps.append(seconds_of(lambda: net.train_step(batch), key["device"], n_steps))
        of_products.append(seconds_of(lambda: square @ square, key["device"], n_steps))
    operations = counter.get_total_flops()
    rate = operations / np.median(of_steps)
    peak = 2 * SIDE**3 / np.median(of_products)
    return {
        "operations_per_step": operations,
        "step_rate": float(rate),
        "matrix_product_rate": float(peak),
        "share": float(rate / peak),
    }


def measure_profile(key: dict, folder: Path | None, options: argparse.Namespace) -> dict:
    net, batch = fitted_net(key, folder)
    for _ in range(N_UNRECORDED + 1):
        net.train_step(batch)
    with torch.profiler.profile() as profiler:
        for _ in range(options.steps):
            net.train_step(batch)
    own = "self_cpu_time_total" if key["device"] == "cpu" else "self_device_time_total"
    # The time on a GPU is counted for the operation and for its kernel.
    operations = [
        e for e in profiler.key_averages() if e.device_type == torch.profiler.DeviceType.CPU
    ]
    times = {event.key: getattr(event, own) for event in operations}
    total = sum(times.values())
    shares = dict.fromkeys(PROFILE_PARTS, 0.0)
    for name, time_of in times.items():
        part = next((p for p, names in PROFILE_PARTS.items() if any(n in name for n in names)), "")
        shares[part or "everything else"] += time_of / total
    return {"shares": shares}


# Parts of the names of the profiler's operations, for each part of a step.
PROFILE_PARTS = {
    "products and convolutions": ("::mm", "addmm", "conv", "matmul"),
    "random numbers": ("normal_", "bernoulli", "dropout", "randn"),
    "weight normalization": ("RowLengths", "vector_norm"),
    "Adam": ("adam", "Adam"),
    "averages of the weights": ("lerp",),
    "activations": ("relu", "softplus", "tanh", "elu"),
    "everything else": (),
}


def seconds_of(function, device: str, n_times: int) -> float:
    """Return the seconds of one call."""
    function()
    wait_for(device)
    start = time.perf_counter()
    for _ in range(n_times):
        function()
    wait_for(device)
    return (time.perf_counter() - start) / n_times


def wait_for(device: str) -> None:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)


# --- many rows --------------------------------------------------------------------------------


def measure_rows(key: dict, folder: Path | None, options: argparse.Namespace) -> dict:
    """Fit in a separate process, so that its memory can be measured."""
    with tempfile.TemporaryDirectory() as temporary:
        command = [sys.executable, __file__, "--child", json.dumps({**key, "folder": temporary})]
        try:
            child = subprocess.run(
                command, capture_output=True, text=True, timeout=options.timeout, check=False
            )
        except subprocess.TimeoutExpired:
            return {"failed": f"more than {options.timeout / 60:.0f} minutes"}
    if child.returncode:
        lines = child.stderr.strip().splitlines() or [f"exit status {child.returncode}"]
        return {"failed": lines[-1][:200]}
    return json.loads(child.stdout)


def fit_in_child(key: dict) -> None:
    """Fit one method on rows in a file, and print seconds and bytes."""
    torch.set_num_threads(key["threads"])
    X, y = rows_in_file(key["rows"], Path(key["folder"]))
    if key["method"] in PEERS:
        import resource  # not on Windows

        # Raise MemoryError instead of swapping.
        limit = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") * 3 // 4
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        estimator = PEERS[key["method"]]()
    else:
        estimator = SGANClassifier(max_epochs=1, device=key["device"], random_state=0)
        SGANClassifier(max_epochs=1, device=key["device"]).fit(X[:200], y[:200])  # loads libraries
    with PeakMemory() as memory:
        start = time.perf_counter()
        estimator.fit(X, y)
        seconds = time.perf_counter() - start
    right = estimator.transduction_ if hasattr(estimator, "transduction_") else None
    accuracy = None if right is None else float(np.mean(right == classes_of(key["rows"])))
    print(json.dumps({"fit_seconds": seconds, "peak_bytes": memory.peak, "accuracy": accuracy}))


def classes_of(n_rows: int) -> np.ndarray:
    return np.arange(n_rows) % N_CLASSES


def rows_in_file(n_rows: int, folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return a memory map of rows around one center per class, with 10 labels per class."""
    rng = np.random.RandomState(0)
    centers = rng.randn(N_CLASSES, N_COLUMNS)
    X = np.memmap(folder / "X", dtype=np.float32, mode="w+", shape=(n_rows, N_COLUMNS))
    classes = classes_of(n_rows)
    for start in range(0, n_rows, 100_000):
        part = slice(start, start + 100_000)
        X[part] = centers[classes[part]] + 1.5 * rng.randn(len(classes[part]), N_COLUMNS)
    X.flush()
    X = np.memmap(folder / "X", dtype=np.float32, mode="r", shape=(n_rows, N_COLUMNS))
    return X, np.where(np.arange(n_rows) < 10 * N_CLASSES, classes, -1)


class PeakMemory:
    """Peak memory of this process within a block, minus that at its start, without files."""

    def __enter__(self) -> PeakMemory:
        self._before = self.peak = _anonymous_bytes()
        self._done = threading.Event()
        self._watch = threading.Thread(target=self._look)
        self._watch.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._watch.join()
        self.peak -= self._before

    def _look(self) -> None:
        while not self._done.wait(0.02):
            self.peak = max(self.peak, _anonymous_bytes())


def _anonymous_bytes() -> int:
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return 1024 * int(status.split("RssAnon:")[1].split()[0])


# --- several processes ------------------------------------------------------------------------


# With a larger one, rounding errors grow to a hundredth within six steps.
RATE = 3e-4
# Numbers of digits for epochs of 1, 3 and 18 steps.
N_TOGETHER = (100, 300, 1797)
WAYS = {"one": 1, "two": 2, "one, reversed": 1}


def measure_processes(key: dict, folder: Path | None, options: argparse.Namespace) -> dict:
    """Train on the same rows per step, with one process, with two, and with one in another order.

    The last one shows the effect of rounding.
    """
    results = {}
    with tempfile.TemporaryDirectory() as temporary:
        for way, n_processes in WAYS.items():
            child = json.dumps({**key, "folder": temporary, "way": way})
            launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
            command = [sys.executable, *launcher, str(n_processes), __file__, "--child", child]
            subprocess.run(command, check=True, capture_output=True)
            results[way] = dict(np.load(Path(temporary) / f"{way}.npz"))
    one = results["one"]
    return {
        "largest_differences": {
            way: [float(np.abs(one[str(n)] - results[way][str(n)]).max()) for n in N_TOGETHER]
            for way in ("two", "one, reversed")
        },
        "seconds_per_epoch": {way: float(results[way]["seconds"]) for way in ("one", "two")},
    }


class ReversedBatches(SemiSupervisedBatches):
    """The same batches, each with its rows in reverse order."""

    def __iter__(self):
        for batch in super().__iter__():
            yield type(batch)(*(None if part is None else part.flip(0) for part in batch))


def train_together(key: dict) -> None:
    """Train on digits without noise, and write the predictions and the seconds of an epoch."""
    from sklearn.datasets import load_digits
    from torch import distributed

    torch.set_num_threads(1)
    distributed.init_process_group("gloo" if key["device"] == "cpu" else "nccl")
    if key["way"] == "one, reversed":
        net_module.SemiSupervisedBatches = ReversedBatches
    X, y = load_digits(return_X_y=True)
    y = few_labels(y, 10, seed=0)
    X, y = X[np.argsort(y < 0, kind="stable")], y[np.argsort(y < 0, kind="stable")]
    quiet = MLPArchitecture((1000, 500, 250, 250, 250), (500, 500), input_noise=0.0, noise=0.0)
    clf = SGANClassifier(
        quiet,
        regularizer=None,
        batch_size=100 // WAYS[key["way"]],
        max_epochs=1,
        discriminator_lr=RATE,
        generator_lr=RATE,
        device="auto" if key["device"] == "cuda" else key["device"],
        random_state=0,
    )
    answers = {str(n): clf.fit(X[:n], y[:n]).predict_proba(X[:n]) for n in N_TOGETHER}
    if distributed.get_rank() == 0:
        path = Path(key["folder"]) / f"{key['way']}.npz"
        np.savez(path, seconds=clf.history_[-1]["dur"], **answers)
    distributed.destroy_process_group()


# --- time to accuracy -------------------------------------------------------------------------

SYSTEMS = {
    "conv": Training(record_steps=True),  # as without a callback
    "conv, bfloat16": Training(precision="bfloat16"),
    "conv, steps not recorded": Training(record_steps=False),
    "tight loop, recipe of the paper": None,
}
# The value of the default.
LEFT_OUT = {"cpu": "conv, steps not recorded", "cuda": "conv, bfloat16"}
GOAL = 0.97
N_STEPS_WATCHED = 100


def measure_accuracy(key: dict, folder: Path | None, options: argparse.Namespace) -> dict:
    images = load_images("mnist", folder)
    y = few_labels(images.y_train, 10, seed=0)
    if SYSTEMS[key["system"]] is not None:
        record = _record_of_classifier(key, images, y, options.timeout)
    else:
        passed, record = 0.0, []
        for seconds, accuracy in _epochs_of_loop(key, images, y):
            passed += seconds
            record.append({"seconds": passed, "accuracy": accuracy})
            if accuracy >= GOAL or passed > options.timeout:
                break
    return {"record": record, "reached": record[-1]["accuracy"] >= GOAL}


class EndedError(Exception):
    """The accuracy is high enough, or the time is over."""


class Watch(Callback):
    """Score the test rows from time to time, and stop when the accuracy is high enough."""

    def __init__(self, rows, y: np.ndarray, timeout: float, record: list[dict]) -> None:
        self.rows, self.y, self.timeout, self.record = rows, y, timeout, record

    def on_epoch_begin(self, net, **kwargs) -> None:
        if not self.record:
            self.start = time.perf_counter()

    def on_batch_end(self, net, training: bool = False, **kwargs) -> None:
        if not training or (net.n_steps_ + 1) % N_STEPS_WATCHED:
            return
        wait_for(net.device)
        before = time.perf_counter()
        accuracy = float(np.mean(net.outputs(self.rows).argmax(dim=1).numpy() == self.y))
        passed = before - self.start
        self.record.append({"seconds": passed, "accuracy": accuracy, "steps": net.n_steps_ + 1})
        if accuracy >= GOAL or passed > self.timeout:
            raise EndedError
        self.start += time.perf_counter() - before  # scoring does not count


def _record_of_classifier(key: dict, images, y: np.ndarray, timeout: float) -> list[dict]:
    clf = SGANClassifier("conv", max_epochs=1, device=key["device"], random_state=0)
    # The scaling of uint8 pixels does not depend on the rows.
    rows = clf.fit(images.X_train[:1_000], y[:1_000])._to_model_space(images.X_test)
    record: list[dict] = []
    clf.set_params(training=SYSTEMS[key["system"]], max_epochs=1_000)
    clf.set_params(callbacks=[Watch(rows, images.y_test, timeout, record)])
    with suppress(EndedError):
        clf.fit(images.X_train, y)
    return record


def _epochs_of_loop(key: dict, images, y: np.ndarray):
    flat = images.X_train.reshape(len(images.X_train), -1)
    chosen = np.argsort(y < 0, kind="stable")[:1_000]  # the labeled rows and others
    clf = classifier("mlp", key["device"], max_epochs=1).fit(flat[chosen], y[chosen])
    loop = tight_loop(
        clf.net_.module_,  # initialized with the data
        clf.net_.generator_,
        torch.from_numpy(clf._space.transform(flat)),
        torch.from_numpy(y),
        batch_size=clf.batch_size,
        latent_dim=clf.latent_dim,
        lr=clf.plan_.discriminator_lr,
        device=key["device"],
    )
    X_test = torch.from_numpy(clf._space.transform(images.X_test.reshape(-1, 784)))
    while True:
        start = time.perf_counter()
        averaged = next(loop)
        wait_for(key["device"])
        seconds = time.perf_counter() - start
        with torch.inference_mode():
            predicted = averaged(X_test.to(key["device"])).argmax(dim=1).cpu().numpy()
        yield seconds, float(np.mean(predicted == images.y_test))


MEASURES = {
    "steps": measure_steps,
    "share": measure_share,
    "profile": measure_profile,
    "rows": measure_rows,
    "processes": measure_processes,
    "accuracy": measure_accuracy,
}


def summarize(cells: list[dict]) -> str:
    texts = []
    for part, header, line in (
        ("steps", ["network", "precision", "device", "threads", *STEPS_FIGURES], _steps_line),
        ("share", ["network", "precision", "device", "threads", *SHARE_FIGURES], _share_line),
        ("profile", ["network", "precision", "device", *PROFILE_PARTS], _profile_line),
        ("rows", ["method", "rows", "device", "threads", *ROWS_FIGURES], _rows_line),
        ("processes", ["device", *PROCESSES_FIGURES], _processes_line),
        ("accuracy", ["system", "device", "threads", *ACCURACY_FIGURES], _accuracy_line),
    ):
        chosen = [cell for cell in cells if cell["key"]["part"] == part]
        if chosen:
            named = [
                [str(cell["key"][n]) for n in header if n in cell["key"]] + line(cell)
                for cell in chosen
            ]
            texts.append(table(header, named))
    slope = exponent(cells)
    if slope is not None:
        texts.append(f"Seconds of SGANClassifier grow as rows to the power of {slope:.2f}.")
    return "\n\n".join(texts)


STEPS_FIGURES = ["steps/s", "of the plain loop (float32)", "of the tight loop (float32)"]
SHARE_FIGURES = ["GFLOP a step", "GFLOP/s", "of matrix products"]
ROWS_FIGURES = ["seconds", "MB", "accuracy"]
PROCESSES_FIGURES = [
    "largest difference after 1, 3, 18 steps",
    "of one process in another order",
    "seconds, 1 process",
    "seconds, 2 processes",
]
ACCURACY_FIGURES = ["seconds to 97 %", "training", "accuracy"]


def _steps_line(cell: dict) -> list[str]:
    rate = cell["steps_per_second"]["SGANClassifier"]
    return [f"{rate:.1f}", f"{cell['ratio_to_plain']:.2f}", f"{cell['ratio_to_tight']:.2f}"]


def _share_line(cell: dict) -> list[str]:
    operations, rate = cell["operations_per_step"] / 1e9, cell["step_rate"] / 1e9
    return [f"{operations:.2f}", f"{rate:.1f}", f"{cell['share']:.2f}"]


def _profile_line(cell: dict) -> list[str]:
    return [f"{cell['shares'][part]:.0%}" for part in PROFILE_PARTS]


def _rows_line(cell: dict) -> list[str]:
    if "failed" in cell:
        failed = cell["failed"].split(": ", 1)[-1] if "MemoryError" in cell["failed"] else None
        return [failed.split(" for an array")[0] if failed else cell["failed"], "", ""]
    accuracy = "" if cell["accuracy"] is None else f"{cell['accuracy']:.3f}"
    return [f"{cell['fit_seconds']:.1f}", f"{cell['peak_bytes'] / 1e6:.0f}", accuracy]


def _processes_line(cell: dict) -> list[str]:
    differences = [
        ", ".join(f"{value:.0e}" for value in values)
        for values in cell["largest_differences"].values()
    ]
    return [*differences, *(f"{value:.2f}" for value in cell["seconds_per_epoch"].values())]


def _accuracy_line(cell: dict) -> list[str]:
    last = cell["record"][-1]
    seconds = f"{last['seconds']:.0f}"
    return [
        seconds if cell["reached"] else f"not within {seconds}",
        f"{last['steps']:,} steps" if "steps" in last else f"{len(cell['record'])} epochs",
        f"{last['accuracy']:.4f}",
    ]


def exponent(cells: list[dict]) -> float | None:
    """Return the slope of log seconds over log rows."""
    points = [
        (cell["key"]["rows"], cell["fit_seconds"])
        for cell in cells
        if cell["key"].get("method") == "SGANClassifier" and "fit_seconds" in cell
    ]
    if len(points) < 2:
        return None
    n_rows, seconds = np.log(np.array(points)).T
    return float(np.polyfit(n_rows, seconds, 1)[0])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help="folder with mnist.npz (default: OpenML)")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--threads", type=int, default=1, help="torch threads (default: 1)")
    parser.add_argument(
        "--precisions",
        nargs="+",
        choices=("float32", "bfloat16"),
        default=["float32"],
        help="of steps and share; bfloat16 is slow on a CPU without its instructions",
    )
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=NETWORKS,
        default=["mlp", "conv"],
        help="of steps, share and profile (default: mlp conv)",
    )
    parser.add_argument(
        "--systems", nargs="+", choices=SYSTEMS, help="of accuracy (default: those that differ)"
    )
    parser.add_argument("--steps", type=int, default=60, help="steps per epoch (default: 60)")
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each (default: 7)")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds (default: 1800)")
    add_run_options(parser, "throughput", jobs=False)
    parser.add_argument("--child", type=json.loads, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child is not None:
        run = fit_in_child if options.child["part"] == "rows" else train_together
        run(options.child)
        return
    wanted = keys(
        options.parts,
        options.device,
        options.threads,
        options.precisions,
        options.networks,
        options.systems,
    )
    run = partial(measure, folder=options.data, options=options)
    print(summarize(run_cells(options, wanted, run)))


if __name__ == "__main__":
    main()
