"""Weights of rows in fit and partial_fit."""

import numpy as np
import pytest
import torch
from scipy import sparse
from sklearn import config_context
from sklearn.datasets import make_blobs
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn._data.batches import SemiSupervisedBatches, SemiSupervisedDataset
from sgan_sklearn._runtime.random import seeded
from sgan_sklearn._training.ensemble import Ensemble
from sgan_sklearn._training.inputs import check_inputs
from sgan_sklearn.architectures import ConvArchitecture, MLPArchitecture
from sgan_sklearn.calibration import adjust_to_prior
from sgan_sklearn.model_selection import SemiSupervisedSplit
from sgan_sklearn.samplers import Sampler


def small(**params):
    defaults = {
        "architecture": MLPArchitecture((16,), (16,)),
        "max_epochs": 3,
        "ensemble": None,
        "device": "cpu",
        "random_state": 0,
    }
    return SGANClassifier(**{**defaults, **params})


class Constant(Sampler):
    """Sampler whose rows tell their class."""

    def fit(self, rows, probabilities, heads, *, device, verbose=0):
        self.means_ = torch.from_numpy(rows[:2])
        return self

    def sample(self, codes):
        self.codes_ = codes
        return self.means_[codes]

    def codes_of(self, rows):
        assert len(rows) == len(self.codes_)
        return self.codes_


@pytest.fixture(scope="module")
def rows():
    X, y = make_blobs(200, centers=[[0, 0], [3, 0]], random_state=0)
    return X, np.where(np.arange(200) < 40, y, -1)


def probabilities(X, y, weights=None, **params):
    return small(**params).fit(X, y, sample_weight=weights).predict_proba(X)


# --- how rows are drawn ---------------------------------------------------------------------------


def drawn(frequencies, n_epochs=20, batch_size=10):
    """Return how often each row is drawn without its label in an epoch, in both streams."""
    n = len(frequencies)
    codes = torch.arange(n) % 4 - 2
    dataset = SemiSupervisedDataset(
        torch.arange(n).float()[:, None], codes, frequencies=torch.tensor(frequencies)
    )
    counts = np.zeros((2, n))
    with seeded(0, torch.device("cpu")):
        batches = SemiSupervisedBatches(dataset, batch_size)
        for _ in range(n_epochs):
            for batch in batches:
                for i, part in enumerate((batch.unlabeled, batch.real)):
                    np.add.at(counts[i], part.squeeze(1).long().numpy(), 1)
    return counts / n_epochs


def test_rows_are_drawn_as_often_as_their_weights():
    frequencies = np.tile([1e-9, 1.0, 2.0, 5.0], 10)
    counts = drawn(frequencies)
    assert (counts[:, frequencies < 1] == 0).all()
    np.testing.assert_allclose(counts, np.broadcast_to(frequencies / 2, counts.shape), atol=0.2)


def test_each_pass_has_the_rounded_number_of_each_row():
    counts = drawn(np.tile([0.5, 1.5], 20), n_epochs=1)
    assert set(np.unique(counts[:, ::2])) <= {0, 1}
    assert set(np.unique(counts[:, 1::2])) <= {1, 2}


def test_equal_frequencies_draw_each_row_once():
    np.testing.assert_array_equal(drawn(np.full(40, 0.3), n_epochs=1), 1)


# --- fit and partial_fit --------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [1, 2.5, np.ones(200), [3] * 200])
def test_equal_weights_change_nothing(rows, weights):
    X, y = rows
    np.testing.assert_array_equal(probabilities(X, y, weights), probabilities(X, y))


def test_only_ratios_matter(rows):
    X, y = rows
    weights = np.random.RandomState(0).uniform(0.5, 2, 200)
    expected = probabilities(X, y, weights)
    np.testing.assert_allclose(probabilities(X, y, 4 * weights), expected, atol=1e-4)
    assert abs(expected - probabilities(X, y)).max() > 1e-3


@pytest.mark.parametrize("params", [{}, {"ensemble": "auto"}, {"class_weight": "balanced"}])
@pytest.mark.parametrize("weights", [[0, 1], [0, 2.5], [0, 1, 2, 3]])
def test_weight_zero_is_like_no_row(rows, params, weights):
    X, y = rows
    w = np.random.RandomState(0).choice(weights, 200)
    classifier = small(**params).fit(X, y, w)
    expected = small(**params).fit(X[w > 0], y[w > 0], w[w > 0])
    np.testing.assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))
    np.testing.assert_array_equal(
        classifier.sample(5, random_state=0), expected.sample(5, random_state=0)
    )
    assert classifier.transduction_.shape == (200,)
    np.testing.assert_array_equal(classifier.transduction_[y >= 0], y[y >= 0])


