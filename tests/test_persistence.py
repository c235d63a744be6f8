"""Saving and loading of fitted estimators."""

import json
import os
import re
import struct
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import polars
import pytest
import sklearn
import torch
from data.write_models import inputs
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import InconsistentVersionWarning
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import GridSearchCV, RandomizedSearchCV
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    PowerTransformer,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.utils.fixes import parse_version
from skorch.callbacks import Callback
from torch import nn

import sgan_sklearn
from sgan_sklearn import SGANClassifier, Training, load, save
from sgan_sklearn._fitted_state import fitted_state, restore_fitted_state
from sgan_sklearn._storage.encoding import decode, encode
from sgan_sklearn._storage.files import FORMAT, OLDEST_FORMAT, read_file, write_file
from sgan_sklearn._storage.state import history_records, plain_history
from sgan_sklearn._target import ClassTarget
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture, ModuleArchitecture
from sgan_sklearn.augmentations import AffineAugmentation
from sgan_sklearn.objectives import OBJECTIVES, Complement, FeatureMatching
from sgan_sklearn.regularizers import REGULARIZERS, ClassPrior
from sgan_sklearn.samplers import CriticSampler


def without_address(value):
    return re.sub(" at 0x[0-9A-Fa-f]+", "", repr(value))


@pytest.fixture
def path(tmp_path):
    return tmp_path / "classifier.sgan"


def saved_and_loaded(classifier, path):
    save(classifier, path)
    return load(path)


def assert_same(a, b, X):
    """Assert that two fitted classifiers are equal, and continue their training equally."""
    assert without_address(clone(a)) == without_address(clone(b))
    assert set(vars(a)) == set(vars(b))
    np.testing.assert_array_equal(a.predict_proba(X), b.predict_proba(X))
    np.testing.assert_array_equal(a.predict(X), b.predict(X))
    np.testing.assert_array_equal(a.transduction_, b.transduction_)
    assert a.predict(X).dtype == b.predict(X).dtype
    assert a.history_ == b.history_
    if a.net_.trains_generator:
        made, again = (classifier.sample(7, random_state=0) for classifier in (a, b))
        assert type(made) is type(again)
        np.testing.assert_array_equal(np.asarray(made), np.asarray(again))


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"objective": "stacked", "regularizer": ["entropy", ClassPrior("uniform")]},
        {"objective": FeatureMatching(norm="l2"), "regularizer": None},
        {"unsupervised_weight": 0},
        {"training__lr_schedule": "linear"},
        {"early_stopping": True, "validation_fraction": 0.2, "training__lr_schedule": "cosine"},
        {"class_weight": {0: 2, 1: 0.5}, "random_state": np.random.RandomState(3)},
        {
            "scaling": "asinh",
            "training__averaging_decay": np.float32(0.5),
            "latent_dim": np.int64(3),
        },
        {"scaling": QuantileTransformer(n_quantiles=20)},
        {"scaling": make_pipeline(PowerTransformer(), FunctionTransformer(np.exp2, np.log2))},
        {"architecture": MLPArchitecture((np.int32(8), 8), (8,))},
        {"sampler": CriticSampler((8,), (8,), max_epochs=1, batch_size=20)},
        {"callbacks": [Callback()]},
    ],
    ids=without_address,
)
def test_loaded_classifier_equals_the_saved_one(make_classifier, overlapping, path, params):
    X, y = overlapping
    classifier = make_classifier(**params).fit(X, y)
    loaded = saved_and_loaded(classifier, path)
    assert_same(classifier.set_params(callbacks=None), loaded, X)
    for one in (classifier, loaded):
        one.set_params(warm_start=True, random_state=5).fit(X, y)
    np.testing.assert_array_equal(classifier.predict_proba(X), loaded.predict_proba(X))


