"""Weights of rows in fit and partial_fit."""

import numpy as np
import pytest
import torch
from sklearn import config_context
from sklearn.datasets import make_blobs
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sgan_sklearn import SGANClassifier, Training
from sgan_sklearn._data.batches import SemiSupervisedBatches, SemiSupervisedDataset
from sgan_sklearn._runtime.random import seeded
from sgan_sklearn._training.inputs import check_inputs
from sgan_sklearn.architectures import MLPArchitecture
from sgan_sklearn.model_selection import SemiSupervisedSplit


def small(**params):
    defaults = {"max_epochs": 3, "ensemble": None, "device": "cpu", "random_state": 0}
    return SGANClassifier(MLPArchitecture((16,), (16,)), **{**defaults, **params})


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
    frequencies = np.tile([0.0, 1.0, 2.0, 5.0], 10)
    counts = drawn(frequencies)
    assert (counts[:, frequencies == 0] == 0).all()
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


def test_labels_of_weight_zero_are_not_learned(rows):
    X, y = rows
    wrong = y.copy()
    wrong[:10] = 1 - wrong[:10]
    weights = np.where(np.arange(200) < 10, 0, 1)
    without = small(max_epochs=20).fit(np.delete(X, range(10), 0), y[10:])
    weighted = small(max_epochs=20).fit(X, wrong, weights)
    agreed = (without.predict(X) == weighted.predict(X)).mean()
    assert agreed > 0.97
    assert (small(max_epochs=20).fit(X, wrong).predict(X) == without.predict(X)).mean() < agreed


def test_unlabeled_rows_of_weight_zero_are_not_used(rows):
    X, y = rows
    far = np.concatenate([X, X + 1000])
    labels, weights = np.concatenate([y, np.full(200, -1)]), np.repeat([1, 0], 200)
    classifier = small().fit(far, labels, weights)
    alone = small().fit(X, y)
    np.testing.assert_allclose(classifier.scaler_.bounds_, alone.scaler_.bounds_)
    assert classifier.sample(50, random_state=0).max() < 100
    assert classifier.transduction_.shape == (400,)


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


def test_partial_fit_with_weights(rows):
    X, y = rows
    weights = np.random.RandomState(0).uniform(0, 2, 200)
    results = [
        small().partial_fit(X, y, classes=[0, 1], sample_weight=w).predict_proba(X)
        for w in (None, weights)
    ]
    assert abs(results[0] - results[1]).max() > 1e-4


def test_early_stopping_with_weights(rows):
    X, y = rows
    weights = np.random.RandomState(0).uniform(0.1, 2, 200)
    classifier = small(early_stopping=True, validation_fraction=0.3).fit(X, y, weights)
    assert len(classifier.validation_scores_) == classifier.n_iter_


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
        (np.ones(199), "sample_weight.shape"),
        (-np.ones(200), "[Nn]egative values in data passed to `?sample_weight"),
        (np.full(200, np.nan), "NaN"),
        (
            np.zeros(200),
            "Got 0 for all 200 rows|at least one non-zero number",
        ),
        (np.repeat([0, 1], [40, 160]), "one labeled row must be above 0. Got 0 for all 40"),
    ],
)
def test_invalid_weights(rows, weights, message):
    with pytest.raises(ValueError, match=message):
        small().fit(*rows, sample_weight=weights)
