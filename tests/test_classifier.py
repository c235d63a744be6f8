import copy
import io
import pickle
import re
import signal
import warnings
from pathlib import Path

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GridSearchCV, cross_val_score, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, RobustScaler, StandardScaler
from sklearn.utils import check_random_state, get_tags
from skorch.callbacks import Callback, GradientNormClipping

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn._data.scaling import SCALINGS
from sgan_sklearn._runtime import loops
from sgan_sklearn._storage import checkpoints as checkpoints_module
from sgan_sklearn._training import generation as generation_module
from sgan_sklearn._training import plan as plan_module
from sgan_sklearn._training.net import SGANNet
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.model_selection import SemiSupervisedSplit
from sgan_sklearn.objectives import OBJECTIVES, FeatureMatching
from sgan_sklearn.samplers import CriticSampler

each_objective = pytest.mark.parametrize("objective", OBJECTIVES)


def model_of(classifier, X):
    """Return everything that a fitted model consists of, as arrays."""
    net = classifier.net_
    modules = (net.module_, net.generator_, net.averaged_module_, net.averaged_generator_)
    weights = [value.numpy() for module in modules for value in module.state_dict().values()]
    return [
        *(weight.copy() for weight in weights),
        classifier.predict(X),
        classifier.predict_proba(X),
        classifier.decision_function(X),
        classifier.score_samples(X),
        classifier.sample(5, random_state=0),
        classifier.transduction_,
        classifier.label_distributions_,
        classifier.classes_,
    ]


def is_same_model(model, other):
    return all(
        a.dtype == b.dtype and np.array_equal(a, b) for a, b in zip(model, other, strict=True)
    )


def numpy_state():
    """Return the state of NumPy's global generator."""
    _, keys, position, *_ = check_random_state(None).get_state()
    return [*keys, position]


# --- learning ---------------------------------------------------------------------------------


@pytest.mark.slow
def test_unlabeled_rows_help(make_classifier):
    # Three labels are too few for 100 columns, but the classes form clear clusters.
    X, y = make_blobs(400, n_features=100, centers=3, cluster_std=12, random_state=0)
    few = np.full(len(y), -1)
    for label in range(3):
        few[np.flatnonzero(y == label)[0]] = label
    accuracy = {}
    for weight in (0.0, 1.0):
        classifier = make_classifier(
            architecture=MLPArchitecture((64,), (64,)),
            unsupervised_weight=weight,
            discriminator_lr=3e-3,
            generator_lr=3e-3,
            training__averaging_decay=0.99,
            max_epochs=150,
            batch_size=50,
        )
        accuracy[weight] = classifier.fit(X, few).score(X, y)
    assert accuracy[1.0] > 0.85
    assert accuracy[1.0] > accuracy[0.0] + 0.1


def test_few_labels_on_easy_data(make_learner, data, labels):
    X, y = data
    assert make_learner().fit(X, y).score(X, labels) > 0.9


def test_real_rows_look_more_real_than_noise(make_learner, rng):
    X, y = make_blobs(200, centers=[[-5, -5], [5, 5]], cluster_std=0.3, random_state=0)
    classifier = make_learner(max_epochs=100, generator_lr=1e-2, unlabeled_value=None).fit(X, y)
    noise = rng.uniform(-10, 10, (200, 2))
    realness = classifier.score_samples(np.concatenate([X, noise]))
    assert realness.shape == (400,)
    assert roc_auc_score(np.repeat([1, 0], 200), realness) > 0.75


def test_generated_rows_approach_the_real_rows(make_classifier, rng):
    X = rng.normal(size=(200, 2)) * 0.1 + [3, 30]
    X[0] = [-7, -70]  # widens the range that rows are generated in
    y = np.arange(200) % 2
    classifier = make_classifier(
        max_epochs=60,
        scaling="standard",
        training__averaging_decay=0.9,
        generator_lr=3e-3,
        unlabeled_value=None,
    )
    rows = classifier.fit(X, y).sample(200, random_state=0)
    np.testing.assert_allclose(rows.mean(axis=0), X.mean(axis=0), rtol=0.1)


# --- class weights ----------------------------------------------------------------------------


@pytest.fixture
def unbalanced():
    """Return 200 rows of two overlapping classes, "few" and "many" in the ratio of 1 to 9."""
    X, y = make_blobs([20, 180], n_features=2, centers=[[0, 0], [2, 2]], random_state=0)
    y = np.array(["few", "many"], dtype=object)[y]
    y[1::2] = -1
    return X, y


@each_objective
def test_balanced_class_weight_finds_more_rows_of_a_rare_class(objective, make_learner, unbalanced):
    X, y = unbalanced
    n_found = []
    for class_weight in ({"many": 9.0}, None, "balanced"):
        params = {"class_weight": class_weight, "batch_size": 50, "ensemble": None}
        classifier = make_learner(objective=objective, **params).fit(X, y)
        n_found.append((classifier.predict(X) == "few").sum())
    assert n_found[0] < n_found[1] < n_found[2]


def test_balanced_class_weight_is_the_dict_of_inverse_frequencies(make_classifier, unbalanced):
    X, y = unbalanced
    frequency = {label: (y == label).mean() for label in ("few", "many")}
    inverse = {label: 1 / share for label, share in frequency.items()}
    balanced, by_dict, unweighted = (
        make_classifier(class_weight=class_weight).fit(X, y).predict_proba(X)
        for class_weight in ("balanced", inverse, None)
    )
    np.testing.assert_allclose(balanced, by_dict, rtol=1e-4)
    assert not np.allclose(balanced, unweighted, rtol=1e-2)


def test_class_weight_of_zero_ignores_the_labels(make_learner, data, labels):
    X, y = data
    classifier = make_learner(class_weight={1: 0.0}, unsupervised_weight=0.0).fit(X, y)
    assert classifier.classes_.tolist() == [0, 1, 2]
    predicted = classifier.predict(X)
    assert not (predicted == 1).any()
    np.testing.assert_array_equal(predicted[labels != 1], labels[labels != 1])


def test_class_weight_may_change_with_warm_start(make_learner, unbalanced):
    X, y = unbalanced
    classifier = make_learner(warm_start=True).fit(X, y)
    before = (classifier.predict(X) == "few").sum()
    classifier.set_params(class_weight={"few": 50.0}).fit(X, y)
    assert (classifier.predict(X) == "few").sum() > before


# --- predictions ------------------------------------------------------------------------------


def test_fit_returns_self(make_classifier, data):
    classifier = make_classifier()
    assert classifier.fit(*data) is classifier


def test_fitted_attributes(fitted, data):
    X, _ = data
    assert fitted.classes_.tolist() == [0, 1, 2]
    assert fitted.n_features_in_ == X.shape[1]
    assert fitted.n_iter_ == len(fitted.history_) == 3
    assert fitted.n_steps_ == 9
    assert [record["epoch"] for record in fitted.history_] == [1, 2, 3]
    terms = {"epoch", "dur", "discriminator_loss", "generator_loss", "supervised"}
    for record in fitted.history_:
        assert terms <= record.keys()
        assert "batches" not in record
        assert np.isfinite(list(record.values())).all()
    assert isinstance(fitted.discriminator_, torch.nn.Module)
    assert isinstance(fitted.generator_, torch.nn.Module)