@pytest.mark.parametrize("dtype", [">i4", ">u2", ">f4", ">f8", "<i4", "<f2"])
@pytest.mark.parametrize("is_constant", [True, False])
@pytest.mark.parametrize("form", [np.asarray, pd.DataFrame])
def test_rows_in_any_byte_order_are_saved(make_classifier, data, path, dtype, is_constant, form):
    X, y = data
    X = np.zeros_like(X) if is_constant else X - X.min()
    X = form(X.astype(dtype))
    classifier = make_classifier(max_epochs=1).fit(X, y)
    loaded = saved_and_loaded(classifier, path)
    np.testing.assert_array_equal(classifier.predict_proba(X), loaded.predict_proba(X))
    rows = [np.asarray(model.sample(3, random_state=0)) for model in (classifier, loaded)]
    np.testing.assert_array_equal(*rows)


@pytest.mark.parametrize("name", [*OBJECTIVES, *REGULARIZERS])
def test_every_registered_part_is_restored(make_classifier, data, path, name):
    kind = "objective" if name in OBJECTIVES else "regularizer"
    classifier = make_classifier(**{kind: {**OBJECTIVES, **REGULARIZERS}[name]()}).fit(*data)
    assert_same(classifier, saved_and_loaded(classifier, path), data[0])


@pytest.mark.parametrize(
    "classes",
    [
        np.array(["a", "bc", "déf"]),
        np.array(["a", "bc", "déf"], dtype=object),
        np.array([1.0, 2.0, 4.0]),
        np.array([3, 2**40, 2**60]),
    ],
    ids=lambda classes: str(classes.dtype),
)
def test_classes_of_any_kind_are_restored(make_classifier, data, path, classes):
    X, y = data
    labels = classes[y]
    classifier = make_classifier(unlabeled_value=None).fit(X, labels)
    loaded = saved_and_loaded(classifier, path)
    assert_same(classifier, loaded, X)
    assert loaded.classes_.dtype == classifier.classes_.dtype


def a_frame(n=60):
    rng = np.random.RandomState(0)
    frame = pd.DataFrame(
        {
            "number": rng.randn(n),
            "whole": rng.randint(0, 9, n),
            "nullable": pd.array(rng.randint(0, 5, n), dtype="Int64"),
            "text": rng.choice(["x", "y", "zz"], n),
            "kind": pd.Categorical(rng.choice(["low", "high"], n), ["low", "high"], ordered=True),
            "code": pd.Categorical(rng.choice([1, 2, 3], n)),
            "flag": rng.rand(n) < 0.5,
            "string": pd.array(rng.choice(["p", "q"], n), dtype="string"),
        }
    )
    frame.loc[::5, ["number", "nullable", "kind"]] = None
    return frame


def test_loaded_classifier_samples_pandas_frames(make_classifier, data, path):
    frame = a_frame()
    classifier = make_classifier().fit(frame, data[1])
    loaded = saved_and_loaded(classifier, path)
    np.testing.assert_array_equal(classifier.predict_proba(frame), loaded.predict_proba(frame))
    made, again = (one.sample(9, random_state=0) for one in (classifier, loaded))
    pd.testing.assert_frame_equal(made, again)
    assert list(loaded.feature_names_in_) == list(frame.columns)


def test_loaded_classifier_samples_polars_frames(make_classifier, data, path):
    frame = polars.DataFrame(
        {
            "number": np.linspace(0, 1, 60),
            "text": ["a", "b", None] * 20,
            "kind": polars.Series(["u", "v"] * 30, dtype=polars.Enum(["u", "v"])),
            "category": polars.Series(["s", "t"] * 30, dtype=polars.Categorical),
            "small": polars.Series([*range(30)] * 2, dtype=polars.Int8),
            "flag": [True, False] * 30,
        }
    )
    classifier = make_classifier().fit(frame, data[1])
    loaded = saved_and_loaded(classifier, path)
    made, again = (one.sample(9, random_state=0) for one in (classifier, loaded))
    assert made.schema == again.schema
    assert made.equals(again)


