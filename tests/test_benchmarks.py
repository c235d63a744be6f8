"""Parts of the benchmarks whose errors no benchmark run would show."""

import copy
import gzip
import importlib
import io
import json
import math
import os
import re
import runpy
import subprocess
import sys
import time
from argparse import Namespace
from contextlib import redirect_stdout
from pathlib import Path
from types import SimpleNamespace

import joblib
import numpy as np
import pandas as pd
import pytest
import torch
from joblib.externals.loky import get_reusable_executor
from scipy.io import savemat, wavfile
from sklearn.datasets import load_iris
from sklearn.utils.fixes import parse_version
from skorch.callbacks import Callback

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn.architectures import MLPArchitecture

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

SMALL_NETWORK = {
    "architecture": MLPArchitecture((8,), (8,)),
    "image_shape": (4, 4),
    "batch_size": 10,
}

pytestmark = pytest.mark.skipif(
    not BENCHMARKS.exists(), reason="a source distribution comes without the benchmarks"
)


@pytest.fixture(scope="module", autouse=True)
def _fingerprints():
    """Read the code for its fingerprints, which takes a second, once and not for each test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(BENCHMARKS))
        importlib.import_module("_code")  # `benchmark` keeps it, since it is imported before
    yield
    sys.modules.pop("_code", None)


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
def test_openml_without_a_folder(images, monkeypatch, name):
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


def test_settings_of_a_cell_name_the_options_that_differ(benchmark):
    cells = benchmark("_cells")
    plain = cells.settings(SGANClassifier())
    assert "training" not in plain
    assert cells.settings(SGANClassifier(training=None)) == plain
    changed = SGANClassifier(training=Training(adversarial_every=4))
    assert cells.settings(changed).endswith("{'training': Training(adversarial_every=4)}")
    encoder = benchmark("tabular_suite").encoder
    assert cells.settings(encoder()) == cells.settings(encoder())  # selectors of its columns


def test_fingerprint_of_the_code_depends_on_statements_alone(benchmark, tmp_path):
    code = benchmark("_code")

    def fingerprint_of(path, source, part="training"):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(source, "utf-8")
        return code.fingerprint.__wrapped__(part, tmp_path)  # anew, not from the cache

    source = 'def scale(x):\n    """Return it."""  # a comment\n    return 2 * x  # é\n'
    first = fingerprint_of("scaling.py", source)
    assert code.code_of(source) == "def scale(x):\n    return 2 * x"
    edited = '"""Scales."""\n\n\ndef scale(x):\n    """Return\n    more."""\n    return 2 * x\n'
    assert fingerprint_of("scaling.py", edited) == first
    assert fingerprint_of("inspection/text.py", "A = 1") == first  # no part of training
    changed = fingerprint_of("scaling.py", source.replace("2", "3"))
    moved = fingerprint_of("_data/scaling.py", source)
    assert len({first, changed, moved}) == 3
    tools = [fingerprint_of("inspection/text.py", f"A = {i}", "tools") for i in (1, 2)]
    assert len({*tools, fingerprint_of("scaling.py", "x = 0", "tools")}) == 2
    assert list(benchmark("_cells").CODE) == ["training", "tools", "package"]
    assert len(set(benchmark("_cells").CODE.values())) == 3


@pytest.fixture
def states(benchmark, tmp_path, monkeypatch):
    """Return the module of the states of the code, with a file of its own."""
    states = benchmark("_states")
    monkeypatch.setattr(states, "STATES", tmp_path / "states.json")
    present = {"training": "now", "tools": "these", "package": "whole"}
    monkeypatch.setattr(states, "fingerprint", present.get)
    states._states.cache_clear()
    yield states
    states._states.cache_clear()


def cell_of(training, settings="sgan-sklearn 0.1.0: {}", **others):
    code = {} if training is None else {"code": {"training": training, **others}}
    return {"key": {"settings": settings}, **code}


def test_state_of_a_cell(states):
    hashes = {"table": "a", "frame": "b", "labels alone": "c", "critic": "d"}
    states.record("now", {"cpu": "x"}, hashes)
    states.record("critic changed", {"cpu": "x"}, {**hashes, "critic": "e"})
    states.record("tables changed", {"cpu": "x"}, {**hashes, "table": "e"})
    states.record("elsewhere", {"cpu": "y"}, hashes)
    found = {
        training: states.state_of(cell_of(training), "digits")
        for training in ("now", "critic changed", "tables changed", "elsewhere", "never", None)
    }
    assert found == {
        "now": "present",
        "critic changed": "same models",
        "tables changed": "earlier",
        "elsewhere": "earlier",
        "never": "earlier",
        None: "unknown",
    }
    # Times may change although the models do not.
    states.record("refactored", {"cpu": "x"}, hashes)
    assert states.state_of(cell_of("refactored"), "sample_quality") == "same models"
    assert states.state_of(cell_of("refactored"), "throughput") == "earlier"
    assert states.state_of(cell_of("now"), "throughput") == "present"
    states.record("tables changed", {"cpu": "x"}, hashes)  # in place of the former hashes
    assert states.state_of(cell_of("tables changed"), "digits") == "same models"


def test_cells_of_gray_images_do_not_depend_on_the_defaults_for_photographs(states):
    hashes = dict.fromkeys(states.SETTINGS_OF["published_systems"], "a")
    states.record("now", {"cpu": "x"}, hashes)
    states.record("photographs changed", {"cpu": "x"}, {**hashes, "photographs": "b"})
    states.record("gray ones changed", {"cpu": "x"}, {**hashes, "gray photographs": "b"})

    def found(training, name="published_systems"):
        cells = [cell_of(training) for _ in range(4)]
        for cell, dataset in zip(cells, ("mnist", "fashion_mnist", "cifar10", "svhn"), strict=True):
            cell["key"]["dataset"] = dataset
        return [states.state_of(cell, name) for cell in cells]

    same, other = ["same models"] * 2, ["earlier"] * 2
    assert found("photographs changed") == same + other
    assert found("gray ones changed") == other + same
    assert found("photographs changed", "published_systems_two_threads") == same + other


@pytest.mark.parametrize(
    ("name", "method", "settings", "code", "state"),
    [
        ("soak", "", "sgan-sklearn 0.1.0: {}", {"package": "whole"}, "present"),
        ("soak", "", "sgan-sklearn 0.1.0: {}", {"training": "now", "package": "other"}, "earlier"),
        (
            "verdicts",
            "",
            "sgan-sklearn 0.1.0: {}",
            {"training": "now", "tools": "these"},
            "present",
        ),
        ("verdicts", "", "sgan-sklearn 0.1.0: {}", {"training": "now", "tools": "x"}, "earlier"),
        ("verdicts", "", "sgan-sklearn 0.1.0: {}", {"training": "now"}, "unknown"),
        ("verdicts", "", "scikit-learn 1.9.1: {}", {"training": "x", "tools": "these"}, "present"),
        ("verdicts", "", "scikit-learn 1.9.1: {}", {"training": "now", "tools": "x"}, "earlier"),
        ("label_doubts", "cleanlab, RandomForest", "scikit-learn 1.9.1: {}", {}, "other packages"),
        ("digits", "LabelSpreading", "scikit-learn 1.9.1: {}", {}, "other packages"),
    ],
)
def test_parts_of_the_code_of_a_cell(states, name, method, settings, code, state):
    cell = {"key": {"method": method, "settings": settings}, "code": code}
    assert states.state_of(cell, name) == state
    assert states.is_stale(cell, name) == (state in ("earlier", "unknown"))


def test_states_name_settings_of_the_models(benchmark):
    names = {name for names in benchmark("_states").SETTINGS_OF.values() for name in names}
    assert names <= set(benchmark("model_hashes").SETTINGS)


takes_cells_as_they_finish = pytest.mark.skipif(
    parse_version(joblib.__version__) < parse_version("1.4"),
    reason="the benchmarks take the cells as they finish, which joblib does from 1.4 on",
)


@takes_cells_as_they_finish
def test_stale_cells_are_measured_anew_on_request(benchmark, states, tmp_path):
    cells = benchmark("_cells")
    keys = [{"settings": f"{package}: {{}}"} for package in ("sgan-sklearn 0.1.0", "lightgbm 4")]
    options = Namespace(output=tmp_path / "digits.json", rerun_stale=False)
    cells.run_cells(options, keys, lambda key: {"run": 1})
    stored = json.loads(options.output.read_text())
    for cell in stored["cells"]:
        cell["code"]["training"] = "earlier"
    options.output.write_text(json.dumps(stored))
    assert [cell["run"] for cell in cells.run_cells(options, keys, lambda key: {"run": 2})] == [
        1,
        1,
    ]
    options.rerun_stale = True
    assert [cell["run"] for cell in cells.run_cells(options, keys, lambda key: {"run": 3})] == [
        3,
        1,
    ]


def test_report_of_stale_cells(benchmark, states, tmp_path, monkeypatch, capsys):
    check = benchmark("check_figures")
    monkeypatch.setattr(check, "RESULTS", tmp_path / "results")
    (tmp_path / "results").mkdir()
    cells = [cell_of("now"), cell_of("before"), cell_of(None), cell_of(None, "lightgbm 4: {}")]
    path = tmp_path / "results" / "digits.json"
    path.write_text(json.dumps({"cells": cells}))
    monkeypatch.setattr(check, "wrong_figures", lambda: ["page.md:3: ten has no source"])
    monkeypatch.setattr(sys, "argv", ["check_figures.py"])
    assert check.main() == 1
    lines = capsys.readouterr().out.splitlines()
    assert [entry.strip() for entry in lines[2].split("|")[1:-1]] == [
        "digits",
        "1",
        "1",
        "",
        "1",
        "1",
    ]
    assert lines[-2:] == ["page.md:3: ten has no source", "2 stale, 1 unbacked"]
    path.write_text(json.dumps({"cells": [cells[0], cells[3]]}))
    monkeypatch.setattr(check, "wrong_figures", list)
    assert check.main() == 0


def test_stored_cells_of_the_ablation_are_valid(benchmark):
    systems = benchmark("published_systems")
    stored = json.loads((benchmark("_cells").RESULTS / "published_systems.json").read_text())[
        "cells"
    ]
    known = {cell["key"]["settings"] for cell in stored}
    assert all(systems.settings(row.estimator) in known for row in systems.ABLATION)


def test_cells_of_the_published_systems_are_measured_and_reported(benchmark, tmp_path, monkeypatch):
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
    assert "quick" not in systems.summarize(cells)
    planned = [systems.Row("long", "mnist", 4, systems.SGANClassifier(), 99.0)]
    monkeypatch.setitem(systems.GROUPS, "gpu", planned)
    assert "not yet run" in systems.summarize(cells, planned)
    monkeypatch.setattr(systems, "AT_STEPS", (4, 1000))
    expected = np.mean([cell["curve"][1]["accuracy"] for cell in cells])
    row = systems.summarize_ablation(cells).splitlines()[-1].split("|")
    assert row[1].strip() == "quick"
    assert row[2].strip() == f"{100 * expected:.2f}"
    assert row[3].strip() == "-"


@pytest.mark.slow
@takes_cells_as_they_finish
def test_published_systems_run_in_two_processes(benchmark, tmp_path, monkeypatch, capsys):
    rng = np.random.RandomState(0)
    y = np.arange(120) % 10
    X = (rng.randint(0, 50, size=(120, 4, 4)) + 20 * y[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", X_train=X, y_train=y, X_test=X, y_test=y)
    script = str(BENCHMARKS / "published_systems.py")
    chosen = ["--rows", "comparisons", "--systems", "SelfTraining", "--datasets", "mnist"]
    options = ["--draws", "2", "--jobs", "2", "--output", str(tmp_path / "cells.json")]
    monkeypatch.setattr(sys, "argv", [script, "--data", str(tmp_path), *chosen, *options])
    # The processes start here, with the folder of the benchmarks in their path, and end here.
    get_reusable_executor().shutdown(kill_workers=True)
    try:
        runpy.run_path(script, run_name="__main__")  # its functions are sent as those of a script
    finally:
        get_reusable_executor().shutdown(kill_workers=True)
    assert "SelfTraining (LogisticRegression)" in capsys.readouterr().out
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
    copula = quality.gaussian_copula(mixed_rows, 0)(0)
    alone = quality.independent_columns(mixed_rows, 0)(0)
    for generated in (copula, alone):
        assert generated["side"].dtype == "category"
        assert list(generated.columns) == list(mixed_rows.columns)
        assert (
            abs((generated["side"] == "left").mean() - (mixed_rows["side"] == "left").mean()) < 0.1
        )
    assert copula["x"].corr(copula["y"]) > 0.95
    assert abs(alone["x"].corr(alone["y"])) < 0.2


def test_adversarial_forest_gets_what_it_can_read(benchmark, mixed_rows, monkeypatch):
    """Columns are named by position, and a missing category is a level of its own."""
    quality = benchmark("sample_quality")
    given = []

    class Forest:
        def __init__(self, rows, **_):
            given.append(rows)

        def forde(self):
            pass

        def forge(self, n):
            return given[0].sample(n, replace=True, ignore_index=True)

    monkeypatch.setitem(sys.modules, "arfpy", SimpleNamespace(arf=SimpleNamespace(arf=Forest)))
    mixed_rows.loc[:99, "side"] = None
    make = quality.adversarial_forest(mixed_rows, 0)
    assert list(given[0]) == [0, 1, 2]
    assert (given[0][2][:100] == "missing").all()
    generated = make(0)
    assert generated.dtypes.equals(mixed_rows.dtypes)
    assert 60 <= generated["side"].isna().sum() <= 140
    pd.testing.assert_frame_equal(generated, make(0))


def test_forest_diffusion_of_numeric_tables(benchmark, mixed_rows, monkeypatch):
    quality = benchmark("sample_quality")
    given = {}

    class Model:
        def __init__(self, X, **options):
            given.update(options, X=X)

        def generate(self, n):
            chosen = np.random.permutation(len(given["X"]))[:n]  # noqa: NPY002
            return np.column_stack([given["X"], given["label_y"]])[chosen]

    module = SimpleNamespace(ForestDiffusionModel=Model)
    name = "ForestDiffusion.diffusion_with_trees_class"
    monkeypatch.setitem(sys.modules, "ForestDiffusion", SimpleNamespace())
    monkeypatch.setitem(sys.modules, name, module)
    side = mixed_rows.pop("side")
    rows = mixed_rows.assign(**{"n": np.arange(400.0), quality.TARGET: side})
    make = quality.forest_diffusion(rows, 0)
    assert (given["n_t"], given["duplicate_K"], given["int_indexes"]) == (20, 10, [2])
    generated = make(0)
    assert generated.dtypes.equals(rows.dtypes)
    assert ((generated["x"] > 0) == (generated[quality.TARGET] == "right")).all()
    pd.testing.assert_frame_equal(generated, make(0))

    monkeypatch.setattr(quality, "version", lambda name: "1")
    keys = quality.keys(["adult", "pendigits"], [1.0], ["ARF", "ForestDiffusion"], 1)
    found = [(key["table"], key["settings"]) for key in keys]
    assert found == [
        ("adult", "arfpy 1"),
        ("pendigits", "arfpy 1"),
        ("pendigits", "ForestDiffusion 1: {'n_t': 20, 'duplicate_K': 10}"),
    ]


def test_real_rows_are_not_distinguished_from_themselves(benchmark, mixed_rows):
    quality = benchmark("sample_quality")
    half, other = mixed_rows[:200], mixed_rows[200:].reset_index(drop=True)
    assert abs(quality.told_apart(half, other) - 0.5) < 0.15
    assert quality.told_apart(half, quality.independent_columns(other, 0)(0)) > 0.8


@pytest.fixture
def suite_cell(benchmark, mixed_rows, monkeypatch):
    """Return a function that measures a method on a table and returns its cell."""
    table = benchmark("_tables").Table(mixed_rows, (mixed_rows["x"] > 0).to_numpy(int), None)

    def measure(module, method):
        monkeypatch.setattr(module, "load_table", lambda *_: table)
        key = {"dataset": "mixed", "labels_per_class": 10, "method": method, "draw": 0}
        return {"key": key, **module.measure(key, None)}

    return measure


def test_verdicts_are_compared_with_the_test_rows(benchmark, suite_cell):
    verdicts = benchmark("verdicts")
    cell = suite_cell(verdicts, "SelfTraining")
    assert len(cell["scores"]["labels alone"]) == 10
    assert (cell["n_labeled"], cell["n_unlabeled"]) == (20, 260)
    for with_unlabeled, expected in ((0.9, [("helps", False)]), (0.6, [("helps", True)])):
        cell["scores"] = {"ours": [0.98, 0.99, 1.0], "labels alone": [0.5, 0.5, 0.5]}
        cell["test_scores"] = {"ours": with_unlabeled, "labels alone": 0.7}
        assert [verdicts.verdict(cell, 0.9)] == expected
    assert "| all, level 0.9" in verdicts.summarize([cell])
    assert "| 1     | 100%" in verdicts.summarize([cell])


def test_prior_shift_is_measured_and_reported(benchmark, suite_cell):
    shift = benchmark("prior_shift")
    cell = suite_cell(shift, "LogisticRegression")
    assert cell["em"]["accuracy"] > 0.9
    assert cell["error_of_shares"] < 0.1
    assert cell["p_value"] is None
    assert "| LogisticRegression | 10" in shift.summarize([cell])


def test_wrong_labels_are_made_and_found(benchmark, suite_cell):
    module = benchmark("label_doubts")
    y = np.repeat([0, 1, 2, -1], [10, 10, 10, 50])
    noisy, is_wrong = module.with_wrong_labels(y, seed=0)
    assert is_wrong.sum() == 6
    np.testing.assert_array_equal(noisy != y, is_wrong)
    assert (noisy[is_wrong] >= 0).all()
    cell = suite_cell(module, "label_doubts, LogisticRegression")
    assert cell["average_precision"] > 0.6
    assert "| label_doubts, LogisticRegression" in module.summarize([cell])


def test_labels_of_random_and_suggested_rows_are_compared(benchmark, suite_cell, monkeypatch):
    module = benchmark("active")
    assert module.labels_needed([(6, 0.5), (10, 0.7), (14, 0.9)], 0.8) == pytest.approx(12)
    assert module.labels_needed([(6, 0.5), (10, 0.7)], 0.4) == 6
    assert module.labels_needed([(6, 0.5), (10, 0.7)], 0.8) == 12.5
    monkeypatch.setattr(module, "BUDGETS", (2, 5))
    cells = [
        suite_cell(module, f"LogisticRegression, {rows}")
        for rows in (module.GOAL, module.RANDOM, module.SUGGESTED)
    ]
    assert [[point["n_labels"] for point in cell["curve"]] for cell in cells] == [
        [20],
        [4, 10],
        [4, 10],
    ]
    assert cells[0]["curve"][0]["accuracy"] > 0.8
    found = module.shares(cells, "LogisticRegression", "accuracy")
    assert set(found[module.SUGGESTED]) == {"mixed"}
    assert "| accuracy          | LogisticRegression | suggested rows |" in module.summarize(cells)


def test_foreign_rows_are_hidden_and_found(benchmark, suite_cell, mixed_rows, monkeypatch):
    module = benchmark("foreign_rows")
    y = np.digitize(mixed_rows["x"], np.quantile(mixed_rows["x"], [0.25, 0.5, 0.75]))
    four = benchmark("_tables").Table(mixed_rows, y, None)
    two = suite_cell(module, "SelfTraining")
    monkeypatch.setattr(module, "load_table", lambda *_: four)
    key = {"dataset": "four", "labels_per_class": 10, "method": "SelfTraining", "draw": 0}
    cell = {"key": key, **module.measure(key, None)}
    assert two["n_classes"] == 2
    assert (cell["n_classes"], cell["n_labeled"]) == (4, 30)
    assert 0 <= cell["false_alarms"] < 0.4
    assert "| SelfTraining" in module.summarize([two, cell])


def test_probabilities_are_scored(benchmark, suite_cell):
    module = benchmark("calibration")
    probabilities = np.array([[0.8, 0.2], [0.6, 0.4], [0.6, 0.4], [1.0, 0.0]])
    found = module.scores(probabilities, np.array([0, 0, 1, 1]))
    losses = [-np.log(0.8), -np.log(0.6), -np.log(0.4), -np.log(0.001)]
    assert found["log_loss"] == pytest.approx(np.mean(losses))
    assert found["brier_score"] == pytest.approx((0.08 + 0.32 + 0.72 + 2) / 4)
    assert found["calibration_error"] == pytest.approx((0.2 + abs(1 - 1.2) + 1) / 4)
    cell = suite_cell(module, "LogisticRegression")
    assert 0 < cell["log_loss"] < np.log(2)
    assert "| LogisticRegression | 0." in module.summarize([cell])


def test_few_labels_are_filled(benchmark, mixed_rows):
    quality = benchmark("sample_quality")
    true = (mixed_rows["x"] > 0).to_numpy().astype(int)
    some = quality.some_labels(true, 0.1, seed=0)
    assert 40 <= (some != -1).sum() <= 44
    filled = quality.fill_labels(mixed_rows, some, seed=0)
    assert (filled == true).mean() > 0.95


def test_loops_make_the_same_steps_as_the_classifier(benchmark, monkeypatch):
    loops = benchmark("_loops")
    X, y = load_iris(return_X_y=True)
    y[::2] = -1
    start = []

    class Remember(Callback):
        def on_train_begin(self, net, **kwargs):
            start.extend(copy.deepcopy([net.module_, net.generator_]))
            # The same latent vectors for all.
            monkeypatch.setattr(torch, "randn", same_numbers)

    def same_numbers(*size, **kwargs):
        size = size[0] if len(size) == 1 else size
        return torch.linspace(-1, 1, math.prod(size)).reshape(size)

    # All rows are in each batch, so that their order does not matter.
    clf = SGANClassifier(
        MLPArchitecture((8,), (8,), input_noise=0, noise=0),
        regularizer=None,
        latent_dim=3,
        batch_size=len(X),
        max_epochs=3,
        callbacks=[Remember()],
        device="cpu",
        random_state=0,
    ).fit(X, y)
    rows, codes = torch.from_numpy(clf.scaler_.transform(X)), torch.from_numpy(y)
    options = {"batch_size": len(X), "latent_dim": 3, "lr": 5e-3, "device": "cpu"}
    for make_loop in (loops.plain_loop, loops.tight_loop):
        networks = copy.deepcopy(start)
        loop = make_loop(*networks, rows, codes, **options)
        for _ in range(3):
            next(loop)
        for network, ours in zip(networks, (clf.net_.module_, clf.net_.generator_), strict=True):
            for weights, expected in zip(network.parameters(), ours.parameters(), strict=True):
                torch.testing.assert_close(weights, expected, rtol=1e-3, atol=1e-5)


@pytest.fixture
def latency(benchmark):
    return benchmark("latency")


def test_latency_is_measured_and_reported(latency, monkeypatch):
    monkeypatch.setattr(latency, "N_TRAINING_ROWS", 60)
    monkeypatch.setattr(latency, "HIDDEN", (8,))

    def session(classifier, threads):
        raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime")

    monkeypatch.setattr(latency, "onnx_session", session)
    n_threads = torch.get_num_threads()  # as they are
    wanted = latency.keys(["predict"], list(latency.INPUTS), [1, 30], n_threads)
    options = Namespace(rounds=2, seconds=0)
    cells = [{"key": key, **latency.measure(key, options)} for key in wanted]
    assert len(cells) == 3 * 2
    for cell in cells:
        seconds = cell["median_seconds"]
        assert list(seconds) == ["SGANClassifier", "MLPClassifier"]
        expected = seconds["SGANClassifier"] / seconds["MLPClassifier"]
        assert cell["ratio_to_mlp"] == pytest.approx(expected)
        assert cell["rounds"] == 2
    assert cells[0]["skipped"] == {"ONNX Runtime": "onnxruntime is not installed"}
    program = {"program": "import sgan_sklearn", "part": "process", "threads": 1}
    figures = {"median_seconds": 2.04, "megabytes": 361.6, "file_megabytes": 1.0}
    summary = latency.summarize([*cells, {"key": program, **figures}])
    lines = summary.splitlines()
    assert [line.split("|")[1].strip() for line in lines[2:8:2]] == list(latency.INPUTS)
    assert "- (the graph takes an array)" in lines[4]
    assert re.fullmatch(r"\| import sgan_sklearn +\| 2\.0 +\| 362 +\|", lines[-1])


def test_latency_of_the_exported_graph(latency, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(latency, "N_TRAINING_ROWS", 60)
    monkeypatch.setattr(latency, "HIDDEN", (8,))
    classifier, _ = latency.fitted("array", seed=0)
    X = latency.make_rows("array", 20, seed=1)
    (found,) = latency.onnx_session(classifier, 1).run(["probabilities"], {"X": X})
    np.testing.assert_allclose(found, classifier.predict_proba(X), atol=1e-5)


@pytest.mark.slow
def test_programs_that_predict_are_measured(latency, monkeypatch):
    monkeypatch.setattr(latency, "N_TRAINING_ROWS", 60)
    run, commands, ended = subprocess.run, [], []

    def run_once(command, **options):
        """Take the figures of the first process for the second one, which does the same."""
        commands.append(command)
        if not ended:
            ended.append(run(command, **options))
        return ended[0]

    monkeypatch.setattr(latency.subprocess, "run", run_once)
    (*_, key) = latency.keys(["process"], [], [], 1)
    cell = latency.measure(key, Namespace(processes=1))
    assert commands == [commands[0]] * 2
    assert 50 < cell["megabytes"] < 2000
    assert 0.1 < cell["file_megabytes"] < 10


@pytest.fixture
def throughput(benchmark):
    return benchmark("throughput")


@pytest.mark.slow
def test_throughput_is_measured_and_reported(throughput, tmp_path, monkeypatch):
    resource = pytest.importorskip("resource", reason="Windows has no limits of the memory")
    monkeypatch.setattr(throughput, "SIZES", (500, 1_000))
    monkeypatch.setattr(throughput, "ROWS_METHODS", ("SGANClassifier", "LabelSpreading (knn)"))
    monkeypatch.setattr(throughput, "NETWORKS", {"mlp": SMALL_NETWORK})
    monkeypatch.setattr(throughput, "SIDE", 256)
    run, commands = subprocess.run, []

    def run_the_first(command, **options):
        """Run one fit in a process of its own, and the others in this one."""
        commands.append(command)
        if len(commands) == 1:
            return run(command, **options)
        with monkeypatch.context() as patch, redirect_stdout(io.StringIO()) as printed:
            patch.setattr(resource, "setrlimit", lambda *limits: None)
            throughput.fit_in_child(json.loads(command[-1]))
        return Namespace(returncode=0, stdout=printed.getvalue(), stderr="")

    monkeypatch.setattr(throughput.subprocess, "run", run_the_first)
    rng = np.random.RandomState(0)
    y = np.arange(200) % 10
    X = (rng.randint(0, 50, size=(200, 4, 4)) + 20 * y[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", X_train=X, y_train=y, X_test=X, y_test=y)
    options = Namespace(steps=20, rounds=2, timeout=60)
    n_threads = torch.get_num_threads()  # as they are
    # Not bfloat16: without the instructions for it a product takes a processor a second and more.
    parts = ["steps", "share", "profile", "rows"]
    wanted = throughput.keys(parts, "cpu", n_threads, ["float32"], ["mlp"])
    cells = [{"key": key, **throughput.measure(key, tmp_path, options)} for key in wanted]
    by_part = {part: [c for c in cells if c["key"]["part"] == part] for part in throughput.PARTS}
    assert [len(by_part[part]) for part in parts] == [1, 1, 1, 4]
    assert sum(by_part["profile"][0]["shares"].values()) == pytest.approx(1)
    for cell in by_part["steps"]:
        rates = cell["steps_per_second"]
        expected = rates["SGANClassifier"] / rates["plain loop"]
        assert cell["ratio_to_plain"] == pytest.approx(expected)
    # The layers of both networks, forward and, but for some, twice backward, for 30 rows or less.
    n_weights = 16 * 8 + 8 * 10 + 64 * 8 + 8 * 16
    assert 2 * 30 * 16 * 8 < by_part["share"][0]["operations_per_step"] < 2 * 3 * 50 * n_weights
    assert len(commands) == 4
    assert not any("failed" in cell for cell in by_part["rows"])
    assert "SGANClassifier grow as rows to the power of" in throughput.summarize(cells)


def test_both_precisions_can_be_selected(throughput):
    wanted = throughput.keys(["steps"], "cpu", 1, ["float32", "bfloat16"])
    assert {key["precision"] for key in wanted} == {"float32", "bfloat16"}
    assert len(wanted) == 2 * 2


def test_recorded_steps_can_be_selected(throughput):
    wanted = throughput.keys(["steps"], "cuda", 1, ["float32"], ["mlp, recorded"])
    assert [key["network"] for key in wanted] == ["mlp, recorded"]
    assert throughput.classifier("mlp, recorded", "cpu").training.record_steps is True
    assert throughput.classifier("mlp", "cpu").training.record_steps is False


def test_stored_cells_of_steps_can_be_selected(benchmark, throughput):
    stored = json.loads((benchmark("_cells").RESULTS / "throughput.json").read_text())["cells"]
    for key in (cell["key"] for cell in stored):
        assert key.get("network", "mlp") in throughput.NETWORKS
        assert key.get("system", "conv") in throughput.SYSTEMS


def test_timeouts_and_failures_are_reported(throughput, tmp_path, monkeypatch):
    key = {"part": "rows", "rows": 200, "method": "no such method", "device": "x"}
    key["threads"] = torch.get_num_threads()
    child = json.dumps({**key, "folder": str(tmp_path)})
    with monkeypatch.context() as patch:
        patch.setattr(sys, "argv", ["throughput.py", "--child", child])
        with pytest.raises(ValueError, match="'device' parameter") as raised:
            throughput.main()
        # A process that ends with the same error, without the imports.
        script = tmp_path / "fails.py"
        script.write_text(f"raise ValueError({str(raised.value)!r})")
        patch.setattr(throughput, "__file__", str(script))
        cell = {"key": key, **throughput.measure(key, None, Namespace(timeout=60))}
    assert "'device' parameter" in cell["failed"]
    cell = {"key": key, **throughput.measure(key, None, Namespace(timeout=0.01))}
    assert cell["failed"] == "more than 0 minutes"
    assert "more than 0 minutes" in throughput.summarize([cell])


def test_peak_of_memory(throughput):
    np.ones(100)
    with throughput.PeakMemory() as memory:
        block = np.ones(2**24)
        time.sleep(0.1)
        del block
    assert 2**27 <= memory.peak <= 2**28


def test_exponent_of_rows(throughput):
    def cell(n_rows, seconds):
        return {"key": {"method": "SGANClassifier", "rows": n_rows}, "fit_seconds": seconds}

    assert throughput.exponent([cell(10, 1.0), cell(1000, 10.0)]) == pytest.approx(0.5)
    assert throughput.exponent([cell(10, 1.0)]) is None


# --- text and speech -------------------------------------------------------------------------

QUICK = SGANClassifier(MLPArchitecture((8,), (8,)), max_epochs=2, device="cpu")
WORDS = ("engine wheel brake", "goalie puck rink", "orbit moon rocket")


def write_messages(folder, n_train=30, n_test=9):
    rng = np.random.RandomState(0)
    with gzip.open(folder / "newsgroups20.jsonl.gz", "wt", encoding="utf-8") as file:
        for i in range(n_train + n_test):
            own = rng.choice(WORDS[i % 3].split(), size=4)
            others = rng.choice(" ".join(WORDS).split(), size=2)
            row = {
                "split": "train" if i < n_train else "test",
                "label": i % 3,
                "text": "header",
                "text_body": " ".join([*own, *others]),
            }
            file.write(json.dumps(row) + "\n")


def test_messages_come_from_a_file_or_the_fetcher(benchmark, tmp_path, monkeypatch):
    text = benchmark("_text")
    write_messages(tmp_path)
    messages = text.load_messages(tmp_path)
    assert (len(messages.train), len(messages.test)) == (30, 9)
    assert messages.y_test.tolist() == [0, 1, 2] * 3
    assert "header" not in messages.train[0]
    asked = []

    def fetch(**kwargs):
        asked.append(kwargs)
        return Namespace(data=["a message"], target=np.array([1]))

    monkeypatch.setattr(text, "fetch_20newsgroups", fetch)
    assert text.load_messages(None).train == ["a message"]
    assert [a["subset"] for a in asked] == ["train", "test"]
    assert asked[0]["remove"] == ("headers", "footers", "quotes")


@pytest.fixture
def few_components(benchmark, monkeypatch):
    text = benchmark("_text")
    monkeypatch.setattr(text, "COMPONENTS", (2, 3, 5))
    monkeypatch.setattr(text, "MIN_MESSAGES", 1)
    return text


def test_features_of_messages_depend_on_the_training_rows_only(few_components, tmp_path):
    text = few_components
    write_messages(tmp_path)
    messages = text.load_messages(tmp_path)
    features = text.make_features(messages.train, messages.test)
    other = text.make_features(messages.train, ["unheard words"])
    for name, rows in features.items():
        assert rows.train.shape[1] == rows.test.shape[1]
        same = rows.train - other[name].train
        assert abs(same).max() < 1e-6
    assert features["SVD 5"].test.shape == (9, 5)
    np.testing.assert_allclose(np.linalg.norm(features["SVD 3"].test, axis=1), 1, rtol=1e-5)
    assert other["SVD 3"].test.tolist() == [[0, 0, 0]]


@pytest.mark.usefixtures("few_components")
def test_cells_of_text_are_measured_and_reported(benchmark, tmp_path, monkeypatch):
    text = benchmark("text")
    write_messages(tmp_path)
    methods = ["LogisticRegression", *text.OURS]
    for name in text.OURS:
        monkeypatch.setitem(text.METHODS, name, QUICK)
    monkeypatch.setattr(
        text, "features_for", lambda m: ["SVD 3"] if m in text.OURS else ["SVD 2", "SVD 5"]
    )
    keys = text.keys([2], methods, 2)
    assert len(keys) == 2 * (2 + 1 + 1)
    cells = [{"key": key, "seconds": 1.0, **text.measure(key, tmp_path)} for key in keys]
    assert all(0 <= cell["accuracy"] <= 1 for cell in cells)
    for cell in cells:  # invented results, so that the table is known
        cell["accuracy"] = 0.75 if cell["key"]["features"] == "SVD 5" else 0.5
    rows = text.summarize(cells).splitlines()
    assert [part.strip() for part in rows[4].split("|")[1:5]] == [
        "LogisticRegression",
        "75.00 ± 0.00",
        "SVD 5",
        "1.0",
    ]


def tone(hertz, seconds, silence=0.2):
    quiet = np.zeros(int(8000 * silence))
    return np.concatenate([quiet, np.sin(2 * np.pi * hertz * np.arange(8000 * seconds) / 8000)])


def write_recordings(folder, n_each=4):
    rng = np.random.RandomState(0)
    waves, y, speaker, is_test = [], [], [], []
    for who in range(6):
        for digit in (0, 1):
            for i in range(n_each):
                hertz = (400, 1600)[digit] * (1 + 0.05 * rng.rand())
                waves.append((1e4 * tone(hertz, 0.1 + 0.1 * rng.rand())).astype(np.int16))
                y.append(digit)
                speaker.append(who)
                is_test.append(i == 0)
    np.savez(
        folder / "fsdd.npz",
        waveform=np.concatenate(waves),
        offsets=np.cumsum([0, *map(len, waves)]),
        y=np.array(y, dtype=np.uint8),
        speaker=np.array(speaker, dtype=np.uint8),
        is_test=np.array(is_test),
        sample_rate=np.int32(8000),
    )


def test_band_of_a_tone_is_the_loudest(benchmark):
    audio = benchmark("_audio")
    for hertz in (300, 1000, 3000):
        power = audio.mel_power(tone(hertz, 0.2, silence=0), 8000)
        mel = 2595 * np.log10(1 + np.array([audio.LOWEST, hertz, audio.HIGHEST]) / 700)
        expected = (mel[1] - mel[0]) / (mel[2] - mel[0]) * (audio.BANDS + 1) - 1
        assert abs(power.mean(axis=1).argmax() - expected) < 1


def test_spectrograms_are_invariant_to_silence_loudness_and_length(benchmark):
    audio = benchmark("_audio")
    plain = audio.spectrogram(tone(1000, 0.3), 8000)
    assert plain.shape == (audio.BANDS, audio.FRAMES)
    assert abs(plain.mean()) < 1e-5
    longer = audio.spectrogram(tone(1000, 0.5, silence=0.7), 8000)
    middle = slice(3, -3)  # where the sound begins and ends, windows are half full
    np.testing.assert_allclose(plain[:, middle], longer[:, middle], atol=0.7)
    short = audio.spectrogram(tone(1000, 0.01, silence=0), 8000)  # less than a window
    assert np.isfinite(short).all()


def test_stretched_columns_are_means(benchmark):
    stretch = benchmark("_audio").stretch
    np.testing.assert_allclose(stretch(np.array([[1.0, 3, 5, 7]]), 2), [[2, 6]])
    np.testing.assert_allclose(stretch(np.array([[1.0, 3]]), 4), [[1, 1, 3, 3]])


def test_recordings_come_from_one_file_or_many(benchmark, tmp_path):
    audio = benchmark("_audio")
    names = ["1_theo_4", "0_jackson_5", "9_jackson_0"]
    for i, name in enumerate(names):
        wavfile.write(tmp_path / f"{name}.wav", 8000, np.full(10 + i, 2**14, dtype=np.int16))
    data = audio.load_recordings(tmp_path)
    assert data.y.tolist() == [0, 1, 9]
    assert data.speaker.tolist() == [0, 1, 0]
    assert data.is_test.tolist() == [False, True, True]
    assert data.offsets.tolist() == [0, 11, 21, 33]
    assert data.waveform[0] == 0.5
    (tmp_path / "one").mkdir()
    with pytest.raises(FileNotFoundError, match="--data"):
        audio.load_recordings(tmp_path / "one")
    write_recordings(tmp_path / "one")
    assert audio.load_recordings(tmp_path / "one").y.shape == (48,)
    with pytest.raises(ValueError, match="--data"):
        audio.load_recordings(None)


def test_cells_of_audio_are_measured_and_reported(benchmark, tmp_path, monkeypatch):
    audio = benchmark("audio")
    write_recordings(tmp_path)
    monkeypatch.setattr(audio, "SPEAKER_LABELS", 3)
    ours = next(iter(audio.OURS))
    monkeypatch.setitem(audio.METHODS, ours, QUICK)
    methods = ["LogisticRegression", ours]
    keys = audio.keys(list(audio.SETTINGS), [2], methods, 2)
    assert len(keys) == 2 * 7 * (4 + 1)
    few = [key for key in keys if key["draw"] == 0 and key["speaker"] in (None, 5)]
    assert all(0 <= audio.measure(key, tmp_path)["accuracy"] <= 1 for key in few)
    data = benchmark("_audio").load_recordings(tmp_path)
    is_train, is_test = audio.split(data, 5)
    assert (data.speaker[is_test] == 5).all()
    assert not (data.speaker[is_train] == 5).any()
    # A speaker's recordings are right in one draw and wrong in the other, with one of the features.
    cells = [
        {
            "key": key,
            "seconds": 1.0,
            "accuracy": float(key["features"] == "MFCC" and key["speaker"] == key["draw"]),
        }
        for key in keys
    ]
    row = audio.summarize(cells).splitlines()[4].split("|")
    assert [part.strip() for part in row[1:6]] == [
        "LogisticRegression",
        "0.00 ± 0.00",
        "log-mel",
        "16.67 ± 0.00",
        "MFCC",
    ]


# --- mutants ---------------------------------------------------------------------------------

CODE = """
def total(numbers: list[int] | None) -> int | None:
    if numbers is None:
        return -1
    return sum(numbers) * 2
