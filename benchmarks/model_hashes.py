"""Hashes of the models of eighteen settings, to check whether a change of the code changes a model.

Each model is fitted on a data set of scikit-learn; its hash covers the weights of the four
networks, the history without its times, the probabilities, and the generated rows. Run it before
and after a change, on the same machine:

    python benchmarks/model_hashes.py --output before.json
    python benchmarks/model_hashes.py --compare before.json

With `--record`, the hashes are added to `states.json`, so that stored results of other code with
the same hashes stay valid (see `check_figures.py`). PYTHONPATH may lead to another checkout.

It takes about a minute. The exit status is 1 if a hash differs.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import torch
from _cells import CODE, environment, few_labels, table
from _states import record as record_state
from rich.progress import track
from scipy import sparse
from sklearn.datasets import load_breast_cancer, load_digits, load_sample_image, load_wine

from sgan_sklearn import SGANClassifier, Training, load, save
from sgan_sklearn.objectives import Complement
from sgan_sklearn.regularizers import ConditionalEntropy, VirtualAdversarial

NETWORKS = ("module_", "generator_", "averaged_module_", "averaged_generator_")


def digits(n_rows: int = 400) -> tuple[np.ndarray, np.ndarray]:
    X, y = load_digits(return_X_y=True)
    return X[:n_rows], few_labels(y[:n_rows], 10, 0)


def images(n_rows: int = 200) -> tuple[np.ndarray, np.ndarray]:
    X, y = digits(n_rows)
    return X.reshape(-1, 8, 8).astype(np.uint8), y


def numbers() -> tuple[np.ndarray, np.ndarray]:
    X, y = load_breast_cancer(return_X_y=True)
    return X, few_labels(y, 10, 0)


def photographs(n_rows: int = 120) -> tuple[np.ndarray, np.ndarray]:
    """Return parts of a photograph, with its upper and lower half as classes."""
    photo, rng = load_sample_image("china.jpg"), np.random.RandomState(0)
    top, left = rng.randint(0, 427 - 24, n_rows), rng.randint(0, 640 - 24, n_rows)
    parts = [photo[i : i + 24, j : j + 24] for i, j in zip(top, left, strict=True)]
    return np.stack(parts), few_labels((top > 200).astype(int), 10, 0)


def wide() -> tuple[np.ndarray, np.ndarray]:
    X, y = digits()
    return np.hstack([X, X[:, ::-1] ** 2]), y


def terms() -> tuple[sparse.csr_matrix, np.ndarray]:
    X, y = digits()
    counts = np.hstack([level < X for level in range(1, 10)]).astype(np.float32)
    return sparse.csr_matrix(counts), y


def frame() -> tuple[pd.DataFrame, np.ndarray]:
    """Return columns of categories, dates, integers and missing values, and string labels."""
    X, y = load_wine(return_X_y=True, as_frame=True)
    X = X.iloc[:, :6].copy()
    X["cut"] = pd.cut(X["alcohol"], 4, labels=list("abcd")).astype(str)
    X["day"] = pd.Timestamp("2020-01-01") + pd.to_timedelta(range(len(X)), unit="D")
    X["whole"] = (10 * X["ash"]).astype(int)
    X.loc[::7, "ash"] = np.nan
    labels = np.array(["red", "rose", "white"], dtype=object)[y]
    return X, np.where(few_labels(y, 10, 0) < 0, "unknown", labels)


def fitted(data: Callable[[], tuple[Any, Any]], **params: Any) -> tuple[SGANClassifier, Any]:
    X, y = data()
    return classifier(**params).fit(X, y), X


def classifier(**params: Any) -> SGANClassifier:
    return SGANClassifier(**{"max_epochs": 3, "device": "cpu", "random_state": 0, **params})


def in_parts() -> tuple[SGANClassifier, Any]:
    X, y = digits()
    model = classifier()
    for start in (0, 200):
        part = slice(start, start + 200)
        model.partial_fit(X[part], y[part], classes=np.arange(10))
    return model, X


def _gray(X: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return X.mean(axis=3).astype(np.uint8), y


def continued() -> tuple[SGANClassifier, Any]:
    model, X = fitted(numbers, warm_start=True)
    return model.fit(*numbers()), X


def resumed_and_loaded() -> tuple[SGANClassifier, Any]:
    """Resume training from a checkpoint, then save, load and continue training the model."""
    with TemporaryDirectory() as folder:
        fitted(digits, max_epochs=1, training=Training(checkpoint_dir=folder))
        model, X = fitted(digits, training=Training(checkpoint_dir=folder, resume=True))
        path = Path(folder) / "model.sgan"
        save(model, path)
        model = load(path)
    return model.set_params(warm_start=True).fit(*digits()), X


SETTINGS: dict[str, Callable[[], tuple[SGANClassifier, Any]]] = {
    "table": lambda: fitted(numbers),
    "frame": lambda: fitted(frame, unlabeled_value="unknown"),
    "images": lambda: fitted(images),
    "photographs": lambda: fitted(photographs),
    "gray photographs": lambda: fitted(lambda: _gray(*photographs())),
    "wide table": lambda: fitted(wide),
    "sparse": lambda: fitted(terms),
    "images as rows, perceptron": lambda: fitted(
        images, architecture="mlp", image_shape=(8, 8), regularizer=None
    ),
    "images, VAT, one step in two": lambda: fitted(
        images,
        regularizer=["virtual_adversarial", "pseudo_label"],
        training=Training(adversarial_every=2),
    ),
    "complement, VAT, bfloat16": lambda: fitted(
        numbers,
        objective=Complement(),
        regularizer=[VirtualAdversarial(weight=0.5)],
        training=Training(precision="bfloat16"),
    ),
    "softmax, early stopping, cosine": lambda: fitted(
        digits,
        objective="softmax",
        early_stopping=True,
        validation_fraction=0.2,
        training=Training(lr_schedule="cosine"),
        class_weight="balanced",
    ),
    "two-headed, without averages": lambda: fitted(
        digits,
        objective="two_headed",
        training=Training(averaging_decay=0.0),
        regularizer=ConditionalEntropy(),
    ),
    "labels alone": lambda: fitted(digits, unsupervised_weight=0.0),
    "stacked, consistency": lambda: fitted(digits, objective="stacked", regularizer="consistency"),
    "critic": lambda: fitted(frame, unlabeled_value="unknown", sampler="critic", max_epochs=1),
    "in parts": in_parts,
    "continued": continued,
    "resumed, loaded, continued": resumed_and_loaded,
}


def digest(model: SGANClassifier, X: Any) -> str:
    """Return the hash of everything that a model has learned and returns."""
    found = hashlib.sha256()
    for name in NETWORKS:
        for key, value in sorted(getattr(model.net_, name).state_dict().items()):
            found.update(key.encode() + value.numpy().tobytes())
    for record in model.history_:
        kept = {name: value for name, value in record.items() if name != "dur"}
        found.update(repr(sorted(kept.items())).encode())
    found.update(model.predict_proba(X).tobytes() + model.label_distributions_.tobytes())
    found.update(repr(model.predict(X).tolist()).encode())
    if model.net_.unsupervised_weight > 0:
        rows = model.sample(20, random_state=0)
        rows = rows.to_csv() if isinstance(rows, pd.DataFrame) else repr(rows.tolist())
        found.update(rows.encode() + model.score_samples(X).tobytes())
    return found.hexdigest()[:16]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, help="file for the hashes")
    parser.add_argument("--compare", type=Path, help="file of hashes to compare with")
    parser.add_argument("--record", action="store_true", help="add the hashes to states.json")
    options = parser.parse_args()
    torch.set_num_threads(1)  # sums depend on the number of threads
    hashes = {name: digest(*SETTINGS[name]()) for name in track(SETTINGS, "models")}
    if options.output is not None:
        content = {"environment": environment(), "hashes": hashes}
        options.output.write_text(json.dumps(content, indent=1) + "\n")
    if options.record:
        record_state(CODE["training"], environment(), hashes)
    if options.compare is None:
        print(table(["setting", "hash"], [[*item] for item in hashes.items()]))
        return 0
    before = json.loads(options.compare.read_text())["hashes"]
    rows = [
        [name, value, "same" if before.get(name) == value else f"differs from {before.get(name)}"]
        for name, value in hashes.items()
    ]
    print(table(["setting", "hash", "compared"], rows))
    return int(before != hashes)


if __name__ == "__main__":
    sys.exit(main())
