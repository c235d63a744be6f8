"""Samplers: generators of rows in addition to the generator of the classifier."""

import copy
import pickle

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import torch
from scipy.stats import ks_2samp
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sgan_sklearn import SamplesDisplay, SGANClassifier
from sgan_sklearn.architectures import Heads
from sgan_sklearn.samplers import SAMPLERS, ColumnMap, CriticSampler, Sampler

NO_HEADS = Heads()
CPU = torch.device("cpu")
each_sampler = pytest.mark.parametrize("name", SAMPLERS)


def small(**params):
    quick = {
        "hidden_layer_sizes": (32,),
        "critic_hidden_layer_sizes": (32,),
        "latent_dim": 8,
        "max_epochs": 3,
        "batch_size": 50,
    }
    return CriticSampler(**{**quick, **params})


@pytest.fixture(scope="module")
def table():
    """Return 600 rows: two dependent columns, a count, a category, missing values."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 2, 600)
    x = rng.normal(size=600)
    frame = pd.DataFrame(
        {
            "x": x,
            "twice": 2 * x + 0.2 * rng.normal(size=600),
            "count": np.where(rng.random(600) < 0.7, 0, rng.integers(1, 500, 600)),
            "side": np.array(["left", "right"])[codes],
            "city": rng.choice(["Bonn", "Kyiv", "Lima"], 600, p=[0.1, 0.2, 0.7]),
            "age": np.where(rng.random(600) < 0.2, np.nan, rng.integers(0, 99, 600)),
        }
    )
    return frame, np.where(np.arange(600) % 10, -1, codes), codes


@pytest.fixture(scope="module")
def fitted(table):
    from sgan_sklearn import SGANClassifier
    from sgan_sklearn.architectures import MLPArchitecture

    sampler = CriticSampler(
        (64,), (64,), latent_dim=8, batch_size=100, max_epochs=200, learning_rate=2e-3
    )
    frame, y, _ = table
    return SGANClassifier(
        MLPArchitecture((16,), (16,)),
        sampler=sampler,
        max_epochs=10,
        discriminator_lr=1e-2,
        device="cpu",
        random_state=0,
    ).fit(frame, y)


# --- sampled rows ---------------------------------------------------------------------------------


def test_numbers_have_the_distribution_of_the_training_rows(fitted, table):
    frame, sampled = table[0], fitted.sample(2_000, random_state=0)
    for name in ("x", "twice", "count", "age"):
        assert ks_2samp(frame[name].dropna(), sampled[name].dropna()).statistic < 0.08
    assert abs((sampled["count"] == 0).mean() - (frame["count"] == 0).mean()) < 0.05
    assert (sampled["count"] % 1 == 0).all()
    assert (sampled["age"].dropna() % 1 == 0).all()


def test_levels_and_missing_values_have_the_same_frequencies(fitted, table):
    frame, sampled = table[0], fitted.sample(2_000, random_state=0)
    for name in ("side", "city"):
        shares = frame[name].value_counts(normalize=True)
        assert (sampled[name].value_counts(normalize=True) - shares).abs().max() < 0.06
    assert abs(sampled["age"].isna().mean() - frame["age"].isna().mean()) < 0.06


def test_columns_depend_on_each_other(fitted):
    sampled = fitted.sample(2_000, random_state=0)
    assert sampled["x"].corr(sampled["twice"]) > 0.9


def test_rows_of_a_class_are_of_that_class(fitted):
    wanted = np.arange(600) % 2
    sides = fitted.sample(label=wanted, random_state=0)["side"]
    assert np.mean(sides.eq("right") == wanted) > 0.85
    assert fitted.sample(200, label=1, random_state=0)["side"].eq("right").mean() > 0.85


def test_repeated_values_are_sampled_exactly(make_classifier, rng):
    X = np.column_stack(
        [
            np.where(rng.random(300) < 0.7, 0.0, rng.lognormal(size=300)),
            rng.choice([0.1, 0.2, 0.7], 300),
            rng.lognormal(3, 2, 300).round(2),
            rng.normal(size=300),
        ]
    )
    classifier = make_classifier(sampler=small(max_epochs=20), unlabeled_value=None).fit(
        X, np.arange(300) % 2
    )
    sampled = classifier.sample(1_000, random_state=0)
    assert abs((sampled[:, 0] == 0).mean() - 0.7) < 0.1
    assert set(sampled[:, 1]) <= {0.1, 0.2, 0.7}
    # Without repeated values, the rows are between the real ones, not copies.
    assert np.isin(sampled[:, 3], X[:, 3]).mean() < 0.2


def test_few_steps_are_enough_for_two_columns(rng):
    x = rng.normal(size=600)
    rows = np.column_stack([x, 2 * x + 0.1 * rng.normal(size=600)]).astype(np.float32)
    sampler = CriticSampler((64,), (64,), latent_dim=8, max_epochs=150, learning_rate=2e-3)
    made = fit_alone(sampler, rows).sample(np.zeros(1_000, dtype=int))
    assert np.corrcoef(made.T)[0, 1] > 0.9


def test_form_of_the_rows(fitted, table):
    sampled = fitted.sample(5, random_state=0)
    assert list(sampled.columns) == list(table[0].columns)
    assert list(sampled.dtypes) == list(table[0].dtypes)
    assert len(fitted.sample()) == 1


def test_array_is_sampled_after_an_array(make_classifier, data):
    X, y = data
    X = X.astype(np.float32)
    classifier = make_classifier(sampler=small()).fit(X, y)
    sampled = classifier.sample(7, random_state=0)
    assert sampled.shape == (7, X.shape[1])
    assert sampled.dtype == np.float32
    assert (sampled >= X.min(axis=0)).all()
    assert (sampled <= X.max(axis=0)).all()


def test_pair_plots_show_its_rows(fitted, table):
    pytest.importorskip("matplotlib")
    display = SamplesDisplay.from_estimator(fitted, X=table[0], random_state=0)
    assert display.figure_ is not None


# --- in the classifier ----------------------------------------------------------------------------


@each_sampler
def test_by_name(name):
    assert issubclass(SAMPLERS[name], Sampler)
    SAMPLERS[name]()._validate_params()


def test_sampler_does_not_change_the_classifier(make_classifier, data):
    X, y = data
    alone = make_classifier().fit(X, y)
    with_it = make_classifier(sampler=small()).fit(X, y)
    np.testing.assert_array_equal(alone.predict_proba(X), with_it.predict_proba(X))
    assert alone.sampler_ is None
    assert not np.array_equal(alone.sample(5, 0), with_it.sample(5, 0))


def test_same_seed_gives_the_same_rows(make_classifier, data):
    state = torch.get_rng_state()
    first, second = (make_classifier(sampler=small()).fit(*data) for _ in range(2))
    np.testing.assert_array_equal(first.sample(5, 0), second.sample(5, 0))
    assert not np.array_equal(first.sample(5, 0), first.sample(5, 1))
    assert torch.equal(torch.get_rng_state(), state)


def test_pickles_contain_no_tensors(make_classifier, data):
    classifier = make_classifier(sampler=small()).fit(*data)
    pickled = pickle.dumps(classifier)
    assert b"torch" not in pickle.dumps(classifier.sampler_.__getstate__()["generator_"])
    for other in (pickle.loads(pickled), copy.deepcopy(classifier)):
        np.testing.assert_array_equal(classifier.sample(5, 0), other.sample(5, 0))
    unfitted = pickle.loads(pickle.dumps(small(penalty=3)))
    assert repr(unfitted) == repr(small(penalty=3))


def test_given_instance_is_not_fitted(make_classifier, data):
    sampler = small()
    make_classifier(sampler=sampler).fit(*data)
    assert not hasattr(sampler, "generator_")
    assert not hasattr(clone(sampler), "generator_")


def test_sampler_without_unsupervised_losses(make_classifier, data):
    X, y = data
    classifier = make_classifier(sampler=small(), unsupervised_weight=0).fit(X, y)
    assert classifier.sample(3, random_state=0).shape == (3, X.shape[1])
    with pytest.raises(ValueError, match="score_samples needs a trained generator"):
        classifier.score_samples(X)


def test_second_fit_trains_a_new_sampler(make_classifier, data):
    X, y = data
    classifier = make_classifier(sampler=small(), warm_start=True).fit(X, y)
    first = classifier.sampler_
    classifier.fit(X, y)
    assert classifier.sampler_ is not first
    classifier.set_params(sampler="generator").fit(X, y)
    assert classifier.sampler_ is None


def test_nested_parameters_can_be_set(make_classifier):
    classifier = make_classifier(sampler=small()).set_params(sampler__latent_dim=3)
    assert classifier.sampler.latent_dim == 3


class Bootstrap(Sampler):
    """Sampler that draws training rows by their class probabilities."""

    def fit(self, rows, probabilities, heads, *, device, verbose=0):
        self.rows_, self.codes_ = torch.from_numpy(rows), probabilities.argmax(axis=1)
        return self

    def sample(self, codes):
        return torch.stack([self.rows_[np.flatnonzero(self.codes_ == code)[0]] for code in codes])


def test_custom_sampler(make_learner, data, labels):
    X, y = data
    classifier = make_learner(sampler=Bootstrap()).fit(X, y)
    sampled = classifier.sample(label=[1, 0, 1])
    assert classifier.predict(sampled).tolist() == [1, 0, 1]
    np.testing.assert_allclose(np.abs(X[:, None] - sampled).sum(axis=2).min(axis=0), 0, atol=1e-4)


class Broken(Bootstrap):
    """Sampler that always returns one row."""

    def sample(self, codes):
        return np.zeros((1, 2))


def test_sampler_that_returns_a_wrong_shape_is_refused(make_classifier, data):
    classifier = make_classifier(sampler=Broken()).fit(*data)
    with pytest.raises(ValueError, match=r"sample method of Broken .* \(1, 2\) for 3 codes"):
        classifier.sample(3)


def test_progress_is_printed(make_classifier, data, capsys):
    make_classifier(sampler=small(max_epochs=4), verbose=2).fit(*data)
    printed = capsys.readouterr().out.splitlines()
    start = next(i for i, line in enumerate(printed) if "critic" in line)
    assert [line.split()[0] for line in printed[start:]] == ["epoch", "1/4", "2/4", "3/4", "4/4"]


# --- the training ---------------------------------------------------------------------------------


def fit_alone(sampler, rows, probabilities=None, heads=NO_HEADS):
    probabilities = np.ones((len(rows), 1)) if probabilities is None else probabilities
    return clone(sampler).fit(rows, probabilities, heads, device=CPU)


def test_history(rng):
    rows = rng.normal(size=(120, 2)).astype(np.float32)
    sampler = fit_alone(small(), rows)
    assert [epoch["epoch"] for epoch in sampler.history_] == [1, 2, 3]
    assert sampler.n_steps_ == 3 * 3
    assert all(np.isfinite([e["critic_loss"], e["generator_loss"]]).all() for e in sampler.history_)


@pytest.mark.parametrize(
    ("n_rows", "batch_size", "n_epochs"), [(100, 100, 2_000), (5_000, 200, 150), (100, 1, 40)]
)
def test_automatic_length(n_rows, batch_size, n_epochs):
    sampler = CriticSampler(batch_size=batch_size)
    assert sampler._n_epochs(-(-n_rows // batch_size)) == n_epochs


def test_divergence_warns_and_keeps_finite_rows(make_classifier, data):
    X, y = data
    with pytest.warns(ConvergenceWarning, match="Lower the learning_rate of CriticSampler"):
        classifier = make_classifier(sampler=small(learning_rate=1e30)).fit(X, y)
    assert np.isfinite(classifier.sample(20, random_state=0)).all()


@pytest.mark.parametrize("n_rows", [1, 2, 3])
def test_few_rows(n_rows):
    rows = np.arange(2.0 * n_rows, dtype=np.float32).reshape(n_rows, 2)
    made = fit_alone(small(), rows).sample(np.zeros(9, dtype=int))
    assert ((made.numpy() >= rows.min(axis=0)) & (made.numpy() <= rows.max(axis=0))).all()
    if n_rows == 1:
        np.testing.assert_array_equal(made.numpy(), np.repeat(rows, 9, axis=0))
    assert made.min() >= rows.min()
    assert made.max() <= rows.max()


def test_table_of_categories_only(rng):
    codes = rng.choice(3, 300, p=[0.6, 0.3, 0.1])
    rows = np.eye(3, dtype=np.float32)[codes]
    made = fit_alone(small(max_epochs=20), rows, heads=Heads((slice(0, 3),)))
    made = made.sample(np.zeros(2_000, dtype=int))
    assert set(made.unique().tolist()) == {0, 1}
    np.testing.assert_allclose(made.mean(dim=0), rows.mean(axis=0), atol=0.05)


def test_constant_columns_stay_constant(rng):
    rows = np.column_stack([rng.normal(size=100), np.full(100, 7.0)]).astype(np.float32)
    assert (fit_alone(small(), rows).sample(np.zeros(30, dtype=int))[:, 1] == 7).all()


# --- invalid input --------------------------------------------------------------------------------


def test_images_are_refused(make_classifier, rng):
    images = rng.random((20, 8, 8))
    classifier = make_classifier(
        architecture="mlp", image_shape=(8, 8), sampler="critic", unlabeled_value=None
    )
    with pytest.raises(ValueError, match=r"'sampler' parameter .* must be 'generator' for images"):
        classifier.fit(images.reshape(20, 64), np.arange(20) % 2)


def test_partial_fit_is_refused(make_classifier, data):
    X, y = data
    with pytest.raises(ValueError, match="partial_fit does not support sampler='critic'"):
        make_classifier(sampler="critic").partial_fit(X, y, classes=[0, 1])


@pytest.mark.parametrize("value", ["criticc", None, 3, CriticSampler])
def test_invalid_sampler_is_refused(value, make_classifier, data):
    with pytest.raises(ValueError, match="'sampler' parameter of SGANClassifier"):
        make_classifier(sampler=value).fit(*data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("latent_dim", 0),
        ("penalty", -1.0),
        ("max_epochs", "all"),
        ("batch_size", 2.5),
        ("batch_size", 1),
        ("learning_rate", 0.0),
        ("hidden_layer_sizes", 64),
        ("hidden_layer_sizes", (64, 0)),
    ],
)
def test_invalid_parameters_are_refused(name, value, make_classifier, data):
    with pytest.raises(ValueError, match=f"{name!r} parameter of CriticSampler"):
        make_classifier(sampler=small(**{name: value})).fit(*data)


# --- other parameters and methods of the classifier -----------------------------------------------


@pytest.mark.parametrize(
    "params",
    [
        {"early_stopping": True, "validation_fraction": 0.3},
        {"random_state": np.random.RandomState(0)},
        {"unlabeled_value": None},
        {"class_weight": "balanced"},
        {"scaling": "asinh"},
    ],
    ids=lambda params: next(iter(params)),
)
def test_with_other_parameters(params, make_classifier, data):
    X, y = data
    sampled = make_classifier(sampler=small(), **params).fit(X, y).sample(4)
    assert sampled.shape == (4, X.shape[1])


def test_polars_string_labels_and_empty_columns(make_classifier, table):
    frame, y, _ = table
    X = pl.DataFrame({"x": frame["x"].tolist(), "none": pl.Series([None] * 600, dtype=pl.Float64)})
    labels = np.array(["no", "yes", "-1"], dtype=object)[y]
    classifier = make_classifier(sampler=small(), unlabeled_value="-1").fit(X, labels)
    sampled = classifier.sample(label=["yes", "no", "no"])
    assert sampled.schema == X.schema
    assert sampled["none"].is_null().all()


def test_pipelines_grids_and_memory_maps(make_classifier, data, labels, tmp_path):
    X, _ = data
    classifier = make_classifier(sampler=small(), unlabeled_value=None)
    pipeline = make_pipeline(StandardScaler(), classifier)
    grid = {"sganclassifier__sampler__latent_dim": [2, 4]}
    search = GridSearchCV(pipeline, grid, cv=2).fit(X, labels)
    classifier = search.best_estimator_[-1]
    joblib.dump(classifier, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    np.testing.assert_array_equal(classifier.sample(3, 0), mapped.sample(3, 0))


def test_fit_with_a_sampler_after_partial_fit(make_classifier, data, labels):
    X, y = data
    classifier = make_classifier(warm_start=True).partial_fit(X, y, classes=np.unique(labels))
    classifier.set_params(sampler=small()).fit(X, y)
    assert classifier.sampler_ is not None
    with pytest.raises(ValueError, match="which drops a fitted sampler"):
        classifier.partial_fit(X, y)
    assert classifier.sampler_ is not None


# --- columns of the generator ---------------------------------------------------------------------


def test_column_map_gives_columns_the_distribution_of_the_training_rows(rng):
    real = np.column_stack([rng.gamma(1.0, size=4_000), rng.integers(3, size=4_000)])
    made = np.column_stack([rng.normal(size=(4_000)), rng.normal(size=(4_000))])
    bring = ColumnMap(real.astype(np.float32), made.astype(np.float32), Heads())
    fresh = torch.randn(5_000, 2)
    rows = bring(fresh).numpy()
    assert ks_2samp(rows[:, 0], real[:, 0]).statistic < 0.04
    assert set(rows[:, 1]) == {0, 1, 2}
    np.testing.assert_allclose(np.bincount(rows[:, 1].astype(int)) / 5_000, 1 / 3, atol=0.04)
    order = fresh[:, 0].argsort()
    assert (np.diff(rows[order, 0]) >= 0).all()  # the order is kept


def test_column_map_keeps_levels_and_missing_values():
    # A number, and the indicators of a value and of a missing value.
    heads = Heads((slice(1, 3),), ((0, 2, 9.0),))
    real = np.array([[1.0, 1, 0], [2, 1, 0], [3, 1, 0], [9, 0, 1]], dtype=np.float32)
    made = np.array([[10.0, 1, 0], [20, 1, 0], [30, 1, 0], [99, 0, 1]], dtype=np.float32)
    rows = ColumnMap(real, made, heads)(torch.from_numpy(made)).numpy()
    np.testing.assert_array_equal(rows[:, 1:], made[:, 1:])
    assert rows[:3, 0].max() <= 3
    assert rows[3, 0] == made[3, 0]  # the value that replaces a missing one


@pytest.mark.parametrize("share", [0.3, 0.55, 0.7, 1.0])
def test_column_map_spreads_repeated_values(share):
    real = np.r_[np.zeros(500), np.ones(500)].astype(np.float32)[:, None]
    made = (np.arange(1_000) >= 1_000 * share).astype(np.float32)[:, None]
    torch.manual_seed(0)
    rows = ColumnMap(real, made, Heads())(torch.from_numpy(made))
    assert set(rows.flatten().tolist()) == {0.0, 1.0}
    assert abs(rows.mean() - 0.5) < 0.06


def test_column_map_of_wide_rows_is_small(rng):
    real = rng.normal(size=(2_000, 4_000)).astype(np.float32)
    column_map = ColumnMap(real, real, Heads())
    assert sum(len(values) for values in column_map.values) <= 2**19


def test_generated_columns_have_the_distribution_of_the_training_rows(rng):
    X = np.column_stack(
        [rng.gamma(0.5, size=600), rng.integers(4, size=600), rng.normal(size=(600))]
    )
    y = (X[:, 2] > 0).astype(int)
    clf = SGANClassifier(max_epochs=3, device="cpu", random_state=0, unlabeled_value=None).fit(X, y)
    rows = clf.sample(2_000, random_state=0)
    for i in range(3):
        assert ks_2samp(rows[:, i], X[:, i]).statistic < 0.08
    assert set(rows[:, 1]) == {0, 1, 2, 3}
    assert clf.sample(50, label=1, random_state=0).shape == (50, 3)


def test_partial_fit_has_no_column_map(rng):
    X, y = rng.normal(size=(60, 3)), np.arange(60) % 2
    clf = SGANClassifier(max_epochs=1, device="cpu", random_state=0, unlabeled_value=None).fit(X, y)
    assert clf._column_map is not None
    assert clf.set_params(sampler=small()).fit(X, y)._column_map is None  # the sampler has its own
    clf.set_params(sampler="generator").fit(X, y)
    assert clf.partial_fit(X, y, classes=[0, 1])._column_map is None
    for params in ({"objective": "supervised"}, {"unsupervised_weight": 0}):
        assert clf.set_params(**params).fit(X, y)._column_map is None
