"""The parts of the benchmarks that no benchmark run would show to be wrong."""

import importlib
import io
import json
import subprocess
import sys
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import pytest
from scipy.io import savemat
from sklearn.utils.fixes import parse_version

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

pytestmark = pytest.mark.skipif(
    not BENCHMARKS.exists(), reason="a source distribution comes without the benchmarks"
)


@pytest.fixture
def benchmark(monkeypatch):
    """Return a function that imports a script of the benchmarks."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == BENCHMARKS:
            del sys.modules[name]


@pytest.fixture
def images(benchmark):
    return benchmark("_images")


def test_svhn_from_its_matlab_files(images, tmp_path):
    rng = np.random.RandomState(0)
    X = rng.randint(0, 256, size=(6, 32, 32, 3)).astype(np.uint8)
    for split, rows in {"train": slice(0, 4), "test": slice(4, 6)}.items():
        y = np.array([[1], [10], [9], [2], [10], [3]], dtype=np.uint8)[rows]
        savemat(tmp_path / f"{split}_32x32.mat", {"X": np.moveaxis(X[rows], 0, -1), "y": y})
    data = images.load_images("svhn", None, tmp_path)
    np.testing.assert_array_equal(data.X_train, X[:4])
    np.testing.assert_array_equal(data.X_test, X[4:])
    assert data.y_train.tolist() == [1, 0, 9, 2]
    assert data.y_test.tolist() == [0, 3]


def test_jpegs_in_one_array(images, tmp_path):
    image = pytest.importorskip("PIL.Image")
    arrays = {}
    for split, levels in {"train": [0, 100, 200], "test": [50]}.items():
        files = []
        for level in levels:
            file = io.BytesIO()
            image.new("RGB", (32, 32), (level, 20, 30)).save(file, "JPEG")
            files.append(np.frombuffer(file.getvalue(), dtype=np.uint8))
        arrays[f"jpeg_{split}"] = np.concatenate(files)
        arrays[f"offsets_{split}"] = np.cumsum([0, *map(len, files)])
        arrays[f"y_{split}"] = np.arange(len(levels), dtype=np.uint8)
    np.savez(tmp_path / "cifar10.npz", **arrays)
    data = images.load_images("cifar10", tmp_path)
    assert data.X_train.shape == (3, 32, 32, 3)
    np.testing.assert_allclose(data.X_train[:, 16, 16, 0], [0, 100, 200], atol=5)
    assert data.y_train.tolist() == [0, 1, 2]
    assert len(data.X_test) == 1


@pytest.mark.parametrize("name", ["cifar10", "svhn"])
def test_openml_where_there_is_no_folder(images, monkeypatch, name):
    dataset, shape, _ = images.OPENML[name]
    monkeypatch.setitem(images.OPENML, name, (dataset, shape, 2))
    X = np.random.RandomState(0).randint(0, 256, size=(3, 3072)).astype(float)
    asked = []

    def fetch(name, **kwargs):
        asked.append(name)
        return X, np.array(["1", "10" if dataset == "SVHN" else "0", "9"])

    monkeypatch.setattr(images, "fetch_openml", fetch)
    data = images.load_images(name, None)
    assert asked == [dataset]
    assert data.X_train.shape == (2, 32, 32, 3)
    assert data.y_train.tolist() == [1, 0]
    red = X[0, :1024].reshape(32, 32) if name == "cifar10" else X[0, ::3].reshape(32, 32)
    np.testing.assert_array_equal(data.X_train[0, ..., 0], red)


def test_every_row_of_the_published_systems_is_found_and_valid(benchmark):
    systems = benchmark("published_systems")
    rows = [row for group in systems.GROUPS.values() for row in group]
    for row in rows:
        row.estimator._validate_params()
        assert row.dataset in systems.OPENML
        found = systems.find(row.system, row.dataset, row.n_labels)
        assert systems.settings(found.estimator) == systems.settings(row.estimator)
    keys = systems.keys(rows, 2, "cpu")
    assert len(keys) == 2 * len(rows)


def test_cells_of_the_published_systems_are_measured_and_told(benchmark, tmp_path, monkeypatch):
    systems = benchmark("published_systems")
    rng = np.random.RandomState(0)
    y = np.arange(60) % 2
    X = (rng.randint(0, 50, size=(60, 8, 8)) + 150 * y[:, None, None]).astype(np.uint8)
    arrays = {"X_train": X, "y_train": y, "X_test": X[:20], "y_test": y[:20]}
    np.savez(tmp_path / "mnist.npz", **arrays)
    quick = {"max_epochs": 4, "architecture": systems.MLPArchitecture((8,)), "image_shape": (8, 8)}
    monkeypatch.setattr(systems, "N_CURVE_ROWS", 20)
    monkeypatch.setattr(systems, "CURVE_STEPS", 2)
    monkeypatch.setitem(
        systems.GROUPS,
        "ablation",
        [systems.Row("ablation: quick", "mnist", 4, systems.SGANClassifier(**quick))],
    )
    keys = systems.keys(systems.GROUPS["ablation"], 2, "cpu")
    cells = [{"key": key, **systems.measure(key, tmp_path, None, 1)} for key in keys]
    assert [point["steps"] for point in cells[0]["curve"]] == [2, 4, 6, 8]
    assert 0 <= cells[0]["accuracy"] <= 1
    assert cells[0]["steps"] == 8
    assert "ablation: quick" in systems.summarize(cells)
    monkeypatch.setattr(systems, "AT_STEPS", (4, 1000))
    expected = np.mean([cell["curve"][1]["accuracy"] for cell in cells])
    row = systems.summarize_ablation(cells).splitlines()[-1].split("|")
    assert row[2].strip() == f"{100 * expected:.2f}"
    assert row[3].strip() == "-"


@pytest.mark.skipif(
    parse_version(joblib.__version__) < parse_version("1.4"),
    reason="the benchmarks take the cells as they finish, which joblib does from 1.4 on",
)
def test_published_systems_run_in_two_processes(tmp_path):
    rng = np.random.RandomState(0)
    y = np.arange(120) % 10
    X = (rng.randint(0, 50, size=(120, 4, 4)) + 20 * y[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", X_train=X, y_train=y, X_test=X, y_test=y)
    script = [sys.executable, BENCHMARKS / "published_systems.py", "--data", tmp_path]
    chosen = ["--rows", "comparisons", "--systems", "SelfTraining", "--datasets", "mnist"]
    options = ["--draws", "2", "--jobs", "2", "--output", tmp_path / "cells.json"]
    command = [*script, *chosen, *options]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "SelfTraining (LogisticRegression)" in run.stdout
    cells = json.loads((tmp_path / "cells.json").read_text())["cells"]
    assert sorted(cell["key"]["draw"] for cell in cells) == [0, 1]


@pytest.fixture
def mixed_rows():
    rng = np.random.RandomState(0)
    x = rng.normal(size=400)
    return pd.DataFrame(
        {
            "x": x,
            "y": 3 * x + 0.1 * rng.normal(size=400),
            "side": pd.Categorical(np.where(x > 0, "right", "left")),
        }
    )


def test_plain_models_of_rows(benchmark, mixed_rows):
    quality = benchmark("sample_quality")
    copula = quality.gaussian_copula(mixed_rows, 0)
    alone = quality.independent_columns(mixed_rows, 0)
    for made_up in (copula, alone):
        assert made_up["side"].dtype == "category"
        assert list(made_up.columns) == list(mixed_rows.columns)
        assert abs((made_up["side"] == "left").mean() - (mixed_rows["side"] == "left").mean()) < 0.1
    assert copula["x"].corr(copula["y"]) > 0.95
    assert abs(alone["x"].corr(alone["y"])) < 0.2


def test_real_rows_are_not_told_from_themselves(benchmark, mixed_rows):
    quality = benchmark("sample_quality")
    half, other = mixed_rows[:200], mixed_rows[200:].reset_index(drop=True)
    assert abs(quality.told_apart(half, other) - 0.5) < 0.15
    assert quality.told_apart(half, quality.independent_columns(other, 0)) > 0.8


def test_few_labels_are_filled(benchmark, mixed_rows):
    quality = benchmark("sample_quality")
    true = (mixed_rows["x"] > 0).to_numpy().astype(int)
    some = quality.some_labels(true, 0.1, seed=0)
    assert 40 <= (some != -1).sum() <= 44
    filled = quality.fill_labels(mixed_rows, some, seed=0)
    assert (filled == true).mean() > 0.95