"""


def test_mutants_are_named_by_their_lines(benchmark):
    pytest.importorskip("cosmic_ray", reason="the benchmark asks for cosmic-ray")
    found = list(benchmark("mutants").mutants(CODE, seed=0))
    lines = [name["line"] for name, _ in found]
    # Nothing of the annotations, and one of each place before a second of any.
    assert set(lines) == {"if numbers is None:", "return -1", "return sum(numbers) * 2"}
    assert set(lines[:5]) == set(lines)
    assert len({code for _, code in found}) == len(found)
    longer = list(benchmark("mutants").mutants("x = 1 + 2\n" + CODE, seed=0))
    assert [name for name, _ in longer if name["line"] in set(lines)] == [name for name, _ in found]
    assert [name for name, _ in benchmark("mutants").mutants(CODE, seed=1)] != [n for n, _ in found]


def test_outcome_of_a_mutant(benchmark):
    changed_lines = benchmark("mutants").changed_lines
    assert changed_lines("a\nb\nb\nc", "a\nb\nd\nc") == "d"
    assert changed_lines("a\nb\n  c\nd", "a\nd") == ""
    assert changed_lines("a\n  b\n  c", "a\n  b2\n  c2") == "b2 c2"


# The package under test is another one: this must not run where sgan_sklearn is imported.
RUN_MUTANTS = """
import sys
from pathlib import Path
import pytest  # once, before the forks
import mutants

