"""Settings of the surrounding program: they have no effect, and they are restored."""

import ast
import copy
import inspect
import multiprocessing
import os
import pickle
import subprocess
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
import sklearn
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch.callbacks import Callback
from torch import nn

import sgan_sklearn
from sgan_sklearn import (
    HistoryDisplay,
    SamplesDisplay,
    SGANClassifier,
    Training,
    export_onnx,
    load,
    save,
)
from sgan_sklearn._data import rows as rows_module
from sgan_sklearn._runtime import settings as settings_module
from sgan_sklearn._runtime.settings import plain_settings
from sgan_sklearn._storage.fingerprint import fingerprint
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture, ModuleArchitecture
from sgan_sklearn.metrics import labeled_scorer
from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels
from sgan_sklearn.objectives import OBJECTIVES
from sgan_sklearn.regularizers import REGULARIZERS
from sgan_sklearn.samplers import CriticSampler

matplotlib.use("Agg")
import matplotlib.pyplot as plt

# --- settings -----------------------------------------------------------------------------------


@contextmanager
def changed(setter, value, before):
    """Call the function that changes a setting, and restore the setting afterwards."""
    setter(value)
    try:
        yield
    finally:
        setter(before)


def default_dtype(dtype):
    return changed(torch.set_default_dtype, dtype, torch.get_default_dtype())


@contextmanager
def numpy_errors(response):
    before = np.seterr(all=response)
    try:
        yield
    finally:
        np.seterr(**before)


SETTINGS = {
    "pandas": lambda: sklearn.config_context(transform_output="pandas"),
    "polars": lambda: sklearn.config_context(transform_output="polars"),
    "assume_finite": lambda: sklearn.config_context(assume_finite=True),
    "metadata_routing": lambda: sklearn.config_context(enable_metadata_routing=True),
    "float64": lambda: default_dtype(torch.float64),
    "float16": lambda: default_dtype(torch.float16),
    "bfloat16": lambda: default_dtype(torch.bfloat16),
    "no_grad": torch.no_grad,
    "inference_mode": torch.inference_mode,
    "set_grad_enabled": lambda: torch.set_grad_enabled(False),
    "set_default_device": lambda: changed(torch.set_default_device, "meta", None),
    "with_device": lambda: torch.device("meta"),
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "errstate": lambda: np.errstate(all="raise"),
    "seterr": lambda: numpy_errors("raise"),
    "deterministic": lambda: changed(torch.use_deterministic_algorithms, True, False),
    "anomaly": lambda: changed(torch.autograd.set_detect_anomaly, True, False),
    "printoptions": lambda: np.printoptions(legacy="1.13", precision=2),
}

each_setting = pytest.mark.parametrize("setting", SETTINGS.values(), ids=SETTINGS)

# Settings of different kinds, none of which hides the effect of another one.
GROUPS = [
    ["pandas", "float64", "no_grad", "set_default_device", "errstate", "deterministic"],
    ["polars", "float16", "inference_mode", "with_device", "seterr", "printoptions"],
    ["assume_finite", "metadata_routing", "bfloat16", "set_grad_enabled", "autocast"],
    ["anomaly"],  # alone, since it keeps steps from being recorded
]


@contextmanager
def settings_together(names):
    with ExitStack() as stack:
        for name in names:
            stack.enter_context(SETTINGS[name]())
        yield


def cases_and_settings(*cases):
    """Parametrize a test with each setting alone for "numbers", and with each group for `cases`."""
    pairs = [("numbers", [name]) for name in SETTINGS]
    pairs += [(case, names) for case in cases for names in GROUPS]
    ids = [f"{case}-{'+'.join(names)}" for case, names in pairs]
    return pytest.mark.parametrize(("case", "names"), pairs, ids=ids)


def test_every_setting_is_in_one_group():
    assert sorted(name for names in GROUPS for name in names) == sorted(SETTINGS)