def test_column_names_may_be_of_other_types_than_strings(make_classifier, data, path):
    frame = pd.DataFrame(data[0])
    frame[1] = np.where(frame[1] > 0, "a", "b")
    classifier = make_classifier(categorical_features=[1]).fit(frame, data[1])
    made = saved_and_loaded(classifier, path).sample(3, random_state=0)
    pd.testing.assert_frame_equal(made, classifier.sample(3, random_state=0))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_classifier_of_images_is_restored(make_classifier, path, dtype):
    images = np.random.RandomState(0).randint(0, 255, (30, 8, 8)).astype(dtype)
    y = np.arange(30) % 2
    classifier = make_classifier(
        architecture=ConvArchitecture(width=4),
        max_epochs=1,
        augment=AffineAugmentation(shift=0.05),
        unlabeled_value=None,
    ).fit(images, y)
    loaded = saved_and_loaded(classifier, path)
    assert_same(classifier, loaded, images)
    assert loaded.image_shape_ == (8, 8, 1)


def test_unfitted_classifier_is_restored(path):
    classifier = SGANClassifier(latent_dim=3, image_shape=(8, 8), scaling=StandardScaler())
    loaded = saved_and_loaded(classifier, path)
    assert repr(loaded) == repr(classifier)
    assert not hasattr(loaded, "classes_")
    assert loaded.image_shape == (8, 8)


@pytest.mark.skipif(
    parse_version(sklearn.__version__) < parse_version("1.7"),
    reason="a ColumnTransformer of scikit-learn 1.6 holds a private class of lists",
)
def test_pipelines_with_column_transformers_are_restored(make_classifier, data, path):
    frame = a_frame()
    columns = ColumnTransformer(
        [
            ("numbers", StandardScaler(), ["whole"]),
            ("levels", OneHotEncoder(sparse_output=False, dtype=np.float32), ["text", "code"]),
        ],
        remainder="drop",
    )
    pipeline = Pipeline([("columns", columns), ("classifier", make_classifier())])
    pipeline.fit(frame, data[1])
    save(pipeline, path)
    loaded = load(path)
    assert type(loaded) is Pipeline
    np.testing.assert_array_equal(loaded.predict_proba(frame), pipeline.predict_proba(frame))


def test_pipelines_of_text_are_restored(make_classifier, path):
    texts = ["a red fox", "a red hen", "two blue jays", "blue jays fly"] * 5
    y = [0, 0, 1, -1] * 5
    pipeline = make_pipeline(TfidfVectorizer(), TruncatedSVD(2, random_state=0), make_classifier())
    save(pipeline.fit(texts, y), path)
    np.testing.assert_array_equal(load(path).predict_proba(texts), pipeline.predict_proba(texts))


# --- custom classes and functions -----------------------------------------------------------------


class OwnObjective(Complement):
    """Objective defined by a user."""


class Doubling(TransformerMixin, BaseEstimator):
    def fit(self, X, y=None):
        self.factor_ = 2.0
        return self

    def transform(self, X):
        return self.factor_ * X

    def inverse_transform(self, X):
        return X / self.factor_


def half(passed):
    return 0.5


def test_custom_classes_and_functions_are_passed_to_load(make_classifier, data, path):
    params = {"objective": OwnObjective(), "scaling": Doubling(), "training__lr_schedule": half}
    classifier = make_classifier(**params).fit(*data)
    save(classifier, path)
    with pytest.raises(ValueError, match=r"'OwnObjective'.*custom_objects=\[OwnObjective\]"):
        load(path, custom_objects=[Doubling, half])
    loaded = load(path, custom_objects=[OwnObjective, Doubling, half])
    assert_same(classifier, loaded, data[0])
    assert loaded.training.lr_schedule is half
    assert type(loaded.objective) is OwnObjective


class OwnArchitecture(MLPArchitecture):
    pass


def test_custom_architectures_are_restored(data, path):
    classifier = SGANClassifier(OwnArchitecture((8,), (8,)), max_epochs=1, device="cpu").fit(*data)
    save(classifier, path)
    loaded = load(path, custom_objects=[OwnArchitecture])
    assert_same(classifier, loaded, data[0])