def test_fit_does_not_change_parameters_and_data(make_classifier, data):
    X, y = data
    before = X.copy(), y.copy()
    for array in (X, y):
        array.flags.writeable = False
    classifier = make_classifier(objective=FeatureMatching())
    params = classifier.get_params()
    classifier.fit(X, y)
    assert classifier.get_params() == params
    np.testing.assert_array_equal(X, before[0])
    np.testing.assert_array_equal(y, before[1])


@pytest.mark.parametrize("n_classes", [1, 2, 3])
def test_probabilities(n_classes, make_classifier, data, labels):
    X, _ = data
    classifier = make_classifier(unlabeled_value=None).fit(X, labels % n_classes + 5)
    probabilities = classifier.predict_proba(X)
    assert probabilities.shape == (len(X), n_classes)
    assert (probabilities >= 0).all()
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-6)
    predicted = classifier.classes_[probabilities.argmax(axis=1)]
    np.testing.assert_array_equal(classifier.predict(X), predicted)


def test_decision_function_of_two_classes(make_classifier, data, labels):
    X, _ = data
    classifier = make_classifier(max_epochs=20, unlabeled_value=None).fit(
        X, np.where(labels == 0, "b", "a")
    )
    scores = classifier.decision_function(X)
    assert scores.shape == (len(X),)
    np.testing.assert_array_equal(classifier.predict(X), np.where(scores > 0, "b", "a"))
    np.testing.assert_allclose(expit(scores), classifier.predict_proba(X)[:, 1], rtol=1e-5)


def test_decision_function_of_three_classes(fitted, data):
    X, _ = data
    scores = fitted.decision_function(X)
    assert scores.shape == (len(X), 3)
    np.testing.assert_array_equal(fitted.predict(X), fitted.classes_[scores.argmax(axis=1)])
    np.testing.assert_allclose(softmax(scores, axis=1), fitted.predict_proba(X), rtol=1e-5)


def test_prediction_does_not_depend_on_other_rows(fitted, data, monkeypatch):
    X, _ = data
    expected = fitted.predict_proba(X)
    np.testing.assert_allclose(fitted.predict_proba(X[:1]), expected[:1], rtol=1e-5)
    monkeypatch.setattr(loops, "CHUNK", 7)
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-5)


def test_given_labels_are_kept(make_classifier, data, rng):
    X, _ = data
    y = rng.choice(np.array(["a", "b", "c", -1], dtype=object), len(X))  # nothing to learn
    classifier = make_classifier().fit(X, y)
    labeled = y != -1
    assert (classifier.predict(X)[labeled] != y[labeled]).any()
    np.testing.assert_array_equal(classifier.transduction_[labeled], y[labeled])
    np.testing.assert_array_equal(
        classifier.transduction_[~labeled], classifier.predict(X)[~labeled]
    )
    distributions = classifier.label_distributions_
    assert distributions.shape == (len(X), 3)
    np.testing.assert_allclose(distributions.sum(axis=1), 1, rtol=1e-6)
    columns = np.searchsorted(["a", "b", "c"], y[labeled].astype(str))
    np.testing.assert_array_equal(distributions[labeled], np.eye(3)[columns])
    np.testing.assert_array_equal(distributions[~labeled], classifier.predict_proba(X)[~labeled])


@pytest.mark.parametrize(
    "names",
    [
        np.array([3, 7, 9], dtype=np.int16),
        np.array([0.0, 2.0, 5.0]),
        np.array(["low", "mid", "top"]),
        np.array(["low", "mid", "top"], dtype=object),
    ],
    ids=lambda names: names.dtype.kind,
)
def test_predictions_have_the_dtype_of_y(names, make_classifier, data, labels):
    X, _ = data
    y = names[labels]
    if y.dtype.kind != "U":
        y[::3] = -1
    mark = None if y.dtype.kind == "U" else -1
    classifier = make_classifier(unlabeled_value=mark).fit(X, y)
    assert classifier.classes_.tolist() == names.tolist()
    for predicted in (classifier.classes_, classifier.predict(X), classifier.transduction_):
        assert predicted.dtype == names.dtype
        assert set(predicted) <= set(names)


def test_bool_labels(make_learner, data, labels):
    X, _ = data
    classifier = make_learner(unlabeled_value=None).fit(X, labels == 1)
    assert classifier.predict(X).dtype == bool
    assert classifier.score(X, labels == 1) > 0.9


def test_single_class(make_classifier, data):
    X, _ = data
    y = np.full(len(X), -1)
    y[:5] = 7
    classifier = make_classifier().fit(X, y)
    assert set(classifier.predict(X)) == {7}
    assert (classifier.predict_proba(X) == 1).all()


def test_all_rows_labeled_with_minus_one_as_a_class(make_learner, data, labels):
    X, _ = data
    y = np.where(labels == 1, 1, -1)
    classifier = make_learner(unlabeled_value=None).fit(X, y)
    assert classifier.classes_.tolist() == [-1, 1]
    assert classifier.score(X, y) > 0.9


def test_warning_about_class_one_points_to_the_caller(make_classifier, data, labels):
    X, _ = data
    with pytest.warns(UserWarning, match="unlabeled_value=None") as caught:
        make_classifier().fit(X, np.where(labels == 1, 1, -1))
    assert caught[0].filename == __file__


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "decision_function", "score_samples", "sample", "score"]
)
def test_unfitted_classifier_is_refused(method, make_classifier, data):
    arguments = {"sample": (), "score": data}.get(method, data[:1])
    with pytest.raises(NotFittedError, match="SGANClassifier instance is not fitted"):
        getattr(make_classifier(), method)(*arguments)


@pytest.mark.parametrize("name", ["discriminator_", "generator_"])
def test_unfitted_has_no_networks(name, make_classifier):
    assert not hasattr(make_classifier(), name)


# --- score ------------------------------------------------------------------------------------


def test_score_ignores_unlabeled_rows(fitted, data):
    X, y = data
    labeled = y != -1
    expected = (fitted.predict(X[labeled]) == y[labeled]).mean()
    assert fitted.score(X, y) == expected == fitted.score(X[labeled], y[labeled])


def test_score_ignores_unlabeled_rows_among_strings(make_learner, data, labels):
    X, _ = data
    y = np.array(["a", "b", "c"], dtype=object)[labels]
    y[::3] = -1
    classifier = make_learner().fit(X, y)
    assert classifier.score(X, y) > 0.9
    assert classifier.score(X, pd.Series(y)) == classifier.score(X, y)


def test_score_uses_sample_weight(fitted, data, rng):
    X, y = data
    weight = rng.uniform(size=len(y))
    labeled = y != -1
    y = np.where(labeled & (np.arange(len(y)) % 3 == 0), (y + 1) % 3, y)  # some of them wrong
    hits = fitted.predict(X)[labeled] == y[labeled]
    expected = np.average(hits, weights=weight[labeled])
    assert 0 < hits.mean() < 1
    assert fitted.score(X, y, sample_weight=weight) == pytest.approx(expected)
    assert fitted.score(X, y, sample_weight=list(weight)) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda X, y: (X, np.full(len(y), -1)), "y holds no class", id="no label"),
        pytest.param(lambda X, y: (X, y[:-1]), "y must hold one value", id="y too short"),
        pytest.param(lambda X, y: (X[:-1], y), "y must hold one value", id="X too short"),
        pytest.param(lambda X, y: (X, np.where(y == 0, np.nan, y)), "y contains NaN", id="NaN"),
        pytest.param(lambda X, y: (X, None), "requires y", id="None"),
        pytest.param(lambda X, y: (X, y, np.ones(len(y) + 1)), "sample_weight must", id="weights"),
        pytest.param(lambda X, y: (X[:, :2], y), "X has 2 features", id="columns"),
    ],
)
def test_bad_score(change, message, fitted, data):
    with pytest.raises(ValueError, match=message):
        fitted.score(*change(*data))


