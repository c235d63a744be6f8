"""Fixtures that several test modules share."""

import copy
import functools
import importlib
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import Phase, settings
from small_models import small_classifier, three_classes

from sgan_sklearn._runtime import recorded_steps
from sgan_sklearn._training import ensemble, inputs
from sgan_sklearn.regularizers import _distillation
from sgan_sklearn.regularizers._simple_classifiers import flat_rows, label_spreading_accuracy

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"

# The same examples on each run, however slow the machine.
settings.register_profile(
    "sgan_sklearn",
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    report_multiple_bugs=False,
)
settings.register_profile("nightly", settings.get_profile("sgan_sklearn"), max_examples=2_000)
# The lowest supported versions get a third of the cases; `make test` runs all of them.
settings.register_profile("oldest", settings.get_profile("sgan_sklearn"), max_examples=33)
settings.load_profile("sgan_sklearn")


@pytest.fixture(scope="session", autouse=True)
def _sigint_is_handled():
    """Handle SIGINT as in a foreground process; shells let background processes ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session", autouse=True)
def _small_ensembles():
    """Let distillations and ensembles be quick: the default takes half a second longer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_distillation, "N_TREES", 5)
        patch.setattr(ensemble, "N_TREES", 5)
        patch.setattr(ensemble, "MIN_STEPS", 20)
        patch.setattr(ensemble, "MAX_STEPS", 20)
        patch.setattr(ensemble, "MAX_FOLDS", 2)
        patch.setattr(ensemble, "N_ROUNDS", 2)
        yield


# Modules in which "auto" is the ensemble of four classifiers, with a few trees (for hostile input,
# of two classifiers, except in the nightly profile). In the others, it is logistic regression,
# which saves a third of the time of a small fit.
WITH_ALL_MEMBERS = {
    "test_checkpoints",
    "test_common",
    "test_concurrency",
    "test_ensemble",
    "test_hostile_input",
    "test_label_types",
    "test_labels",
    "test_sample_weight",
    "test_settings",
    "test_soft_labels",
    "test_sparse",
    "test_wide_tables",
}


@pytest.fixture(scope="module", autouse=True)
def _one_member(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__.rpartition(".")[2] not in WITH_ALL_MEMBERS:
            patch.setattr(inputs, "MEMBERS", ("logistic_regression",))
        yield


# Modules in which label spreading is computed each time.
WITHOUT_MEMORY = {
    "test_concurrency",
    "test_ensemble",
    "test_hostile_input",
    "test_regularizers",
    "test_rows",
    "test_settings",
    "test_threads",
}
spreading_accuracies = {}


def remembered_accuracy(X, codes):
    """Return `label_spreading_accuracy`, which takes half of the time of a small fit.

    It is computed twice in a fit, with the rows in another order, and in most fits of the tests for
    the same rows.
    """
    rows = flat_rows(X, slice(None))
    if rows.size > 50_000:
        return label_spreading_accuracy(X, codes)
    order = np.lexsort((codes, *rows.T))
    key = rows[order].tobytes(), rows.shape, codes[order].tobytes()
    if key not in spreading_accuracies:
        spreading_accuracies[key] = label_spreading_accuracy(X, codes)
    return spreading_accuracies[key]


@pytest.fixture(scope="module", autouse=True)
def _spreading_once(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__.rpartition(".")[2] not in WITHOUT_MEMORY:
            for module in (_distillation, ensemble):
                patch.setattr(module, "label_spreading_accuracy", remembered_accuracy)
        yield


# Modules in which steps are recorded from the fourth on. In the others, trainings of up to nine
# steps have no recorded ones.
WITH_RECORDINGS = {
    "test_checkpoints",
    "test_concurrency",
    "test_objectives",
    "test_photographs",
    "test_recorded_steps",
    "test_regularizers",
    "test_settings",
}


@pytest.fixture(scope="module", autouse=True)
def _early_recordings(request):
    with pytest.MonkeyPatch.context() as patch:
        if request.module.__name__.rpartition(".")[2] in WITH_RECORDINGS:
            patch.setattr(recorded_steps, "N_UNRECORDED", 3)
        yield


@pytest.fixture(scope="session")
def one_onnx_registry():
    """Let all exports share PyTorch's registry, whose making takes a third of their time."""
    with pytest.MonkeyPatch.context() as patch:
        try:
            module = importlib.import_module("torch.onnx._internal.exporter._registration")
            make = functools.cache(module.ONNXRegistry.from_torchlib)
            patch.setattr(module.ONNXRegistry, "from_torchlib", staticmethod(make))
        except (ImportError, AttributeError):
            pass  # another version of PyTorch
        yield


@pytest.fixture(autouse=True)
def _fixed_torch_seed():
    """Let a test that draws from torch's global generator draw the same numbers each time."""
    torch.manual_seed(0)


@pytest.fixture
def benchmark(monkeypatch):
    """Return a function that imports a script of the benchmarks."""
    if not BENCHMARKS.exists():
        pytest.skip("a source distribution comes without the benchmarks")
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == BENCHMARKS:
            del sys.modules[name]


@pytest.fixture
def make_classifier():
    """Return a function that makes a small classifier, trained within a tenth of a second."""
    return small_classifier


@pytest.fixture
def make_learner(make_classifier):
    """Return a function that makes a classifier that learns `data` within half a second."""

    def make(**params):
        quick = {"max_epochs": 40, "discriminator_lr": 1e-2, "training__averaging_decay": 0.9}
        return make_classifier(**{**quick, **params})

    return make


@pytest.fixture
def labels():
    """Return the true classes of the 60 rows of `data`."""
    return three_classes()[2]


@pytest.fixture
def data():
    """Return 60 rows of three well separated classes; every third row has lost its label.

    Label spreading finds these classes, so neither the ensemble nor distillation does anything.
    """
    return three_classes()[:2]


@pytest.fixture
def overlapping():
    """Return such rows of classes that overlap, so that the ensemble and distillation matter."""
    return three_classes(cluster_std=10.0)[:2]


@pytest.fixture(scope="module")
def _fitted(_one_member, _spreading_once):
    torch.manual_seed(0)
    return small_classifier().fit(*three_classes()[:2])


@pytest.fixture
def fitted(_fitted):
    """Return a small fitted classifier."""
    return copy.deepcopy(_fitted)


@pytest.fixture
def rng():
    return np.random.default_rng(0)