class OwnClassifier(SGANClassifier):
    pass


def test_subclass_is_passed_to_load(data, path):
    classifier = OwnClassifier(max_epochs=1, device="cpu").fit(*data)
    save(classifier, path)
    loaded = load(path, custom_objects=[OwnClassifier])
    assert type(loaded) is OwnClassifier
    assert_same(classifier, loaded, data[0])
    with pytest.raises(ValueError, match=r"custom_objects=\[OwnClassifier\]"):
        load(path)


def test_options_of_a_single_run_are_not_saved(make_classifier, data, path, tmp_path):
    options = {"checkpoint_dir": tmp_path / "run", "checkpoint_every": 2, "resume": True}
    training = Training(averaging_decay=0.5, **options)
    classifier = make_classifier(training=training).fit(*data)
    save(classifier, path)
    assert repr(load(path).training) == "Training(averaging_decay=0.5)"
    assert classifier.training is training
    assert training.get_params().items() >= options.items()
    save(classifier.set_params(training=None), path)
    assert load(path).training is None


@pytest.mark.parametrize(
    ("estimator", "name"),
    [
        (
            SGANClassifier(
                ModuleArchitecture(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), nn.Linear(64, 4))
            ),
            "SGANClassifier.architecture.discriminator",
        ),
        (
            SGANClassifier(training=Training(lr_schedule=lambda passed: 1.0)),
            "SGANClassifier.training.lr_schedule",
        ),
        (Pipeline([("a", StandardScaler())], memory="folder"), "memory='folder'"),
        (RandomForestClassifier(2).fit([[0], [1]], [0, 1]), "RandomForestClassifier.estimators_"),
    ],
    ids=["modules", "lambda", "cache", "forest"],
)
def test_objects_that_need_pickle_are_refused(path, estimator, name):
    with pytest.raises(TypeError, match="without pickle: use skops or joblib instead") as caught:
        save(estimator, path)
    assert name in str(caught.value)
    assert not path.exists()


@pytest.mark.parametrize("search", [GridSearchCV, partial(RandomizedSearchCV, n_iter=1)])
@pytest.mark.parametrize("refit", [True, False])
def test_save_of_a_search_takes_the_best_estimator(path, data, search, refit):
    X, y = data
    grid = search(StandardScaler(), {"with_std": [True]}, scoring=no_score, cv=2, refit=refit)
    fitted = grid.fit(X, y)
    for model in (fitted, Pipeline([("search", fitted)])):
        message = r"is a fitted \w+SearchCV, which .* Save its best_estimator_"
        with pytest.raises(TypeError, match=message) as caught:
            save(model, path)
        assert ("refit=True" in str(caught.value)) is not refit
    if refit:
        save(fitted.best_estimator_, path)
        np.testing.assert_array_equal(load(path).transform(X), fitted.transform(X))


def no_score(estimator, X, y=None):
    return 0.0


def test_save_refuses_other_objects_than_estimators(path):
    with pytest.raises(TypeError, match="save requires an estimator"):
        save({"a": 1}, path)


# --- the file -------------------------------------------------------------------------------------


def test_file_has_the_format_of_safetensors_without_pickle(fitted, path):
    from safetensors import safe_open

    save(fitted, path)
    with safe_open(path, "numpy") as file:
        metadata = file.metadata()
        assert metadata["format"] == f"sgan_sklearn {FORMAT}"
        content = json.loads(metadata["content"])
        assert len(list(file.keys())) > 10
    assert content["versions"]["sgan_sklearn"] == sgan_sklearn.__version__


def test_former_file_is_kept_until_the_new_one_is_complete(fitted, data, path, monkeypatch):
    save(fitted, path)
    before = path.read_bytes()

    def fail(*args):
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="disk full"):
        save(SGANClassifier(), path)
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