# --- sample -----------------------------------------------------------------------------------


def test_sample_returns_one_row_by_default(fitted):
    assert fitted.sample().shape == (1, 4)
    assert fitted.sample(np.int64(3)).shape == (3, 4)


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int32", "int64", "float16", "float32", "float64"]
)
def test_sample_keeps_dtype_range_and_order_of_columns(dtype, make_classifier, rng):
    X = rng.integers(0, 9, (50, 3)) + np.array([0, 20, 90])
    X = (X % 2 if dtype == "bool" else X).astype(dtype)
    X[:, 0] = X[0, 0]
    rows = (
        make_classifier(unlabeled_value=None).fit(X, np.arange(50) % 2).sample(100, random_state=0)
    )
    assert rows.dtype == X.dtype
    assert (rows >= X.min(axis=0)).all()
    assert (rows <= X.max(axis=0)).all()
    assert (rows != rows[0]).any(axis=0).tolist() == [False, True, True]


def test_sample_random_state(fitted):
    first = fitted.sample(5, random_state=0)
    np.testing.assert_array_equal(fitted.sample(5, random_state=0), first)
    assert not np.array_equal(fitted.sample(5, random_state=1), first)
    assert not np.array_equal(fitted.sample(5), fitted.sample(5))
    random_state = np.random.RandomState(0)
    np.testing.assert_array_equal(fitted.sample(5, random_state=random_state), first)
    assert not np.array_equal(fitted.sample(5, random_state=random_state), first)


def test_many_samples(fitted, monkeypatch):
    rows = fitted.sample(30, random_state=0)
    monkeypatch.setattr(loops, "CHUNK", 7)
    np.testing.assert_allclose(fitted.sample(30, random_state=0), rows, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("n_samples", [0, -1, 1.5, "3", None], ids=repr)
def test_bad_n_samples(n_samples, fitted):
    with pytest.raises(ValueError, match=r"'n_samples' .*sample must be an int"):
        fitted.sample(n_samples)


def test_bad_random_state_of_sample(fitted):
    with pytest.raises(ValueError, match="'random_state'"):
        fitted.sample(random_state="x")


def test_sample_without_generator(make_classifier, data):
    classifier = make_classifier(unsupervised_weight=0).fit(*data)
    with pytest.raises(ValueError, match=r"unsupervised_weight=0 .* Fit with unsupervised"):
        classifier.sample()


# --- randomness -------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", ["data", "overlapping"])
def test_same_seed_gives_the_same_model_to_the_bit(make_classifier, rows, request):
    X, y = request.getfixturevalue(rows)
    first = make_classifier(random_state=1).fit(X, y)
    torch.randn(10)  # must not matter
    again = make_classifier(random_state=1).fit(X, y)
    assert is_same_model(model_of(first, X), model_of(again, X))
    losses = [
        [{name: value for name, value in record.items() if name != "dur"} for record in c.history_]
        for c in (first, again)
    ]
    assert losses[0] == losses[1]


@pytest.mark.parametrize(
    ("seed", "other"),
    [(0, 1), (None, None), (np.random.RandomState(0),) * 2],
    ids=["ints", "none", "RandomState"],
)
def test_another_seed_gives_another_model(seed, other, make_classifier, data):
    X, y = data
    models = [model_of(make_classifier(random_state=state).fit(X, y), X) for state in (seed, other)]
    assert not is_same_model(*models)


@pytest.mark.parametrize("random_state", [0, None], ids=["int", "none"])
def test_effect_on_global_generators(random_state, make_classifier, data):
    X, y = data
    before = torch.get_rng_state(), numpy_state()
    classifier = make_classifier(random_state=random_state).fit(X, y)
    classifier.predict_proba(X)
    classifier.score_samples(X)
    classifier.score(X, y)
    classifier.sample(3, random_state=random_state)
    pickle.loads(pickle.dumps(classifier))
    copy.deepcopy(classifier)
    assert torch.equal(torch.get_rng_state(), before[0])
    # As in scikit-learn, None draws from NumPy's global generator.
    assert (numpy_state() == before[1]) is (random_state == 0)


def test_refit_equals_a_fresh_fit(make_classifier, data, rng):
    X, y = data
    classifier = make_classifier(unlabeled_value=None).fit(
        rng.normal(size=(33, 7)), np.arange(33) % 5
    )
    refitted = classifier.set_params(unlabeled_value=-1).fit(X, y)
    assert is_same_model(model_of(refitted, X), model_of(make_classifier().fit(X, y), X))
    assert refitted.n_steps_ == 9
    assert refitted.n_iter_ == 3


# --- training length and warm start -----------------------------------------------------------


@pytest.mark.parametrize("n_classes", [2, 10, 100])
@pytest.mark.parametrize("n_rows", [1, 99, 1_000, 1_050, 12_345, 60_000, 1_000_000])
@pytest.mark.parametrize("kind", plan_module.DEFAULTS)
def test_automatic_training_length(n_rows, n_classes, kind):
    steps_per_epoch = -(-n_rows // 50)
    of_classes = {2: 500, 10: 1_000, 100: 2_000}[n_classes]
    min_steps = {
        "table": of_classes,
        "wide table": 900,
        "images": 2_000,
        "gray images": 4_000,
        "photographs": 10_000,
    }[kind]
    min_epochs = 4 if kind in ("wide table", "gray images") else 10
    defaults = plan_module.DEFAULTS[kind]
    n_epochs = plan_module._automatic_epochs(steps_per_epoch, defaults, n_classes)
    n_steps = n_epochs * steps_per_epoch
    assert n_steps <= plan_module.MAX_STEPS or n_epochs == 1
    # As many epochs as min_epochs and min_steps require, or fewer if MAX_STEPS requires that.
    assert n_epochs <= min_epochs or n_steps - steps_per_epoch < min_steps
    if n_steps + steps_per_epoch <= plan_module.MAX_STEPS:
        assert n_epochs >= min_epochs
        assert n_steps >= min_steps


def test_documented_training_length():
    documentation = " ".join(SGANClassifier.__doc__.split())
    defaults = plan_module.DEFAULTS
    lengths = {n for d in defaults.values() for n in (d.min_steps, d.many_steps)}
    for n_steps in (*lengths, plan_module.STEPS_PER_CLASS, plan_module.MAX_STEPS):
        assert f"{n_steps:,}" in documentation
    n_epochs = defaults["table"].min_epochs, defaults["wide table"].min_epochs
    assert "{} ({} for wide".format(*n_epochs) in documentation


@pytest.mark.parametrize("schedule", ["constant", "linear"])
def test_warm_start_with_other_learning_rates(make_classifier, data, schedule):
    X, y = data
    classifier = make_classifier(warm_start=True, training__lr_schedule=schedule).fit(X, y)
    classifier.set_params(discriminator_lr=1e-12, generator_lr=1e-12).fit(X, y)
    before = [weight.detach().clone() for weight in classifier.net_.module_.parameters()]
    classifier.fit(X, y)
    for weight, old in zip(classifier.net_.module_.parameters(), before, strict=True):
        torch.testing.assert_close(weight, old, rtol=0, atol=1e-9)


def test_warm_start_continues_the_training(make_classifier, data):
    X, y = data
    classifier = make_classifier(warm_start=True).fit(X, y)
    scaler, model = classifier.scaler_, model_of(classifier, X)
    assert is_same_model(model, model_of(make_classifier().fit(X, y), X))
    classifier.set_params(max_epochs=2).fit(X, y)
    assert classifier.n_steps_ == 9 + 6
    assert classifier.n_iter_ == len(classifier.history_) == 5
    assert [record["epoch"] for record in classifier.history_] == [1, 2, 3, 4, 5]
    assert classifier.scaler_ is scaler
    assert not is_same_model(model, model_of(classifier, X))


def test_warm_start_starts_from_the_fitted_weights(make_classifier, data):
    X, y = data
    classifier = make_classifier(warm_start=True).fit(X, y)
    before = classifier.net_.module_.output.direction.detach().clone()
    classifier.set_params(discriminator_lr=1e-12).fit(X, y)
    torch.testing.assert_close(classifier.net_.module_.output.direction.detach(), before)


def test_warm_start_learns_more(make_learner, data, labels):
    X, y = data
    classifier = make_learner(warm_start=True, max_epochs=1)
    first = classifier.fit(X, y).history_[-1]["supervised"]
    classifier.set_params(max_epochs=5)
    for _ in range(8):
        classifier.fit(X, y)
    assert classifier.history_[-1]["supervised"] < first / 2
    assert classifier.score(X, labels) > 0.9


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda X, y: (X, np.where(y == 2, -1, y)), "the same classes", id="fewer"),
        pytest.param(lambda X, y: (X, np.where(y == 2, 3, y)), "the same classes", id="other"),
        pytest.param(lambda X, y: (X[:, :2], y), "X has 2 features", id="columns"),
    ],
)
def test_warm_start_refuses_other_data(change, message, make_classifier, data):
    X, y = data
    classifier = make_classifier(warm_start=True).fit(X, y)
    before = model_of(classifier, X)
    with pytest.raises(ValueError, match=message):
        classifier.fit(*change(X, y))
    assert is_same_model(model_of(classifier, X), before)
    assert classifier.n_steps_ == 9