def state_of_program():
    """Return the settings that this package changes temporarily."""
    return {
        "sklearn": sklearn.get_config(),
        "numpy": np.geterr(),
        "grad": torch.is_grad_enabled(),
        "inference": torch.is_inference_mode_enabled(),
        "autocast": [torch.is_autocast_enabled(device) for device in ("cpu", "cuda")],
        "cache": torch.is_autocast_cache_enabled(),
        "device": torch.empty(0).device,
        "dtype": torch.get_default_dtype(),
    }


# --- models -------------------------------------------------------------------------------------


class Shifting(nn.Module):
    """Network that uses the default dtype and device in each call."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        return self.layer(x) + torch.linspace(0, 1, 4)


def small(architecture=None, **params):
    architecture = MLPArchitecture((8,), (8,)) if architecture is None else architecture
    quick = {"regularizer": "virtual_adversarial", "max_epochs": 2, "batch_size": 20}
    classifier = SGANClassifier(architecture, device="cpu", training=Training(), random_state=0)
    return classifier.set_params(**{**quick, **params})


@cache
def rows():
    X, y = make_blobs(45, n_features=4, random_state=0)
    y[::3] = -1
    return X, y


@cache
def table():
    X, y = rows()
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "number": X[:, 0],
            "with_missing": np.where(rng.rand(len(X)) < 0.2, np.nan, X[:, 1]),
            "text": rng.choice(["x", "y", "z"], len(X)),
            "text_with_missing": rng.choice(["p", "q", None], len(X)),
        }
    )
    return frame, y


@cache
def images():
    return np.random.RandomState(0).randint(0, 256, (45, 8, 8)).astype(np.uint8), rows()[1]


def own_modules():
    discriminator = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    return ModuleArchitecture(discriminator, nn.Sequential(nn.Linear(64, 4), Shifting()))


CASES = {
    "numbers": (small, rows),
    "table": (lambda: small(regularizer="auto"), table),
    "images": (lambda: small(ConvArchitecture(width=2), regularizer="auto"), images),
    "critic": (
        lambda: small(sampler=CriticSampler((8,), (8,), latent_dim=4, max_epochs=2, batch_size=20)),
        table,
    ),
    "early_stopping": (
        lambda: small(early_stopping=True, validation_fraction=0.3, n_iter_no_change=1),
        rows,
    ),
    "bfloat16": (lambda: small(training__precision="bfloat16"), rows),
    "own_modules": (lambda: small(own_modules()), rows),
}

each_case = pytest.mark.parametrize("case", CASES)

USES = {
    "predict": lambda model, X, y: model.predict(X),
    "predict_proba": lambda model, X, y: model.predict_proba(X),
    "decision_function": lambda model, X, y: model.decision_function(X),
    "score": lambda model, X, y: model.score(X, y),
    "score_samples": lambda model, X, y: model.score_samples(X),
    "sample": lambda model, X, y: model.sample(9, random_state=1),
    "sample(label)": lambda model, X, y: model.sample(label=[2, 0], random_state=1),
}


def bits(value):
    """Return a value that is equal only for values that are the same to the bit."""
    if isinstance(value, pd.DataFrame):
        return [(name, str(column.dtype), repr(column.tolist())) for name, column in value.items()]
    array = np.asarray(value)
    return array.dtype.str, array.shape, array.tobytes()


def learned(model):
    """Return the bits of all results of a training."""
    weights = {
        f"{name}.{key}": bits(value.numpy())
        for name in ("module_", "averaged_module_", "generator_", "averaged_generator_")
        for key, value in getattr(model.net_, name).state_dict().items()
    }
    history = [{k: v for k, v in epoch.items() if k != "dur"} for epoch in model.history_]
    return weights, history, bits(model.label_distributions_), bits(model.transduction_)


def results(model, X, y):
    """Return the bits of all outputs of a model."""
    return {name: bits(use(model, X, y)) for name, use in USES.items()}


@cache
def plain(case):
    """Return a model fitted and used with default settings."""
    make, inputs = CASES[case]
    model = make().fit(*inputs())
    return model, learned(model), results(model, *inputs())


# --- same results with every setting-------------------------------------------------------------


def test_every_public_method_is_covered():
    methods = {
        name
        for name, value in vars(SGANClassifier).items()
        if isinstance(value, classmethod) or (inspect.isfunction(value) and name[0] != "_")
    }
    used = {name.partition("(")[0] for name in USES}
    assert methods == used | {"fit", "partial_fit", "set_params"}  # which computes nothing
    functions = {n for n in sgan_sklearn.__all__ if inspect.isfunction(getattr(sgan_sklearn, n))}
    assert functions == {"save", "load", "export_onnx"}  # tested separately below


@each_setting
@each_case
def test_predictions_with_other_settings(case, setting):
    model, _, expected = plain(case)
    X, y = CASES[case][1]()
    for name, use in USES.items():
        with setting():
            found = use(model, X, y)
        assert bits(found) == expected[name], name


@cases_and_settings(*(case for case in CASES if case != "numbers"))
def test_fit_with_other_settings(case, names):
    make, inputs = CASES[case]
    model, before = make(), state_of_program()
    with settings_together(names):
        around = state_of_program()
        model.fit(*inputs())
        assert state_of_program() == around
    assert state_of_program() == before
    _, expected, expected_results = plain(case)
    assert learned(model) == expected
    assert results(model, *inputs()) == expected_results


def fitted_in_parts():
    X, y = rows()
    model = small().partial_fit(X[:30], y[:30], classes=[0, 1, 2])
    return model.partial_fit(X[30:], y[30:])


@cache
def learned_in_parts():
    return learned(fitted_in_parts())


@each_setting
def test_partial_fit_with_other_settings(setting):
    with setting():
        model = fitted_in_parts()
    assert learned(model) == learned_in_parts()


def through_file(model, path):
    save(model, path / "first")
    save(load(path / "first"), path / "second")
    return load(path / "second")


COPIES = {
    "pickle": lambda model, path: pickle.loads(pickle.dumps(model)),
    "deepcopy": lambda model, path: copy.deepcopy(model),
    "save": through_file,
}


@cache
def continued(case):
    """Return what a model learns that continues with default settings."""
    return learned(copy.deepcopy(plain(case)[0]).partial_fit(*CASES[case][1]()))


@cases_and_settings("images", "critic", "own_modules")
def test_copies_are_equal_and_continue_with_other_settings(case, names, tmp_path):
    model, _, expected = plain(case)
    X, y = CASES[case][1]()
    for name, make_copy in COPIES.items():
        if (case, name) == ("own_modules", "save"):
            continue  # a user's networks are not kept without pickle
        with settings_together(names):
            found = make_copy(model, tmp_path)
        assert results(found, X, y) == expected, name
        if case in ("numbers", "own_modules"):
            found.partial_fit(X, y)
            assert learned(found) == continued(case), name


@each_setting
def test_load_with_other_settings(setting, tmp_path):
    model, _, expected = plain("critic")
    save(model, tmp_path / "model")
    data = pickle.dumps(model)
    with setting():
        copies = load(tmp_path / "model"), pickle.loads(data)
        found = [results(each, *table()) for each in copies]
    assert found == [expected] * 2


def drawn():
    """Return what displays of a model show."""
    model, _, _ = plain("table")
    of_table = SamplesDisplay.from_estimator(
        model, table()[0], n_samples=9, features=["text"], random_state=0
    )
    shown = [of_table.generated, of_table.real, *HistoryDisplay.from_estimator(model).losses]
    plt.close("all")
    return shown


drawn_with_default_settings = cache(drawn)


@each_setting
def test_displays_with_other_settings(setting):
    expected = drawn_with_default_settings()
    with setting():
        found = drawn()
    for a, b in zip(found, expected, strict=True):
        assert bits(a) == bits(b)


@each_setting
def test_splits_and_scores_with_other_settings(setting):
    def split_and_score():
        X, y = rows()
        model, _, _ = plain("numbers")
        few = mask_labels(np.abs(y), per_class=5, random_state=0)
        score = labeled_scorer("accuracy")(model, X, y)
        return few, score, *(part for parts in SemiSupervisedSplit(3).split(X, y) for part in parts)

    with setting():
        found = split_and_score()
    assert [bits(value) for value in found] == [bits(value) for value in split_and_score()]


TRANSFORMERS = {"one": StandardScaler(), "pipeline": make_pipeline(StandardScaler(), PCA())}


@cache
def scaled_by(name):
    """Return what a model learns with a transformer, and its results."""
    X, y = rows()
    model = small(scaling=TRANSFORMERS[name], ensemble=None).fit(X, y)
    return learned(model), results(model, X, y)


@each_setting
def test_rows_scaled_in_another_thread(setting, monkeypatch):
    X, y = rows()
    expected, _ = scaled_by("pipeline")
    monkeypatch.setattr(rows_module, "MAX_BYTES_ON_CPU", 0)
    with setting():
        found = small(scaling=TRANSFORMERS["pipeline"], ensemble=None).fit(X, y)
    assert learned(found) == expected


# PyTorch itself cannot set the default device within a block with another one.
names_of_settings = st.lists(
    st.sampled_from([name for name in SETTINGS if name != "set_default_device"]),
    min_size=2,
    max_size=6,
    unique=True,
)


@given(names_of_settings, st.sampled_from(sorted(CASES)))
@settings(max_examples=15)
def test_any_settings_together(names, case):
    make, inputs = CASES[case]
    model, before = make(), state_of_program()
    with settings_together(names):
        around = state_of_program()
        model.fit(*inputs())
        found = results(pickle.loads(pickle.dumps(model)), *inputs())
        assert state_of_program() == around
    assert learned(model) == plain(case)[1]
    assert found == plain(case)[2]
    assert state_of_program() == before


def test_export_to_onnx(tmp_path):
    for package in ("onnx", "onnxscript"):
        pytest.importorskip(package, reason=f"{package} is not installed", exc_type=ImportError)
    reference = pytest.importorskip("onnx.reference", exc_type=ImportError)
    model, _, _ = plain("numbers")
    X, _ = rows()
    with ExitStack() as stack:
        for name, setting in SETTINGS.items():
            if name not in ("anomaly", "deterministic"):
                stack.enter_context(setting())
        around = state_of_program()
        export_onnx(model, tmp_path / "model.onnx")
        assert state_of_program() == around
    label, probabilities = reference.ReferenceEvaluator(str(tmp_path / "model.onnx")).run(
        None, {"X": X}
    )
    np.testing.assert_array_equal(label, model.predict(X))
    np.testing.assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)


@pytest.mark.parametrize("name", ["errstate", "seterr"])
def test_probabilities_that_underflow(name):
    X, y = rows()
    model, _, _ = plain("numbers")
    model = copy.deepcopy(model)
    for weight in model.discriminator_.parameters():
        weight.data *= 100
    expected = model.predict_proba(X)
    with SETTINGS[name]():
        with pytest.raises(FloatingPointError):
            softmax(model.decision_function(X), axis=1)
        np.testing.assert_array_equal(model.predict_proba(X), expected)
        sharp = small(discriminator_lr=0.5).fit(X, y)
    assert learned(sharp) == learned(small(discriminator_lr=0.5).fit(X, y))


# --- restoration --------------------------------------------------------------------------------


@each_setting
def test_settings_are_restored(setting, tmp_path):
    X, y = rows()
    before = state_of_program()
    with setting():
        around = state_of_program()
        # The fits above already train the ensemble with each setting.
        model = small(ensemble=None).fit(X, y).partial_fit(X, y)
        results(model, X, y)
        save(model, tmp_path / "model")
        load(tmp_path / "model")
        copy.deepcopy(model)
        assert state_of_program() == around
        for fail in (
            lambda: model.fit(X, y[1:]),
            lambda: model.predict(X[:, 1:]),
            lambda: model.sample(0),
            lambda: model.score(X, np.full(len(X), -1)),
            lambda: load(Path(__file__)),
        ):
            with pytest.raises(ValueError, match=r"."):
                fail()
            assert state_of_program() == around
    assert state_of_program() == before


def test_settings_are_restored_after_an_error_in_fit():
    class Failing(Callback):
        def on_epoch_end(self, net, **kwargs):
            raise RuntimeError("from a callback")

    with default_dtype(torch.float64), torch.inference_mode(), np.errstate(all="raise"):
        around = state_of_program()
        with pytest.raises(RuntimeError, match="from a callback"):
            small(callbacks=[Failing()]).fit(*rows())
        assert state_of_program() == around


def test_default_settings_are_recognized(monkeypatch):
    # Other tests have changed the object of this process.
    monkeypatch.setattr(settings_module, "_default_dtype", settings_module._DefaultDtype())
    assert settings_module._is_plain()
    for name, setting in SETTINGS.items():
        with setting():
            others = ("metadata_routing", "deterministic", "anomaly", "printoptions")
            assert settings_module._is_plain() == (name in others)
    assert settings_module._is_plain()


@each_setting
def test_user_code_in_a_training_runs_with_default_settings(setting):
    class Looking(Callback):
        def on_epoch_end(self, net, **kwargs):
            seen.append(state_of_program())

    seen = []
    around = state_of_program()
    with setting():
        routing = sklearn.get_config()["enable_metadata_routing"]
        small(regularizer=None, ensemble=None, callbacks=[Looking()]).fit(*rows())
    around["sklearn"]["enable_metadata_routing"] = routing  # which changes nothing here
    for state in seen:
        assert {**state, "cache": True} == around
    assert len(seen) == 2


def test_ignored_numpy_errors_stay_ignored():
    with np.errstate(all="raise", divide="ignore"), plain_settings():
        assert np.geterr() == {
            "divide": "ignore",
            "over": "warn",
            "under": "ignore",
            "invalid": "warn",
        }
    with np.errstate(all="ignore"), plain_settings():
        assert np.float64(1.0) / np.float64(0.0) == np.inf


def test_methods_keep_their_signatures_and_docstrings():
    assert list(inspect.signature(SGANClassifier.predict).parameters) == ["self", "X"]
    assert list(inspect.signature(load).parameters) == ["path", "custom_objects"]
    assert SGANClassifier.predict.__doc__.startswith("Return the most likely class")
    request = SGANClassifier().get_metadata_routing().score.requests
    assert request == {"sample_weight": None}


# --- threads and processes ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_threads_with_other_settings(dtype):
    names = ["no_grad", "inference_mode", "with_device", "autocast", "errstate", "pandas"]
    # Without a teacher, because Python can only silence its warnings for all threads.
    model = small(regularizer=["virtual_adversarial", "class_prior"])
    expected = learned(model.fit(*rows()))
    together = threading.Barrier(len(names) + 1)

    def work(name):
        with SETTINGS[name]() if name else ExitStack():
            around = state_of_program() if not name else None
            together.wait(60)
            for _ in range(2):
                found = clone(model).fit(*rows())
                model.predict(rows()[0])
                assert learned(pickle.loads(pickle.dumps(found))) == expected
            if not name and dtype is torch.float32:
                assert state_of_program() == around
        return True

    with default_dtype(dtype):
        with ThreadPoolExecutor(len(names) + 1) as pool:
            assert all(pool.map(work, [None, *names]))
        assert torch.get_default_dtype() is dtype


def test_default_dtype_is_kept_while_a_thread_needs_it():
    begun, done = threading.Event(), threading.Event()

    def train():
        with plain_settings():
            begun.set()
            assert done.wait(60)
            return torch.get_default_dtype()

    with default_dtype(torch.float64), ThreadPoolExecutor(1) as pool:
        training = pool.submit(train)
        assert begun.wait(60)
        # It is float32 temporarily.
        with plain_settings():
            assert torch.get_default_dtype() is torch.float32
        assert torch.get_default_dtype() is torch.float32
        done.set()
        assert training.result(60) is torch.float32
        assert torch.get_default_dtype() is torch.float64


def put_default_dtype(queue):
    with plain_settings():
        inside = torch.get_default_dtype()
    queue.put([str(inside), str(torch.get_default_dtype())])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("within", [False, True])
def test_default_dtype_in_a_forked_process(within):
    begun, done = threading.Event(), threading.Event()

    def train():
        with plain_settings():
            begun.set()
            done.wait(60)

    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=put_default_dtype, args=(queue,))
    with default_dtype(torch.float64):
        trainer = threading.Thread(target=train)
        trainer.start()
        try:
            assert begun.wait(60)
            with plain_settings() if within else ExitStack():
                child.start()
            after = "torch.float32" if within else "torch.float64"
            assert queue.get(timeout=60) == ["torch.float32", after]
            child.join(60)
        finally:
            child.kill()
            done.set()
            trainer.join()


# --- single settings ----------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["pandas", "polars"])
@pytest.mark.parametrize("in_file", [False, True])
@pytest.mark.parametrize("scaling", TRANSFORMERS)
def test_transformer_with_set_output(scaling, in_file, output, monkeypatch):
    X, y = rows()
    expected = scaled_by(scaling)
    if in_file:
        monkeypatch.setattr(rows_module, "MAX_BYTES_ON_CPU", 0)
    with_output = clone(TRANSFORMERS[scaling]).set_output(transform=output)
    found = small(scaling=with_output, ensemble=None).fit(X, y)
    assert (learned(found), results(found, X, y)) == expected


def test_infinite_values_are_found_with_assume_finite():
    X, y = rows()
    X = np.where(np.arange(len(X))[:, np.newaxis] == 3, np.inf, X)
    with sklearn.config_context(assume_finite=True), pytest.raises(ValueError, match="infinity"):
        small().fit(X, y)


@pytest.fixture
def deterministic():
    with SETTINGS["deterministic"]():
        yield


@pytest.mark.parametrize(
    "params",
    [
        *({"objective": name, "ensemble": None} for name in OBJECTIVES),
        {"regularizer": [*REGULARIZERS]},
    ],
    ids=str,
)
@pytest.mark.parametrize("inputs", [table, images])
def test_training_with_deterministic_algorithms(inputs, params, deterministic):
    if inputs is images:
        params = {"architecture": ConvArchitecture(width=4), "augment": "affine", **params}
    found = learned(small(**params).fit(*inputs()))
    torch.use_deterministic_algorithms(False)
    assert found == learned(small(**params).fit(*inputs()))


class Halved(nn.Module):
    """Network that enables bfloat16 itself."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(64, 4)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layer(x).float()