def test_missing_file_or_folder_is_named(fitted, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere\.sgan"):
        load(tmp_path / "nowhere.sgan")
    with pytest.raises(FileNotFoundError, match="nowhere"):
        save(fitted, tmp_path / "nowhere" / "classifier.sgan")


def test_model_of_a_missing_device_is_loaded_on_the_cpu(fitted, data, path):
    if torch.cuda.is_available():
        pytest.skip("the device is there")
    fitted.net_.device = "cuda"
    save(fitted, path)
    fitted.net_.device = "cpu"
    loaded = load(path)
    assert loaded.net_.device == "cpu"
    np.testing.assert_array_equal(loaded.predict(data[0]), fitted.predict(data[0]))


def test_newer_format_is_refused_with_the_remedy(fitted, path):
    save(fitted, path)
    data = path.read_bytes()
    path.write_bytes(data.replace(f"sgan_sklearn {FORMAT}".encode(), b"sgan_sklearn 9"))
    with pytest.raises(ValueError, match=r"newer version .* format 9.*Update sgan_sklearn"):
        load(path)


@pytest.mark.parametrize("n_bytes", [0, 1, 7, 8, 9, 100, -1, -1000])
def test_truncated_file_is_refused(fitted, path, n_bytes):
    save(fitted, path)
    path.write_bytes(path.read_bytes()[:n_bytes])
    with pytest.raises(ValueError, match="damaged"):
        load(path)


def test_every_changed_bit_is_detected(fitted, path):
    save(fitted, path)
    data = path.read_bytes()
    rng = np.random.RandomState(0)
    header = struct.unpack("<Q", data[:8])[0]
    places = [*range(8), *rng.randint(8, header, 100), *rng.randint(header, len(data), 100)]
    for place in places:
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randint(8)
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=r"damaged|newer version"):
            load(path)


@pytest.mark.parametrize("other", [b"", b"{}", b"PK\x03\x04", b"\x80\x04K\x01."], ids=repr)
def test_other_files_are_refused(path, other):
    path.write_bytes(other * 20)
    with pytest.raises(ValueError, match=r"is not a file that sgan_sklearn saved"):
        load(path)


class Canary:
    """Class that fails the test if it is instantiated from a file."""

    def __init__(self, *args, **kwargs):
        pytest.fail("the file has run code")


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "sklearn.utils.os.system",
        "sklearn.pipeline.Pipeline.fit",
        "sklearn._loss.HalfSquaredError",
        "sklearn.datasets.fetch_openml",
        "sgan_sklearn.SubprocessClassifier",
        "custom.Canary",
        f"{__name__}.Canary",
        "sklearn..Pipeline",
        3,
    ],
)
def test_unknown_classes_are_refused(path, name):
    write_file(path, {}, {"estimator": {"object": [name, {"dict": []}]}})
    with pytest.raises(ValueError, match=r"cannot be loaded"):
        load(path)


@pytest.mark.parametrize(
    "tree",
    [
        {"ufunc": "load"},
        {"ufunc": "__dict__"},
        {"method": [{"object": ["sgan_sklearn.MLPArchitecture", {"dict": []}]}, "__reduce__"]},
        {"method": [[1], "build_x"]},
        {"function": "half"},
        {"dtype": "O,O"},
        {"dtype": "81"},
        {"dtype": "2f4"},
        {"dtype": 5},
        {"type": "no"},
        {"type": "81"},
        {"array": ["<f4", [2], "C", "no such array"]},
        {"array": ["|O", [1], "C", "0"]},
        {"array": ["<f8", [2], "C", "0"]},
        {"partial": [{"ufunc": "load"}, [], {"dict": []}]},
        {"polars": [["a", ["read_csv"]]]},
        {"nothing": 1},
        {"tuple": [1], "dict": []},
        {"object": ["sgan_sklearn.SGANNet", {"dict": []}]},
        {"object": ["sklearn.pipeline.Pipeline", {"dict": [["memory", "folder"]]}]},
        {},
        {"dict": []},
        "SGANClassifier",
        None,
    ],
    ids=without_address,
)
def test_invalid_contents_are_refused(path, tree):
    array = np.zeros(2, dtype=np.float32)
    write_file(path, {"0": array}, {"estimator": tree})
    with pytest.raises(ValueError, match="cannot be loaded"):
        load(path)