def test_other_data_are_accepted_without_warm_start(fitted, rng):
    fitted.set_params(unlabeled_value=None).fit(rng.normal(size=(20, 2)), np.arange(20) % 5)
    assert fitted.classes_.tolist() == [0, 1, 2, 3, 4]
    assert fitted.n_features_in_ == 2


# --- callbacks and divergence -----------------------------------------------------------------


class Fail(Callback):
    def on_epoch_end(self, net, **kwargs):
        raise RuntimeError("failed in the middle")


class StopAfter(Callback):
    def __init__(self, n_epochs):
        self.n_epochs = n_epochs

    def on_epoch_end(self, net, **kwargs):
        if len(net.history) == self.n_epochs:
            raise KeyboardInterrupt


@pytest.mark.parametrize(
    "callbacks",
    [[StopAfter(2)], (StopAfter(2),), [("stop", StopAfter(2))]],
    ids=["list", "tuple", "named"],
)
def test_callbacks(callbacks, make_classifier, data):
    X, y = data
    classifier = make_classifier(callbacks=callbacks, max_epochs=9).fit(X, y)
    assert classifier.n_iter_ == 2
    assert is_same_model(
        model_of(classifier, X), model_of(make_classifier(max_epochs=2).fit(X, y), X)
    )


def interrupt(*args, **kwargs):
    """Raise KeyboardInterrupt, as Ctrl-C does."""
    signal.raise_signal(signal.SIGINT)


class InterruptStep(Callback):
    """Raise KeyboardInterrupt in a training step."""

    def __init__(self, step):
        self.step = step

    def on_grad_computed(self, net, **kwargs):
        if net.n_steps_ == self.step:
            interrupt()


@pytest.mark.parametrize("in_pipeline", [False, True])
def test_interrupted_training_keeps_the_model_so_far(in_pipeline, make_classifier, data):
    X, y = data
    classifier = make_classifier(callbacks=[InterruptStep(7)], max_epochs=9)
    model = make_pipeline(StandardScaler(), classifier) if in_pipeline else classifier
    with (
        pytest.raises(KeyboardInterrupt),
        pytest.warns(UserWarning, match="interrupted after 2 complete epochs. The estimator keeps"),
    ):
        model.fit(X, y)
    assert classifier.n_steps_ == 7
    assert classifier.n_iter_ == len(classifier.history_) == 2
    assert all(weight.requires_grad for weight in classifier.net_.module_.parameters())
    assert model.predict_proba(X).shape == (60, 3)
    assert classifier.sample(3).shape == (3, 4)
    again = pickle.loads(pickle.dumps(classifier))
    assert is_same_model(model_of(again, X), model_of(classifier, X))
    classifier.set_params(warm_start=True, callbacks=None, max_epochs=1).fit(X, y)
    assert classifier.n_iter_ == 3


def test_training_interrupted_in_first_step_keeps_the_fitted_model(make_classifier, data):
    X, y = data
    classifier = make_classifier().fit(X, y)
    before = model_of(classifier, X)
    with pytest.raises(KeyboardInterrupt):
        classifier.set_params(callbacks=[InterruptStep(0)]).fit(X, y)
    assert is_same_model(model_of(classifier, X), before)


@pytest.mark.parametrize("early_stopping", [False, True])
@pytest.mark.parametrize(
    ("event", "n_epochs"),
    [
        ("on_epoch_begin", 1),
        ("on_batch_begin", 0),
        ("on_batch_end", 0),
        ("on_epoch_end", 1),
    ],
)
def test_interrupt_at_any_moment_is_reported(
    make_classifier, data, event, n_epochs, early_stopping
):
    X, y = data

    class Interrupt(Callback):
        n_calls = 0

    def count(self, net, **kwargs):
        self.n_calls += 1
        if self.n_calls == (1 if event == "on_epoch_end" else 2):
            interrupt()

    setattr(Interrupt, event, count)
    options = {"early_stopping": early_stopping, "validation_fraction": 0.2}
    classifier = make_classifier(callbacks=[Interrupt()], **options)
    with (
        pytest.raises(KeyboardInterrupt),
        pytest.warns(UserWarning, match="interrupted after . complete epoch"),
    ):
        classifier.fit(X, y)
    assert classifier.n_iter_ == n_epochs
    assert all("dur" in record for record in classifier.history_)
    assert np.isfinite(classifier.predict_proba(X)).all()


def test_interrupt_by_a_signal_handler_is_reported(make_classifier, data):
    def handler(signum, frame):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handler)
    try:
        classifier = make_classifier(callbacks=[InterruptStep(4)])
        with pytest.raises(KeyboardInterrupt), pytest.warns(UserWarning, match="interrupted"):
            classifier.fit(*data)
    finally:
        signal.signal(signal.SIGINT, before)