def test_weight_zero_with_early_stopping(rows):
    X, y = rows
    weights = np.where((y >= 0) & (np.arange(200) % 2 == 0), 0, 1)
    classifier = small(early_stopping=True, validation_fraction=0.5)
    given = check_inputs(classifier, X, y, sample_weight=weights, continued=False, in_parts=False)
    assert (weights[given.held_out_mask] == 1).all()
    assert given.held_out_mask.sum() == 10
    assert given.trained.sum() == weights.sum() - 10
    classifier.fit(X, y, weights)
    assert len(classifier.validation_scores_) == classifier.n_iter_


def test_ensemble_trusts_labels_of_small_weights_less():
    codes, weights = torch.tensor([-1, 0, 1, 1]), torch.tensor([9.0, 0.5, 1.0, 1.5])
    dataset = SemiSupervisedDataset(torch.zeros(4, 2), codes, frequencies=weights)
    ensemble = Ensemble((), dataset, 2, 0)
    ensemble._mean = np.full((4, 2), 0.5)
    targets = ensemble._targets(torch.full((4, 2), 0.5))
    # The labeled rows come first.
    np.testing.assert_allclose(targets, [[0.75, 0.25], [0, 1], [0, 1], [0.5, 0.5]])


def test_defaults_without_shares(rows):
    X, y = rows
    weights = np.random.RandomState(0).uniform(0.5, 2, 200)
    names = [term.name for term in small().fit(X, y, weights).plan_.regularizers]
    assert names == ["virtual_adversarial"]


def test_weights_shift_the_generated_rows(rows):
    X, y = rows
    weights = np.where(X[:, 0] > 1.5, 5.0, 0.2)
    means = [
        small(max_epochs=60, regularizer=None)
        .fit(X, y, sample_weight=w)
        .sample(300, random_state=0)[:, 0]
        .mean()
        for w in (None, weights)
    ]
    assert means[1] > means[0] + 0.5


@pytest.mark.parametrize("in_parts", [False, True])
def test_weights_multiply_class_weights(rows, in_parts):
    X, y = rows
    weights = np.random.RandomState(0).uniform(0, 2, 200)
    estimator, options = small(class_weight={1: 3}), {"classes": [0, 1]} if in_parts else {}
    given = check_inputs(
        estimator, X, y, sample_weight=weights, continued=False, in_parts=in_parts, **options
    )
    expected = np.where(y == -1, 0, np.where(y == 1, 3, 1) * weights)
    if not in_parts:
        expected /= expected[y >= 0].mean()
    np.testing.assert_allclose(given.weights, expected, rtol=1e-5)
    np.testing.assert_array_equal(given.frequencies, weights)
    assert given.used is None


def test_partial_fit_with_weights(rows):
    X, y = rows
    weights = np.random.RandomState(0).uniform(0, 2, 200)
    results = [
        small().partial_fit(X, y, classes=[0, 1], sample_weight=w).predict_proba(X)
        for w in (None, weights, 1, 0.1)
    ]
    assert abs(results[0] - results[1]).max() > 1e-4
    np.testing.assert_array_equal(results[0], results[2])
    assert abs(results[0] - results[3]).max() > 1e-4  # not scaled


def test_partial_fit_with_labels_of_weight_zero(rows):
    X, y = rows
    hidden = np.where(y >= 0, 0, 1)
    classifier = small().partial_fit(X, y, classes=[0, 1], sample_weight=hidden)
    expected = small().partial_fit(X[y < 0], y[y < 0], classes=[0, 1])
    np.testing.assert_array_equal(classifier.predict_proba(X), expected.predict_proba(X))


@pytest.mark.parametrize("kind", ["images", "sparse", "memory map", "all labeled"])
def test_weights_of_any_rows(rows, kind, tmp_path):
    X, y = rows
    weights, params = np.random.RandomState(0).choice([0, 1, 2], 200), {}
    if kind == "images":
        X = np.random.RandomState(0).uniform(size=(200, 8, 8))
        params = {"architecture": ConvArchitecture(width=4, generator_width=4)}
    elif kind == "sparse":
        X = sparse.random(200, 30, 0.2, format="csr", random_state=0)
    elif kind == "memory map":
        np.save(tmp_path / "X.npy", X.astype(np.float32))
        X = np.load(tmp_path / "X.npy", mmap_mode="r")
    else:
        y, params = (X[:, 0] > 1.5).astype(int), {"unlabeled_value": None}
    classifier = small(**params, max_epochs=1).fit(X, y, weights)
    assert classifier.predict(X).shape == (200,)
    assert abs(classifier.predict_proba(X) - probabilities(X, y, max_epochs=1, **params)).max() > 0