@pytest.mark.parametrize("depth", [100, 900])
def test_deeply_nested_contents_are_refused(path, depth):
    tree = []
    for _ in range(depth):
        tree = [tree]
    write_file(path, {}, {"estimator": tree})
    with pytest.raises(ValueError, match="cannot be loaded"):
        load(path)


def test_network_sizes_must_match_the_weights(fitted, path):
    # Before memory is allocated: these networks would need terabytes.
    save(fitted, path)
    arrays, content = read_file(path)
    text, sizes = json.dumps(content), '"hidden_layer_sizes": {"tuple": [16]}'
    assert sizes in text
    huge = text.replace(sizes, sizes.replace("16", "1000000, 1000000"))
    write_file(path, arrays, json.loads(huge))
    with pytest.raises(ValueError, match="weights do not match"):
        load(path)


def test_history_of_many_epochs_is_small():
    records = [
        {"epoch": i + 1, "dur": 0.1, "loss": float(i), **({"rare": i / 7} if i % 9 == 8 else {})}
        for i in range(100_000)
    ]
    arrays, tree, _ = encode(plain_history({**r, "batches": [{}]} for r in records), "history")
    assert len(json.dumps(tree)) < 2_000_000
    assert history_records(decode(arrays, tree)) == records
    assert history_records(plain_history([])) == []
    assert history_records(records[:3]) == records[:3]  # format 3


EPOCHS = np.arange(3)


@pytest.mark.parametrize(
    "history",
    [
        7,
        {"loss": (EPOCHS, np.ones(3))},
        {"epoch": EPOCHS},
        {"epoch": (EPOCHS, [1, 2])},
        {"epoch": (EPOCHS[::-1], [1, 2, 3])},
        {"epoch": (EPOCHS.astype(float), [1, 2, 3])},
        {"epoch": (EPOCHS, [1, 2, 3]), "loss": (np.array([10**12]), np.ones(1))},
        {"epoch": (EPOCHS, [1, 2, 3]), "loss": (np.array([-1]), np.ones(1))},
        {"epoch": (EPOCHS, [1, 2, 3]), "loss": (EPOCHS, np.ones((3, 2)))},
        {"epoch": (EPOCHS, [1, 2, 3]), "loss": (EPOCHS, ["a", "b", "c"])},
        {"epoch": (EPOCHS, [1, 2, 3]), 3: (EPOCHS, np.ones(3))},
        {"epoch": (np.zeros((10**15, 0), dtype=np.int64), np.zeros((10**15, 0)))},
        {"epoch": (EPOCHS, [1, 2, 3]), "loss": (EPOCHS, np.zeros((10**15, 0)))},
        [{"epoch": "first"}],
        [3],
    ],
)
def test_forged_histories_are_refused(history):
    with pytest.raises(ValueError, match="The history must have"):
        history_records(history)


# --- class proportions and labeled rows -----------------------------------------------------------