def test_interrupt_while_writing_a_checkpoint_is_reported(
    make_classifier, data, tmp_path, monkeypatch
):
    monkeypatch.setattr(checkpoints_module, "write_file", interrupt)
    classifier = make_classifier(training__checkpoint_dir=tmp_path)
    with (
        pytest.raises(KeyboardInterrupt),
        pytest.warns(UserWarning, match="interrupted after 1 complete epochs"),
    ):
        classifier.fit(*data)
    assert classifier.n_iter_ == 1


def test_interrupt_ends_a_search(make_classifier, data, labels):
    classifier = make_classifier(callbacks=[InterruptStep(4)], unlabeled_value=None)
    search = GridSearchCV(classifier, {"latent_dim": [2, 3]}, cv=2)
    with (
        pytest.raises(KeyboardInterrupt),
        pytest.warns(UserWarning, match=r"interrupted after .*GridSearchCV, .* clone and is lost"),
    ):
        search.fit(data[0], labels)
    assert not hasattr(search, "cv_results_")


def test_interrupted_sampler_keeps_the_classifier(make_classifier, data):
    X, y = data

    class Interrupted(CriticSampler):
        def fit(self, *args, **kwargs):
            interrupt()

    classifier = make_classifier(sampler=Interrupted())
    with (
        pytest.raises(KeyboardInterrupt),
        pytest.warns(UserWarning, match="sampler was interrupted.* clone and is lost"),
    ):
        classifier.fit(X, y)
    assert classifier.sampler_ is None
    assert classifier.sample(3).shape == (3, 4)


def test_diverging_training(make_classifier, data):
    X, y = data
    classifier = make_classifier(discriminator_lr=1e6)
    with pytest.warns(ConvergenceWarning, match=r"Lower discriminator_lr \(now") as caught:
        classifier.fit(X, y)
    assert caught[0].filename == __file__
    assert np.isfinite(classifier.predict_proba(X)).all()
    assert np.isfinite(classifier.score_samples(X)).all()
    assert np.isfinite(classifier.sample(5)).all()


# --- invalid input ----------------------------------------------------------------------------


BAD_PARAMETERS = [
    ("architecture", "cnn"),
    ("architecture", MLPArchitecture),
    ("architecture", None),
    ("objective", "gan"),
    ("objective", FeatureMatching),
    ("latent_dim", 0),
    ("latent_dim", 1.5),
    ("scaling", "minmax"),
    ("scaling", None),
    ("scaling", 3),
    ("max_epochs", 0),
    ("max_epochs", "many"),
    ("max_epochs", 1.5),
    ("batch_size", 0),
    ("batch_size", "all"),
    ("discriminator_lr", 0),
    ("discriminator_lr", float("nan")),
    ("discriminator_lr", float("inf")),
    ("generator_lr", -1),
    ("generator_lr", None),
    ("unsupervised_weight", -0.1),
    ("unsupervised_weight", float("nan")),
    ("class_weight", "even"),
    ("class_weight", [1, 1, 1]),
    ("class_weight", {3: 1.0}),
    ("class_weight", {0: -1.0}),
    ("training__adversarial_every", 0),
    ("training__adversarial_every", 1.5),
    ("training__adversarial_every", "often"),
    ("training__averaging_decay", 1),
    ("training__averaging_decay", "long"),
    ("training__averaging_decay", -0.1),
    ("training__averaging_decay", float("nan")),
    ("training__lr_schedule", "falling"),
    ("training__lr_schedule", 0.1),
    ("training__precision", "float16"),
    ("training__record_steps", "max-autotune"),
    ("training__tol", -1e-4),
    ("training__checkpoint_dir", 3),
    ("training__checkpoint_every", 0),
    ("training__resume", "yes"),
    ("training", "cosine"),
    ("training", Training),
    ("training", {"precision": "float32"}),
    ("training", StandardScaler()),
    ("unlabeled_value", [-1]),
    ("device", 0),
    ("device", "bogus"),
    ("warm_start", "yes"),
    ("callbacks", "stop"),
    ("callbacks", [3]),
    ("random_state", "x"),
    ("random_state", -1),
    ("verbose", -1),
    ("verbose", "much"),
]
BAD_COMPONENTS = [
    ("hidden_layer_sizes", {"architecture": MLPArchitecture((0,))}),
    ("noise", {"architecture": MLPArchitecture(noise=-1)}),
    ("norm", {"objective": FeatureMatching(norm="l3")}),
    ("scaling", {"scaling": PCA(n_components=1)}),
    ("scaling", {"scaling": StandardScaler}),
]
BAD_DATA = {
    "infinity in X": (lambda X, y: (np.where(X > 0, X, np.inf), y), "Input X contains infinity"),
    "one dimension": (lambda X, y: (X[:, 0], y), "Expected 2D array"),
    "three dimensions": (lambda X, y: (X[:, :, None], y), "dim 3"),
    "no rows": (lambda X, y: (X[:0], y[:0]), "0 rows"),
    "no columns": (lambda X, y: (X[:, :0], y), r"0 feature\(s\)"),
    "text in X": (lambda X, y: (np.full(X.shape, "a", dtype=object), y), "Got the text 'a'"),
    "complex X": (lambda X, y: (X + 1j, y), "Complex data"),
    "no y": (lambda X, y: (X, None), "requires y"),
    "no labeled row": (lambda X, y: (X, np.full(len(X), -1)), "y holds no class"),
    "string -1": (lambda X, y: (X, y.astype(str)), "y holds the string '-1'.*dtype object"),
    "NaN in y": (lambda X, y: (X, np.where(y < 0, np.nan, y)), "y contains NaN"),
    "continuous y": (lambda X, y: (X, np.linspace(0, 1, len(X))), "Unknown label type"),
    "multilabel y": (lambda X, y: (X, np.eye(len(X), 2)), "must add up to 1|one label"),
    "y too short": (lambda X, y: (X, y[:-1]), "y must hold one value for each row of X"),
    "y too long": (lambda X, y: (X[:-1], y), "y must hold one value for each row of X"),
}

each_bad_parameter = pytest.mark.parametrize(
    ("name", "params"),
    [
        *(
            pytest.param(name, {name: value}, id=f"{name}={value!r}"[:40])
            for name, value in BAD_PARAMETERS
        ),
        *(pytest.param(name, params, id=f"component-{name}") for name, params in BAD_COMPONENTS),
    ],
)
each_bad_data = pytest.mark.parametrize(
    ("change", "message"), [pytest.param(*case, id=name) for name, case in BAD_DATA.items()]
)


@pytest.fixture
def no_training(monkeypatch):
    """Fail if a training starts."""

    def fit(self, *args, **kwargs):
        pytest.fail("a training was started")

    monkeypatch.setattr(SGANNet, "fit", fit)


@each_bad_parameter
def test_bad_parameter_is_named_before_training(name, params, make_classifier, data, no_training):
    option = name.removeprefix("training__")
    owner = " of Training" if option != name else ""
    with pytest.raises(ValueError, match=f"'{option}' parameter{owner}"):
        make_classifier(**params).fit(*data)