root, folder = map(Path, sys.argv[1:])
bench = mutants.Bench(root, folder, {"sums": ("sums",)})
source = bench.sources["sums"]
for old, new in {"* 2": "* 3", "-1": "-2", "return -1": "import os; os.abort()", "def": ""}.items():
    print(bench.test("sums", source.replace(old, new)))
print(mutants.in_own_process(bench.folder, bench._arguments("sums"), 0.0))
print(bench.paths["sums"].read_text() == source)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the benchmark forks")
def test_mutants_are_killed_or_survive(tmp_path):
    for name in ("package/sgan_sklearn/_data", "package/tests", "copy"):
        (tmp_path / name).mkdir(parents=True)
    package = tmp_path / "package"
    (package / "sgan_sklearn" / "__init__.py").touch()
    (package / "sgan_sklearn" / "_data" / "__init__.py").touch()
    (package / "sgan_sklearn" / "_data" / "sums.py").write_text(CODE)
    (package / "pyproject.toml").write_text(
        "[tool.pytest.ini_options]\nmarkers = ['slow', 'cuda']\nfilterwarnings = ['error']\n"
    )
    (package / "tests" / "test_sums.py").write_text(
        "from sgan_sklearn._data.sums import total\n\n"
        "def test_total():\n    assert total([1, 2]) == 6\n\n"
        "def test_nothing():\n    assert total(None) < 0\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", RUN_MUTANTS, package, tmp_path / "copy"],
        capture_output=True,
        text=True,
        check=False,
        # Each fork would import the plugins, none of which its tests need.
        env={**os.environ, "PYTHONPATH": str(BENCHMARKS), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "{'outcome': 'killed', 'killed_by': 'tests/test_sums.py::test_total'}",
        "{'outcome': 'survived', 'killed_by': None}",
        "{'outcome': 'killed', 'killed_by': 'crash'}",
        "{'outcome': 'killed', 'killed_by': 'tests/test_sums.py'}",
        "None",
        "True",
    ]


