import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from sgan_sklearn import SGANClassifier
from sgan_sklearn._runtime import device as device_module
from sgan_sklearn._runtime import processes as processes_module
from sgan_sklearn._runtime.device import resolve_device
from sgan_sklearn._runtime.processes import (
    all_rows,
    any_process,
    average_gradients,
    mean_over_processes,
    mean_over_rows,
    n_processes,
    process_index,
    process_part,
)
from sgan_sklearn._training import inputs as inputs_module
from sgan_sklearn.objectives import OBJECTIVES

pytestmark = pytest.mark.skipif(
    not torch.distributed.is_available() or not torch.distributed.is_gloo_available(),
    reason="this build of torch cannot let processes talk to each other",
)

# Trains one classifier of each kind; the first argument is the folder for the results.
SCRIPT = """
import os
import pickle
import sys

import torch
from sklearn.datasets import load_digits
from torch import distributed

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture, ResNetArchitecture
from sgan_sklearn.objectives import OBJECTIVES

torch.set_num_threads(1)
n_processes, rank = 1, 0
if distributed.is_torchelastic_launched():
    distributed.init_process_group("gloo")
    n_processes, rank = distributed.get_world_size(), distributed.get_rank()

X, y = load_digits(return_X_y=True)
X, y = X[:300], y[:300].copy()
y[150:] = -1
images = X.reshape(-1, 8, 8)
# Without noise, because each process draws its own.
perceptrons = MLPArchitecture((32, 16), (32,), input_noise=0.0, noise=0.0)
convolutions = ConvArchitecture(width=4, generator_width=4, input_noise=0.0, dropout=0.0)
common = {"max_epochs": 3, "batch_size": 60 // n_processes, "device": "cpu", "random_state": 0}
common |= {"discriminator_lr": 3e-3, "generator_lr": 3e-3}  # rounding grows faster at larger ones
systems = {
    objective: (X, dict(architecture=perceptrons, objective=objective, regularizer="class_prior"))
    for objective in OBJECTIVES
}
systems["images"] = images, dict(architecture=convolutions, regularizer=None, augment=None)
systems["early stopping"] = X, dict(
    architecture=perceptrons, regularizer=None, early_stopping=True, n_iter_no_change=1
)
results = {}
for name, (rows, params) in systems.items():
    clf = SGANClassifier(**common, **params).fit(rows, y)
    results[name] = {
        "probabilities": clf.predict_proba(rows),
        "samples": clf.sample(5, random_state=0) if clf.net_.trains_generator else X[:0],
        "losses": [[v for k, v in epoch.items() if k != "dur"] for epoch in clf.history_],
    }
# With noise, to check that it differs between the processes but the models do not.
clf = SGANClassifier(max_epochs=1, device="cpu", random_state=0, verbose=1).fit(X, y)
results["noisy"] = {"probabilities": clf.predict_proba(X), "n_steps": clf.n_steps_}
# In bfloat16, if the processor supports it, and with learning rates that depend on the time.
if n_processes > 1:
    residual = ResNetArchitecture(width=(8, 8), generator_width=4)
    clf = SGANClassifier(residual, device="cpu", random_state=0, training=Training(max_time=3))
    clf.fit(images, y)
    results["photographs"] = {"probabilities": clf.predict_proba(images), "n_steps": clf.n_steps_}
    try:
        SGANClassifier(**common).set_params(latent_dim=8 + rank).fit(X, y)
    except ValueError as error:
        results["different"] = str(error)
with open(f"{sys.argv[1]}/{n_processes}_{rank}.pickle", "wb") as file:
    pickle.dump(results, file)
if n_processes > 1:
    distributed.barrier()  # so that no process exits while the other still waits
    distributed.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)  # destructors of threads of gloo sometimes abort the process in torch 2.4
"""