@each_bad_data
def test_bad_data_are_refused_before_training(change, message, make_classifier, data, no_training):
    classifier = make_classifier()
    with pytest.raises(ValueError, match=message):
        classifier.fit(*change(*data))
    assert not hasattr(classifier, "n_features_in_")


@each_bad_data
def test_bad_data_keep_the_fitted_model(change, message, fitted, data):
    X, y = data
    attributes, before = set(vars(fitted)), model_of(fitted, X)
    wider = np.column_stack([X, X[:, :2]])
    for rows in (X, wider):
        with pytest.raises(ValueError, match=message):
            fitted.fit(*change(rows, y))
        assert fitted.n_features_in_ == X.shape[1]
        assert set(vars(fitted)) == attributes
        assert is_same_model(model_of(fitted, X), before)


def test_bad_frame_sets_no_column_names(fitted, data):
    X, y = data
    with pytest.raises(ValueError, match="y must hold one value"):
        fitted.fit(pd.DataFrame(X, columns=list("abcd")), y[:-1])
    assert not hasattr(fitted, "feature_names_in_")


@each_bad_parameter
def test_bad_parameter_keeps_the_fitted_model(name, params, fitted, data):
    X, y = data
    before = model_of(fitted, X)
    with pytest.raises(ValueError, match=name.removeprefix("training__")):
        fitted.set_params(**params).fit(X, y)
    assert is_same_model(model_of(fitted, X), before)


@pytest.mark.parametrize("warm_start", [False, True])
def test_failed_training_keeps_the_fitted_model(warm_start, fitted, data):
    X, y = data
    before = model_of(fitted, X)
    fitted.set_params(warm_start=warm_start, callbacks=[Fail()])
    with pytest.raises(RuntimeError, match="failed in the middle"):
        fitted.fit(X, y)
    assert is_same_model(model_of(fitted, X), before)
    assert fitted.n_steps_ == 9
    fitted.set_params(callbacks=None).fit(X, y)
    assert fitted.n_steps_ == (18 if warm_start else 9)


@pytest.mark.parametrize(
    "method", ["predict", "predict_proba", "decision_function", "score_samples"]
)
@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(lambda X: X[:, :2], "X has 2 features", id="columns"),
        pytest.param(lambda X: np.abs(X) * np.inf, "Input X contains infinity", id="infinity"),
        pytest.param(lambda X: X[0], "Expected 2D array", id="one dimension"),
    ],
)
def test_bad_rows_to_predict(change, message, method, fitted, data):
    with pytest.raises(ValueError, match=message):
        getattr(fitted, method)(change(data[0]))


# --- kinds of X -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", "int8", "int64", "uint8", "bool", object]
)
def test_dtypes_of_rows(dtype, make_learner, data, labels):
    X, y = data
    X = np.signbit(X - X.mean(axis=0)) if dtype == "bool" else np.rint(X - X.min()) * 5
    classifier = make_learner().fit(X.astype(dtype), y)
    assert classifier.score(X.astype(dtype), labels) > (0.6 if dtype == "bool" else 0.9)
    np.testing.assert_allclose(
        classifier.predict_proba(X.astype(np.float64)),
        classifier.predict_proba(X.astype(dtype)),
        atol=1e-2,
    )


@pytest.mark.parametrize(
    "convert",
    [
        pytest.param(lambda X: X.tolist(), id="list"),
        pytest.param(np.asfortranarray, id="Fortran order"),
        pytest.param(lambda X: np.repeat(X, 2, axis=0)[::2], id="strides"),
        pytest.param(lambda X: X[::-1].copy()[::-1], id="negative strides"),
        pytest.param(lambda X: X.astype(X.dtype.newbyteorder()), id="byte order"),
        pytest.param(pd.DataFrame, id="pandas"),
    ],
)
def test_layouts_of_rows(convert, make_classifier, data):
    X, y = data
    classifier = make_classifier().fit(convert(X), y)
    expected = make_classifier().fit(X, y)
    np.testing.assert_allclose(
        classifier.predict_proba(convert(X)), expected.predict_proba(X), rtol=1e-4
    )


# Not "image", where all pixels share one range.
@pytest.mark.parametrize("scaling", [scaling for scaling in SCALINGS if scaling != "image"])
def test_constant_columns(scaling, make_classifier, data):
    X, y = data
    X = np.column_stack([X, np.zeros(len(X)), np.full(len(X), 7.0)])
    classifier = make_classifier(scaling=scaling).fit(X, y)
    assert np.isfinite(classifier.predict_proba(X)).all()
    np.testing.assert_array_equal(classifier.sample(9)[:, 4:], np.tile([0.0, 7.0], (9, 1)))


def test_all_columns_constant(make_classifier):
    X, y = np.ones((20, 3)), np.arange(20) % 2
    classifier = make_classifier(unlabeled_value=None).fit(X, y)
    np.testing.assert_allclose(classifier.predict_proba(X), 0.5, atol=0.2)
    np.testing.assert_array_equal(classifier.sample(4), np.ones((4, 3)))


@pytest.mark.parametrize("n_rows", [1, 2, 5])
@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_few_rows(n_rows, batch_size, make_classifier, data):
    X, y = data[0][:n_rows], np.arange(n_rows) % 2
    classifier = make_classifier(batch_size=batch_size, unlabeled_value=None).fit(X, y)
    assert set(classifier.predict(X)) <= {0, 1}
    assert classifier.sample(3).shape == (3, 4)
    assert np.isfinite(classifier.score_samples(X)).all()