def test_table_of_mutants(benchmark):
    def cell(module, label, outcome):
        return {"key": {"module": module, "label": label}, "outcome": outcome}

    outcomes = ["killed"] * 2 + ["timeout", "survived"]
    cells = [cell("metrics", "after", outcome) for outcome in outcomes]
    cells += [cell("losses", label, "killed") for label in ("after", "before")]
    rows = benchmark("mutants").summarize(cells).splitlines()[2:]
    assert [[part.strip() for part in row.split("|")[1:-1]] for row in rows] == [
        ["losses", "before", "1", "1", "0", "0", "100.0 %"],
        ["losses", "after", "1", "1", "0", "0", "100.0 %"],
        ["metrics", "after", "4", "2", "1", "1", "75.0 %"],
        ["all", "before", "1", "1", "0", "0", "100.0 %"],
        ["all", "after", "5", "3", "1", "1", "80.0 %"],
    ]


# --- costs of a fit -----------------------------------------------------------------------------


@pytest.fixture
def fit_cost(benchmark):
    return benchmark("fit_cost")


def test_compared_fits_follow_each_other(fit_cost):
    keys = fit_cost.keys(list(fit_cost.PARTS), "abc", 2)
    fits = [key for key in keys if key["part"] == "fits"]
    for old, now in zip(fits[::2], fits[1::2], strict=True):
        assert (old["commit"], now["commit"]) == ("abc", "this")
        assert {**old, "commit": "this"} == now
    assert len({json.dumps(key, sort_keys=True) for key in keys}) == len(keys)
    assert {key["part"] for key in keys} == set(fit_cost.PARTS)


def test_costs_are_measured_in_a_process_of_their_own(fit_cost, tmp_path):
    (key, *_) = fit_cost.keys(["forest"], "abc", 1)
    assert fit_cost.measure(key, tmp_path)["cpu_seconds"] > 0


def test_estimator_of_an_ablation(fit_cost):
    params = fit_cost.ABLATION["all as before"]
    estimator = fit_cost.classifier(1_000, **params)
    assert estimator.max_epochs == 100
    assert estimator.architecture.hidden_layer_sizes == (256, 256, 128)
    assert estimator.training.record_steps is False


def test_table_of_costs(fit_cost):
    cells = []
    for key in fit_cost.keys(["fits", "forest"], "abc", 1):
        seconds = {"abc": 10.0, "this": 2.0}.get(key.get("commit"), 0.5)
        cells.append({"key": key, "cpu_seconds": seconds})
    text = fit_cost.summarize(cells)
    assert text.count("| 10.00  | 2.00 | 0.20  | 0.50   | 4.0          |") == 4
    assert "busy" not in text