def test_network_with_autocast_within_autocast_of_the_program():
    discriminator = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    model = small(ModuleArchitecture(discriminator, Halved()))
    expected = learned(model.fit(*rows()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert learned(model.fit(*rows())) == expected


@pytest.mark.parametrize("enabled", [False, True])
def test_bfloat16_within_autocast_of_the_program(enabled):
    # The outermost one keeps the casts of weights, which were those of the first step.
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
        model = small(training__precision="bfloat16").fit(*rows())
    assert learned(model) == plain("bfloat16")[1]


def test_networks_made_in_inference_mode():
    with torch.inference_mode():
        architecture = own_modules()
    assert learned(small(architecture).fit(*rows())) == plain("own_modules")[1]


NUMBERS = [np.float64(0.1), np.float32(0.1), np.int64(3), np.bool_(True), np.str_("a")]


@given(st.lists(st.sampled_from([*NUMBERS, 0.1, 3, True, "a", None]), max_size=5))
@settings(max_examples=30)
def test_a_run_is_known_whatever_is_printed(values):
    expected = fingerprint(values)
    for options in ({"legacy": "1.13"}, {"legacy": "1.25"}, {"precision": 1, "suppress": True}):
        # An older NumPy does not know each legacy.
        with suppress(ValueError, UserWarning), np.printoptions(**options):
            assert fingerprint(values) == expected


def test_fingerprints_of_different_numbers_differ():
    prints = {fingerprint(value) for value in [*NUMBERS, np.float64(0.2), np.int32(4)]}
    assert len(prints) == len(NUMBERS) + 2


def test_a_run_is_resumed_with_other_print_options(tmp_path):
    def fit(n_epochs):
        model = small(
            training__checkpoint_dir=tmp_path, training__resume=True, class_weight=weights
        )
        return model.set_params(max_epochs=n_epochs).fit(X, y)

    X, y = rows()
    weights = {0: np.float64(1.0), 1: np.float64(0.1), 2: np.float32(0.1)}
    fit(1)
    with SETTINGS["printoptions"]():
        model = fit(2)
    assert model.net_.n_epochs_resumed_ == 1


@contextmanager
def pandas_option(name, value):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some are deprecated
        try:
            option = pd.option_context(name, value)
            option.__enter__()
        except pd.errors.OptionError:
            pytest.skip(f"pandas {pd.__version__} has no option {name}")
    try:
        yield
    finally:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            option.__exit__(None, None, None)


@cache
def fitted_on_objects():
    """Return a model of text as objects, its rows and labels, and its results."""
    X, y = table()
    X = X.astype({"text": object, "text_with_missing": object})
    model = small().fit(X, y)
    return model, X, y, results(model, X, y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("future.infer_string", True),
        ("future.infer_string", False),
        ("future.python_scalars", True),
        ("mode.copy_on_write", True),
        ("mode.use_inf_as_na", True),
    ],
)
def test_options_of_pandas(name, value, tmp_path):
    model, X, y, expected = fitted_on_objects()
    with pandas_option(name, value):
        assert learned(small().fit(X, y)) == learned(model)
        for make_copy in COPIES.values():
            assert results(make_copy(model, tmp_path), X, y) == expected


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_fit_with_another_string_storage_of_pandas(storage, tmp_path):
    if storage == "pyarrow":
        pytest.importorskip("pyarrow", reason="not installed", exc_type=ImportError)
    model, _, _ = plain("table")
    X, y = table()
    expected = [model.predict_proba(X), model.sample(9, random_state=0).to_numpy(object)]
    with pd.option_context("mode.string_storage", storage):
        for make_copy in COPIES.values():
            found = make_copy(model, tmp_path)
            sample = found.sample(9, random_state=0)
            assert bits(found.predict_proba(X)) == bits(expected[0])
            assert repr(sample.to_numpy(object)) == repr(expected[1])
        assert learned(clone(model).fit(X, y)) == learned(model)


@pytest.mark.parametrize("storage", ["python", "pyarrow"])
def test_saved_model_with_text_of_either_string_storage(storage, tmp_path):
    if storage == "pyarrow":
        pytest.importorskip("pyarrow", reason="not installed", exc_type=ImportError)
    X, y = table()
    X = X.astype({"text": f"string[{storage}]"})
    model = small().fit(X, y)
    for make_copy in COPIES.values():
        sample = make_copy(model, tmp_path).sample(2)
        assert sample["text"].dtype == X["text"].dtype


# --- options of Python --------------------------------------------------------------------------

# As in the other tests of this module; the default ensembles take seconds longer.
SMALL_TRAININGS = """
from sgan_sklearn._runtime import recorded_steps
from sgan_sklearn._training import ensemble
from sgan_sklearn.regularizers import _distillation
_distillation.N_TREES = ensemble.N_TREES = 5
ensemble.MIN_STEPS = ensemble.MAX_STEPS = 20
ensemble.MAX_FOLDS = ensemble.N_ROUNDS = 2
recorded_steps.N_UNRECORDED = 3
"""

HEALTHY = """
import copy, os, pickle, tempfile
import numpy as np
import pandas as pd
from sgan_sklearn import SGANClassifier, Training, load, save
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture
from sgan_sklearn.regularizers import Distillation
from sgan_sklearn.samplers import CriticSampler

rng = np.random.RandomState(0)
y = np.arange(45) % 4 - 1
numbers = 9.0 * rng.randn(45, 2) + y[:, None]
missing = np.where(rng.rand(45) < 0.2, np.nan, 1e3 * rng.randn(45) ** 5)
table = pd.DataFrame({"a": numbers[:, 0], "b": missing, "c": rng.choice(["x", "y", None], 45)})
images = rng.randint(0, 256, (45, 8, 8))
small = {"max_epochs": 2, "batch_size": 20, "device": "cpu", "random_state": 0}
mlp, sampler = MLPArchitecture((8,), (8,)), CriticSampler((8,), (8,), max_epochs=1)
half = Training(precision="bfloat16")
teacher = [Distillation(adaptive=False), "virtual_adversarial", "class_prior"]
for X, params in (
    (numbers, {"architecture": mlp, "early_stopping": True, "validation_fraction": 0.3}),
    (table, {"architecture": mlp, "sampler": sampler, "regularizer": teacher}),
    (images, {"architecture": ConvArchitecture(width=4), "training": half}),
):
    classifier = SGANClassifier(**small, **params).fit(X, y)
    with tempfile.TemporaryDirectory() as folder:
        save(classifier, os.path.join(folder, "model"))
        loaded = load(os.path.join(folder, "model"))
    for model in (classifier, loaded, copy.deepcopy(classifier)):
        if (model.predict_proba(X) != classifier.predict_proba(X)).any():
            raise SystemExit("a copy predicts something else")
        model.decision_function(X), model.score(X, y), model.score_samples(X)
        model.sample(3), model.sample(label=[0, 1])
try:
    SGANClassifier(**small).fit(numbers, y[1:])
except ValueError:
    print("done")
"""

TENSORS = """
import sklearn, torch, warnings

warnings.simplefilter("ignore")  # those of the support of tensors are not tested
torch.manual_seed(0)
X, y = torch.randn(30, 3), torch.arange(30) % 3 - 1
classifier = SGANClassifier(MLPArchitecture((4,), (4,)), max_epochs=1, device="cpu", random_state=0)
expected = classifier.fit(X.numpy(), y.numpy()).predict_proba(X.numpy())
with sklearn.config_context(array_api_dispatch=True):
    found = classifier.fit(X, y).predict_proba(X)
    score = classifier.score(X, y)
if type(found) is np.ndarray and (found == expected).all() and type(score) is float:
    print("tensors are done")
"""


def run(script, *options, **environment):
    command = [sys.executable, *options, "-c", script]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_options_of_python_and_tensors_with_array_api_support_of_scikit_learn():
    """One process serves both, whose imports take most of the time."""
    script, environment, printed = SMALL_TRAININGS + HEALTHY, {}, "done\n"
    # Older versions of scikit-learn need another package.
    if find_spec("sklearn.externals") and find_spec("sklearn.externals.array_api_compat"):
        script += TENSORS
        environment["SCIPY_ARRAY_API"] = "1"
        printed += "tensors are done\n"
    result = run(script, "-O", "-W", "error", **environment)
    assert (result.returncode, result.stdout, result.stderr) == (0, printed, "")


@pytest.mark.slow  # as Python may compile all modules anew
def test_python_without_docstrings_is_refused_with_the_remedy():
    result = run("import sgan_sklearn", PYTHONOPTIMIZE="2")
    assert result.returncode == 1
    error = result.stderr.splitlines()[-1]
    assert error.startswith("ImportError: sgan_sklearn needs skorch")
    assert error.endswith("Use -O (or PYTHONOPTIMIZE=1) instead.")


def test_nothing_depends_on_assertions():
    for path in Path(sgan_sklearn.__file__).parent.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), path
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert "__debug__" not in names, path