@pytest.mark.parametrize("n_rows", [21, 41])
def test_last_batch_of_one_row(n_rows, make_classifier, data):
    X, y = data
    classifier = make_classifier(batch_size=20).fit(X[:n_rows], y[:n_rows])
    assert classifier.n_steps_ == 3 * (n_rows // 20 + 1)
    assert np.isfinite(classifier.predict_proba(X)).all()


def test_user_defined_scaling(make_classifier, data):
    X, y = data
    classifier = make_classifier(scaling=RobustScaler()).fit(X, y)
    assert classifier.sample(3).shape == (3, 4)
    assert not hasattr(classifier.scaling, "center_")


@pytest.mark.parametrize("frame", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_frames(frame, make_classifier, data):
    X, y = data
    names = ["width", "height", "depth", "weight"]
    table = frame(dict(zip(names, X.T, strict=True)))
    classifier = make_classifier().fit(table, y)
    assert classifier.feature_names_in_.tolist() == names
    expected = make_classifier().fit(X, y)
    np.testing.assert_array_equal(classifier.predict_proba(table), expected.predict_proba(X))
    assert classifier.score(table, y) == expected.score(X, y)
    generated_frame = classifier.sample(2)
    assert type(generated_frame) is frame
    assert list(generated_frame.columns) == names
    with pytest.raises(ValueError, match="feature names"):
        classifier.predict(table[names[::-1]])
    with pytest.warns(UserWarning, match="valid feature names"):
        classifier.predict(X)


def test_frame_with_a_custom_index(make_classifier, data):
    X, y = data
    index = np.arange(len(X))[::-1] + 1000
    table, series = pd.DataFrame(X, index=index), pd.Series(y, index=index)
    classifier = make_classifier().fit(table, series)
    assert classifier.score(table, series) == make_classifier().fit(X, y).score(X, y)


def test_frame_of_several_dtypes(make_classifier, data):
    X, y = data
    table = pd.DataFrame({"a": X[:, 0], "b": np.rint(X[:, 1]).astype(int), "c": X[:, 2] > 0})
    classifier = make_classifier().fit(table, y)
    assert classifier.sample(2).shape == (2, 3)


# --- tools of scikit-learn --------------------------------------------------------------------


def test_pipeline(make_learner, data, labels):
    X, y = data
    pipeline = make_pipeline(StandardScaler(), make_learner()).fit(X, y)
    assert pipeline.score(X, labels) > 0.9
    assert pipeline.predict_proba(X).shape == (len(X), 3)


def test_column_transformer(make_learner, data, labels):
    X, y = data
    table = pd.DataFrame({"number": X[:, 0], "city": np.array(["A", "B", "C"])[labels]})
    columns = make_column_transformer(
        (OneHotEncoder(sparse_output=False), ["city"]), remainder="passthrough"
    )
    pipeline = make_pipeline(columns, make_learner()).fit(table, y)
    assert pipeline.score(table, labels) > 0.9


def test_grid_search_sets_nested_parameters(make_classifier, data):
    X, y = data
    classifier = make_classifier(objective=FeatureMatching())
    grid = {"objective__norm": ["l1", "l2"], "architecture__noise": [0.1, 0.5]}
    search = GridSearchCV(classifier, grid, cv=2, error_score="raise").fit(X, y)
    assert search.best_params_.keys() == grid.keys()
    assert len(search.cv_results_["params"]) == 4
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert best.net_.objective.norm == search.best_params_["objective__norm"]
    assert best.discriminator_.hidden_noise.std == search.best_params_["architecture__noise"]
    assert (classifier.objective.norm, classifier.architecture.noise) == ("l2", 0.5)


def test_cross_validation_scores_the_labeled_rows(make_learner, data):
    X, y = data
    scores = cross_val_score(make_learner(), X, y, cv=3, error_score="raise")
    assert scores.min() > 0.8


def test_clone(fitted, data):
    X, y = data
    copied = clone(fitted)
    assert not hasattr(copied, "net_")
    assert repr(copied) == repr(fitted)
    assert copied.architecture is not fitted.architecture
    assert is_same_model(model_of(copied.fit(X, y), X), model_of(fitted, X))


def test_nested_parameters():
    classifier = SGANClassifier(MLPArchitecture(), FeatureMatching())
    classifier.set_params(architecture__noise=0.25, objective__norm="l1")
    assert classifier.architecture.noise == classifier.get_params()["architecture__noise"] == 0.25
    assert classifier.objective.norm == classifier.get_params()["objective__norm"] == "l1"


def test_defaults_are_plain_values():
    kinds = (str, int, float, bool, tuple, type(None))
    for component in (SGANClassifier(), MLPArchitecture(), FeatureMatching()):
        for name, value in component.get_params().items():
            assert isinstance(value, kinds), name


# --- copies -----------------------------------------------------------------------------------


def copy_by_memory_map(classifier, path):
    joblib.dump(classifier, path / "classifier.joblib")
    return joblib.load(path / "classifier.joblib", mmap_mode="r")


@pytest.mark.parametrize(
    "copied",
    [
        pytest.param(lambda c, path: copy.deepcopy(c), id="deepcopy"),
        pytest.param(lambda c, path: pickle.loads(pickle.dumps(c)), id="pickle"),
        pytest.param(lambda c, path: pickle.loads(pickle.dumps(c, 2)), id="pickle protocol 2"),
        pytest.param(copy_by_memory_map, id="read-only memory map"),
    ],
)
def test_copies(copied, make_classifier, overlapping, tmp_path):
    X, y = overlapping
    classifier = make_classifier(warm_start=True).fit(X, y)
    other = copied(classifier, tmp_path)
    assert is_same_model(model_of(other, X), model_of(classifier, X))
    assert other.history_ == classifier.history_
    # The copies continue in the same way, independently of each other.
    before = model_of(classifier, X)
    other.fit(X, y)
    assert is_same_model(model_of(classifier, X), before)
    assert is_same_model(model_of(classifier.fit(X, y), X), model_of(other, X))


def test_unfitted_classifier_is_pickled(make_classifier):
    classifier = make_classifier()
    assert repr(pickle.loads(pickle.dumps(classifier))) == repr(classifier)


@pytest.mark.xdist_group("joblib")  # one pool of processes for all of these
def test_parallel_jobs(make_classifier, data):
    X, y = data
    classifiers = [make_classifier(random_state=seed) for seed in (0, 1)]
    parallel = joblib.Parallel(n_jobs=2)
    fitted = parallel(joblib.delayed(classifier.fit)(X, y) for classifier in classifiers)
    predicted = parallel(joblib.delayed(classifier.predict_proba)(X) for classifier in fitted)
    for classifier, probabilities in zip(classifiers, predicted, strict=True):
        np.testing.assert_allclose(probabilities, classifier.fit(X, y).predict_proba(X), rtol=1e-4)


class ArrayFinder(pickle.Pickler):
    """Pickle an object and record the shapes of its arrays and tensors."""

    def __init__(self, file):
        super().__init__(file)
        self.shapes = []

    def persistent_id(self, obj):
        if isinstance(obj, np.ndarray | torch.Tensor):
            self.shapes.append(tuple(obj.shape))
        return None


@pytest.mark.parametrize("frame", [False, True], ids=["array", "frame"])
def test_fitted_classifier_does_not_store_rows(frame, make_classifier, rng):
    n_rows, n_features, n_classes = 57, 5, 3
    X, y = rng.normal(size=(n_rows, n_features)), np.arange(n_rows) % n_classes
    classifier = make_classifier(unlabeled_value=None)
    classifier.fit(pd.DataFrame(X, columns=list("abcde")) if frame else X, y)
    finder = ArrayFinder(io.BytesIO())
    finder.dump(classifier)
    n_rows_long = [shape for shape in finder.shapes if n_rows in shape]
    # labeled_mask_, label_distributions_
    assert n_rows_long == [(n_rows,), (n_rows, n_classes)]
    assert n_rows * n_features not in [np.prod(shape) for shape in finder.shapes]


def test_typical_training_gives_no_warning(make_classifier, data):
    X, y = data
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classifier = make_classifier().fit(X, y)
        classifier.predict_proba(X)
        assert classifier.sample(2).shape == (2, 4)


@pytest.mark.parametrize("unlabeled_value", [-1, "?"])
def test_score_of_numbers_in_an_object_array(unlabeled_value, make_classifier, data):
    X, y = data
    y = y.astype(object)
    y[y == -1] = unlabeled_value
    classifier = make_classifier(unlabeled_value=unlabeled_value).fit(X, y)
    labeled = y != unlabeled_value
    expected = (classifier.predict(X[labeled]) == y[labeled]).mean()
    assert classifier.score(X, y) == pytest.approx(expected)


def test_callbacks_receive_gradients(make_classifier, data):
    plain = make_classifier().fit(*data)
    clipped = make_classifier(callbacks=[GradientNormClipping(1e-9)]).fit(*data)
    assert not np.array_equal(plain.predict_proba(data[0]), clipped.predict_proba(data[0]))


@pytest.mark.parametrize(
    "params",
    [
        {"architecture": MLPArchitecture((-5,))},
        {"objective": FeatureMatching("l9")},
        {"device": "nonsense"},
    ],
    ids=["architecture", "objective", "device"],
)
def test_warm_start_checks_unused_parameters(params, make_classifier, data):
    classifier = make_classifier(warm_start=True).fit(*data)
    with pytest.raises(ValueError, match="parameter"):
        classifier.set_params(**params).fit(*data)


def test_score_samples_needs_a_generator(make_classifier, data):
    classifier = make_classifier(unsupervised_weight=0).fit(*data)
    with pytest.raises(ValueError, match="score_samples needs a trained generator"):
        classifier.score_samples(data[0])


def test_divergence_in_the_first_epoch_is_reported(make_classifier, data):
    with pytest.warns(ConvergenceWarning, match="in epoch 1 and was stopped; it is untrained"):
        classifier = make_classifier(discriminator_lr=1e6).fit(*data)
    assert classifier.n_steps_ == 0


# --- tags and representation ------------------------------------------------------------------


def test_tags(make_classifier):
    tags = get_tags(make_classifier())
    assert tags.estimator_type == "classifier"
    assert tags.target_tags.required
    assert tags.classifier_tags.multi_class
    assert tags.input_tags.two_d_array
    assert tags.input_tags.three_d_array
    assert tags.input_tags.sparse
    assert tags.input_tags.allow_nan
    assert tags.input_tags.categorical


def test_html_representation_links_to_the_documentation(fitted):
    html = fitted._repr_html_()
    (link,) = set(re.findall(r"https://github\.com/sgan-sklearn/[^\"#]*", html))
    path = link.removeprefix("https://github.com/sgan-sklearn/sgan-sklearn/blob/main/")
    assert "class SGANClassifier" in (Path(__file__).parents[1] / path).read_text(encoding="utf-8")
    in_pipeline = make_pipeline(StandardScaler(), fitted)._repr_html_()
    assert link in in_pipeline


def test_sample_weight_of_the_score_by_metadata_routing(make_learner, data):
    X, y = data
    weights = np.where(y == 0, 1.0, 0.0)
    with config_context(enable_metadata_routing=True):
        model = make_learner().set_fit_request(sample_weight=False)
        model.set_score_request(sample_weight=True)
        result = cross_validate(
            model,
            X,
            y,
            cv=SemiSupervisedSplit(2),
            params={"sample_weight": weights},
            return_estimator=True,
            return_indices=True,
            error_score="raise",
        )
    for i, fit in enumerate(result["estimator"]):
        test = result["indices"]["test"][i]
        of_class = test[y[test] == 0]
        assert result["test_score"][i] == fit.score(X[of_class], y[of_class])


# --- rows of a class --------------------------------------------------------------------------


def test_sampled_rows_of_a_class(make_learner, data):
    classifier = make_learner(max_epochs=80).fit(*data)
    for label in classifier.classes_:
        rows = classifier.sample(40, random_state=0, label=label)
        assert rows.shape == (40, 4)
        assert (classifier.predict(rows) == label).mean() > 0.8
    wanted = [2, 0, 0, 1, 2, 2]
    rows = classifier.sample(label=wanted, random_state=0)
    assert (classifier.predict(rows) == wanted).mean() > 0.8
    np.testing.assert_array_equal(rows, classifier.sample(6, random_state=0, label=wanted))


def test_sampled_rows_of_a_named_class(make_learner, data):
    X, y = data
    names = np.array(["ash", "elm", "oak"], dtype=object)
    classifier = make_learner().fit(X, np.where(y == -1, -1, names[y]))
    rows = classifier.sample(label=["oak", "ash"], random_state=0)
    assert classifier.predict(rows).tolist() == ["oak", "ash"]


class StubNet:
    """Net that generates consecutive numbers, with given classes."""

    def __init__(self, class_of):
        self.class_of = class_of
        self.objective = self
        self.n_made = 0

    def draw_latent(self, n_rows):
        return n_rows

    def generated(self, n_rows):
        start = self.n_made
        self.n_made += n_rows
        return torch.arange(start, self.n_made, dtype=torch.float32)[:, None]

    def outputs(self, rows):
        return self.class_of(rows[:, 0])

    def class_logits(self, outputs):
        return outputs


def test_rows_of_a_class_keep_the_order_of_generation():
    net = StubNet(lambda numbers: torch.eye(3)[numbers.long() % 3])
    rows = generation_module.generate_of_classes(net, np.array([2, 0, 2]))
    assert rows[:, 0].tolist() == [2, 0, 5]


def test_most_probable_rows_replace_a_class_that_is_never_generated():
    # Class 1 is never the most probable, but more probable for later rows.
    net = StubNet(lambda numbers: torch.stack([numbers * 0, numbers / 1e6 - 1], dim=1))
    rows = generation_module.generate_of_classes(net, np.array([1, 1, 0]))
    n_made = generation_module.MAX_ROUNDS * generation_module.MIN_ROWS
    assert net.n_made == n_made
    assert rows[:, 0].tolist() == [n_made - 1, n_made - 2, 0]


@pytest.mark.parametrize(
    ("n_samples", "label", "message"),
    [
        (1, 7, r"'label' parameter .* must be a class, .* classes are \[0, 1, 2\]. Got 7"),
        (1, ["a", "b"], "Got 'a'"),
        (3, [0, 1], "one class for each of the 3 rows. Got 2"),
        (1, [], r"Got \[\]"),
        (1, -1, "Got -1"),
    ],
)
def test_bad_label_to_sample(n_samples, label, message, fitted):
    with pytest.raises(ValueError, match=message):
        fitted.sample(n_samples, label=label)


def change_by_partial_fit(classifier, X, y):
    classifier.partial_fit(X, y)


def change_by_warm_start(classifier, X, y):
    classifier.set_params(warm_start=True).fit(X, y)


def change_by_restoring(classifier, X, y):
    snapshot = classifier.net_.snapshot()
    for values in snapshot["averaged_module_"].values():
        values.mul_(1.5).add_(0.1)
    classifier.net_.restore(snapshot)


def change_in_place(classifier, X, y):
    with torch.no_grad():
        for values in classifier.discriminator_.parameters():
            values.data.add_(0.1)


@pytest.mark.parametrize(
    "change",
    [change_by_partial_fit, change_by_warm_start, change_by_restoring, change_in_place],
)
def test_predictions_use_the_weights_of_now(change, make_classifier, data):
    X, y = data
    classifier = make_classifier().fit(X, y)
    before = classifier.predict_proba(X)
    np.testing.assert_array_equal(classifier.predict_proba(X), before)
    change(classifier, X, y)
    after = classifier.predict_proba(X)
    assert not np.array_equal(after, before)
    for copied in (pickle.loads(pickle.dumps(classifier)), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(copied.predict_proba(X), after)


@pytest.mark.parametrize("scaling", ["auto", "asinh", "shared"])
def test_rows_are_checked_once_and_not_by_each_transformer(
    scaling, make_classifier, data, monkeypatch
):
    X, y = data
    classifier = make_classifier(scaling=scaling).fit(X, y)
    expected = classifier.predict_proba(X[:1])
    for transformer in (StandardScaler, RobustScaler):
        monkeypatch.setattr(transformer, "transform", None)
    np.testing.assert_array_equal(classifier.predict_proba(X[:1]), expected)