# It trains for half a minute, so the tests that use it are slow, and run in one process.
@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("distributed")
    script = folder / "script.py"
    script.write_text(SCRIPT, encoding="utf-8")
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    outputs = [
        subprocess.run(
            [sys.executable, *launcher, str(script), str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        for launcher in ([], torchrun)
    ]
    for output in outputs:
        assert output.returncode == 0, output.stderr
    results = {
        name: pickle.loads((folder / f"{name}.pickle").read_bytes())
        for name in ("1_0", "2_0", "2_1")
    }
    return {**results, "printed": [output.stdout for output in outputs]}


@pytest.mark.slow
@pytest.mark.xdist_group("distributed")
@pytest.mark.parametrize("system", [*OBJECTIVES, "images", "early stopping"])
@pytest.mark.parametrize("process", ["2_0", "2_1"])
def test_two_processes_train_the_same_model_as_one_process(results, process, system):
    for name, values in results["1_0"][system].items():
        np.testing.assert_allclose(results[process][system][name], values, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
@pytest.mark.xdist_group("distributed")
def test_both_processes_have_the_same_statistics_and_learning_rates(results):
    first, second = (results[name]["photographs"] for name in ("2_0", "2_1"))
    np.testing.assert_array_equal(first["probabilities"], second["probabilities"])
    assert first["n_steps"] == second["n_steps"] > 1


@pytest.mark.slow
@pytest.mark.xdist_group("distributed")
def test_both_processes_end_with_the_same_model(results):
    first, second, alone = (results[name]["noisy"] for name in ("2_0", "2_1", "1_0"))
    np.testing.assert_array_equal(first["probabilities"], second["probabilities"])
    assert not np.allclose(first["probabilities"], alone["probabilities"])
    assert alone["n_steps"] == 6
    assert first["n_steps"] == 3  # of twice as many rows


@pytest.mark.slow
@pytest.mark.xdist_group("distributed")
@pytest.mark.parametrize("process", ["2_0", "2_1"])
def test_processes_with_different_parameters_are_refused(results, process):
    assert (
        "must have the same rows, labels, weights and parameters" in results[process]["different"]
    )


@pytest.mark.slow
@pytest.mark.xdist_group("distributed")
def test_only_the_first_process_prints(results):
    assert [text.count("discriminator") for text in results["printed"]] == [1, 1]


# --- one process ------------------------------------------------------------------------


def test_single_process_communicates_nothing():
    x = torch.randn(4, 3)
    assert (n_processes(), process_index()) == (1, 0)
    assert mean_over_processes(x) is x
    assert all_rows(x) is x
    assert torch.equal(mean_over_rows(x), x.mean(dim=0))
    assert torch.equal(process_part(x), x)
    assert any_process(True, "cpu")
    assert not any_process(False, "cpu")
    linear = torch.nn.Linear(3, 2)
    linear(x).sum().backward()
    before = linear.weight.grad.clone()
    average_gradients(linear)
    assert torch.equal(linear.weight.grad, before)


@pytest.fixture
def second_of_two(monkeypatch):
    for module in (processes_module, device_module, inputs_module):
        monkeypatch.setattr(module, "n_processes", lambda: 2)
    for module in (processes_module, device_module):
        monkeypatch.setattr(module, "process_index", lambda: 1)


def test_parts_of_a_batch(second_of_two):
    assert process_part(torch.arange(5)).tolist() == [1, 3]


@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_processes_need_one_seed(second_of_two, random_state):
    X, y = load_digits(return_X_y=True)
    with pytest.raises(ValueError, match=r"'random_state' parameter .* of the 2 processes"):
        SGANClassifier(random_state=random_state).fit(X, y)


def test_each_process_needs_a_labeled_row(second_of_two):
    X, y = load_digits(return_X_y=True)
    y[1:] = -1
    with pytest.raises(ValueError, match="needs at least one labeled row"):
        SGANClassifier(random_state=0).fit(X, y)


def test_held_out_labels_do_not_count_for_processes(second_of_two, monkeypatch):
    X, y = load_digits(return_X_y=True)
    X, y = X[y < 2], y[y < 2]
    y[10:] = -1
    y[:10] = [0, 1, -1, -1, 0, 1, -1, -1, -1, -1]
    clf = SGANClassifier(random_state=0, early_stopping=True, validation_fraction=0.5)
    for module in (processes_module, inputs_module):
        monkeypatch.setattr(module, "n_processes", lambda: 4)
    with pytest.raises(ValueError, match="Got 2 labeled rows"):
        clf.fit(X, y)


def test_each_process_has_its_own_gpu(second_of_two, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert resolve_device("auto") == torch.device("cuda:1")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert resolve_device("auto") == torch.device("cuda:0")