def test_checkpoint_of_other_weights_is_not_resumed(rows, tmp_path):
    X, y = rows
    weights = np.random.RandomState(0).uniform(0.1, 2, 200)
    training = Training(checkpoint_dir=tmp_path, resume=True)
    first = small(training=training).fit(X, y, weights)
    other = small(training=training).fit(X, y)
    again = small(training=training).fit(X, y, weights)
    np.testing.assert_array_equal(first.predict_proba(X), again.predict_proba(X))
    np.testing.assert_array_equal(other.predict_proba(X), small().fit(X, y).predict_proba(X))


def test_pipelines_and_metadata_routing(rows):
    X, y = rows
    weights = np.random.RandomState(0).uniform(0.1, 2, 200)
    pipeline = make_pipeline(StandardScaler(), small())
    pipeline.fit(X, y, sganclassifier__sample_weight=weights)
    scaled = StandardScaler().fit_transform(X)
    np.testing.assert_array_equal(pipeline.predict_proba(X), probabilities(scaled, y, weights))
    with config_context(enable_metadata_routing=True):
        classifier = (
            small().set_fit_request(sample_weight=True).set_score_request(sample_weight=False)
        )
        found = cross_validate(
            classifier,
            X,
            y,
            cv=SemiSupervisedSplit(2),
            params={"sample_weight": weights},
            return_estimator=True,
            error_score="raise",
        )
        train, _ = next(SemiSupervisedSplit(2).split(X, y))
    expected = small().fit(X[train], y[train], weights[train]).predict_proba(X)
    np.testing.assert_array_equal(found["estimator"][0].predict_proba(X), expected)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (np.ones(199), "sample_weight must hold one value for each row of X"),
        (-np.ones(200), "sample_weight must hold numbers from 0 to 1e.30, and at least one above"),
        (np.full(200, 1e300), "Got 1e.300 to 1e.300. Divide the weights by their mean"),
        (float("inf"), "sample_weight must hold numbers from 0 to 1e.30"),
        (float("nan"), "sample_weight must hold numbers from 0 to 1e.30"),
        (np.full(200, np.nan), "NaN"),
        (np.zeros(200), "and at least one above 0. Got 0 to 0|at least one non-zero number"),
        (np.repeat([0, 1], [40, 160]), "one labeled row must be above 0. Got 0 for all 40"),
    ],
)
def test_invalid_weights(rows, weights, message):
    with pytest.raises(ValueError, match=message):
        small().fit(*rows, sample_weight=weights)


def test_weights_without_a_class_of_weight_above_zero(rows):
    X, y = rows
    weights = np.where(y == 1, 0.0, np.arange(200) + 1.0)
    with pytest.raises(ValueError, match="must give at least one class a weight above 0"):
        small(class_weight={0: 0, 1: 1}).fit(X, y, weights)


def test_samplers_draw_the_weighted_classes(rows):
    X, _ = rows
    y = np.where(np.arange(200) < 40, (X[:, 0] > 1.5).astype(int), -1)
    weights = np.where(X[:, 0] > 1.5, 9.0, 1.0)
    classifier = small(sampler=Constant(), max_epochs=20).fit(X, y, sample_weight=weights)
    np.testing.assert_allclose(classifier.class_prior_, [0.1, 0.9], atol=0.02)
    counts = np.bincount(classifier.sampler_.codes_of(classifier.sample(1000, random_state=0)))
    np.testing.assert_allclose(counts / 1000, [0.1, 0.9], atol=0.04)
    assert adjust_to_prior(classifier, X).training_prior_[1] > 0.85


@pytest.mark.parametrize("class_weight", [None, "balanced"])
@pytest.mark.parametrize("weight", [1.0, 2.0])
def test_class_whose_labels_do_not_count(class_weight, weight):
    X, y = make_blobs(90, centers=[[0, 0], [3, 0], [0, 3]], random_state=0)
    few = np.where(np.arange(90) < 30, y, -1)
    weights = np.where(few == 2, 0.0, np.where(few == 1, weight, 1.0))
    classifier = SGANClassifier(
        MLPArchitecture((8,), (8,)),
        class_weight=class_weight,
        max_epochs=2,
        ensemble=None,
        device="cpu",
        random_state=0,
    ).fit(X, few, sample_weight=weights)
    assert classifier.classes_.tolist() == [0, 1, 2]
    assert np.isfinite(classifier.predict_proba(X)).all()
    classifier.set_params(regularizer="class_prior")
    with pytest.raises(ValueError, match=r"1 of 3 classes have none \(labels of weight 0"):
        classifier.fit(X, few, sample_weight=weights)