@pytest.mark.parametrize("kind", ["labels", "weights", "probabilities", "early stopping", "part"])
def test_class_proportions_are_saved(make_classifier, data, path, kind):
    X, y = data
    classifier, weights = make_classifier(ensemble=None), None
    labeled, trained = y != -1, np.ones(len(y), dtype=bool)
    if kind == "weights":
        weights = np.arange(len(y)) % 4.0
    if kind == "early stopping":
        classifier.set_params(early_stopping=True, validation_fraction=0.25)
    if kind == "probabilities":
        y = np.where(labeled[:, np.newaxis], [[0.5, 0.3, 0.2]], np.nan)
    if kind == "part":
        classifier.partial_fit(X[:20], y[:20], classes=[0, 1, 2]).partial_fit(X[20:], y[20:])
        labeled, trained = labeled[20:], trained[20:]
    else:
        classifier.fit(X, y, sample_weight=weights)
    loaded = saved_and_loaded(classifier, path)
    for fitted in (classifier, loaded):
        np.testing.assert_array_equal(fitted.labeled_mask_, labeled)
        if kind != "early stopping":
            expected = np.average(fitted.label_distributions_[trained], axis=0, weights=weights)
            np.testing.assert_allclose(fitted.class_prior_, expected, rtol=1e-5)
        assert fitted.class_prior_.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_array_equal(loaded.class_prior_, classifier.class_prior_)
    if kind == "early stopping":  # held-out rows do not count
        assert (classifier._row_weights[~labeled] == 1).all()
        assert 0 < (classifier._row_weights == 0).sum() < labeled.sum()


def test_class_proportions_of_many_rows():
    distributions = np.broadcast_to(np.array([0.3, 0.7], dtype=np.float32), (3_000_000, 2))
    np.testing.assert_allclose(ClassTarget.proportions(distributions, None), [0.3, 0.7], rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("labeled_mask", None),
        ("labeled_mask", np.zeros(60)),
        ("labeled_mask", np.zeros(59, dtype=bool)),
        ("labeled_mask", np.zeros((60, 1), dtype=bool)),
        ("labeled_mask", np.array([False] * 60, dtype=object)),
        ("row_weights", np.ones(59)),
        ("row_weights", np.ones(60, dtype=np.float32)),
        ("row_weights", np.zeros(60)),
        ("row_weights", np.full(60, np.nan)),
        ("row_weights", np.append(np.ones(59), -1)),
        ("row_weights", "none"),
    ],
)
def test_forged_values_of_rows_are_refused(make_classifier, data, name, value):
    classifier = make_classifier(ensemble=None, max_epochs=1).fit(*data)
    state = {**fitted_state(classifier), name: value}
    with pytest.raises(ValueError, match=r"each row|not weights"):
        restore_fitted_state(clone(classifier), state)


# --- files of all former formats ------------------------------------------------------------------

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("version", range(OLDEST_FORMAT, FORMAT + 1))
@pytest.mark.parametrize("name", ["array", "images", "frame"])
def test_models_of_older_versions_are_loaded(name, version):
    with warnings.catch_warnings():
        # scikit-learn warns about its own transformers.
        warnings.simplefilter("ignore", InconsistentVersionWarning)
        loaded = load(DATA / f"{name}_format{version}.sgan")
    expected = json.loads((DATA / f"predicted_format{version}.json").read_text())[name]
    X, y = inputs(name)
    np.testing.assert_allclose(loaded.predict_proba(X[:5]), expected, atol=1e-5)
    np.testing.assert_array_equal(loaded.labeled_mask_, y.astype(str) != "-1")
    means = loaded.label_distributions_.mean(axis=0)
    np.testing.assert_allclose(loaded.class_prior_, means, atol=1e-6)
    made = loaded.sample(4, random_state=0)
    assert made.shape == X[:4].shape
    if name == "frame":
        assert list(made["kind"].cat.categories) == ["u", "v", "w"]
        assert list(loaded.classes_) == ["no", "yes"]


# --- skops ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["array", "images", "frame"])
def test_skops_restores_models(make_classifier, tmp_path, name):
    io = pytest.importorskip("skops.io", reason="skops is not installed")
    X, y = inputs(name)
    mark = "-1" if name == "frame" else -1
    classifier = make_classifier(architecture="auto", max_epochs=1, unlabeled_value=mark).fit(X, y)
    io.dump(classifier, tmp_path / "classifier.skops")
    trusted = io.get_untrusted_types(file=tmp_path / "classifier.skops")
    loaded = io.load(tmp_path / "classifier.skops", trusted=trusted)
    np.testing.assert_array_equal(loaded.predict_proba(X), classifier.predict_proba(X))
