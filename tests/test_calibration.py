"""Class probabilities that are adjusted to other class proportions."""

import numpy as np
import pytest
from scipy import special, stats
from sklearn import config_context
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.datasets import make_blobs
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import LinearSVC

from sgan_sklearn import SGANClassifier
from sgan_sklearn.calibration import (
    PriorAdjustedClassifier,
    _p_value_of_means,
    adjust_to_prior,
)
from sgan_sklearn.model_selection import mask_labels

CENTERS = [[0, 0], [2, 0], [0, 2]]
NAMES = np.array(["a", "b", "c"])


def draw(counts, seed):
    X, y = make_blobs(counts, centers=CENTERS, random_state=seed)
    return X, NAMES[y]


@pytest.fixture(scope="module")
def linear():
    return LogisticRegression().fit(*draw([1000, 1000, 1000], seed=0))


@pytest.fixture(scope="module")
def shifted():
    return draw([1600, 300, 100], seed=1)


def test_proportions_are_found(linear, shifted):
    X, y = shifted
    adjusted = adjust_to_prior(linear, X, training_prior=[1, 1, 1], shrinkage=0)
    np.testing.assert_allclose(adjusted.prior_, [0.8, 0.15, 0.05], atol=0.02)
    np.testing.assert_allclose(adjusted.training_prior_, 1 / 3)
    assert adjusted.n_iter_ > 1
    assert adjusted.score(X, y) > linear.score(X, y) + 0.03
    assert adjusted.p_value_ is None
    assert adjusted.n_features_in_ == 2


def test_proportions_are_the_most_likely_ones(linear, shifted):
    X, _ = shifted
    adjusted = adjust_to_prior(linear, X, training_prior=[1, 1, 1], shrinkage=0)
    ratios = 3 * linear.predict_proba(X)

    def likelihood(proportions):
        return np.log(ratios @ proportions).sum()

    best = likelihood(adjusted.prior_)
    rng = np.random.RandomState(0)
    others = [
        likelihood(proportions) for proportions in rng.dirichlet(50 * adjusted.prior_, size=200)
    ]
    assert best > max(others)

    def posterior(proportions):
        """With a Dirichlet prior that counts as much as the rows."""
        return likelihood(proportions) + len(X) * np.log(proportions).sum() / 3

    shrunken = adjust_to_prior(linear, X, training_prior=[1, 1, 1]).prior_
    assert posterior(shrunken) > max(map(posterior, rng.dirichlet(50 * shrunken, size=200)))


def test_given_proportions(linear, shifted):
    X, _ = shifted
    given = adjust_to_prior(linear, X, [8, 1.5, 0.5], training_prior=[1, 1, 1])
    by_class = {"b": 0.15, "c": 0.05, "a": 0.8}
    named = adjust_to_prior(linear, X, by_class, training_prior=dict.fromkeys("abc", 1))
    np.testing.assert_allclose(given.prior_, [0.8, 0.15, 0.05])
    np.testing.assert_allclose(named.predict_proba(X), given.predict_proba(X))
    assert given.n_iter_ == 0
    p = linear.predict_proba(X) * [0.8, 0.15, 0.05]
    np.testing.assert_allclose(given.predict_proba(X), p / p.sum(axis=1, keepdims=True))
    np.testing.assert_array_equal(given.predict(X), NAMES[p.argmax(axis=1)])


def test_same_proportions_change_little(linear):
    X, _ = draw([1000, 1000, 1000], seed=2)
    adjusted = adjust_to_prior(linear, X, training_prior=[1, 1, 1])
    np.testing.assert_allclose(adjusted.prior_, 1 / 3, atol=0.03)
    same = adjust_to_prior(linear, X, [1, 1, 1], training_prior=[1, 1, 1])
    np.testing.assert_allclose(same.predict_proba(X), linear.predict_proba(X))


class WithDistributions(LogisticRegression):
    """Classifier that stores the class probabilities of its training rows."""

    def fit(self, X, y):
        super().fit(X, y)
        self.label_distributions_ = self.predict_proba(X)
        self.labeled_mask_ = np.zeros(len(X), dtype=bool)
        return self


def test_p_values_are_uniform_without_a_shift():
    rng = np.random.RandomState(0)
    values = []
    for seed in range(200):
        # Random counts, as in random samples of one distribution.
        counts, new_counts = rng.multinomial(200, [1 / 3] * 3), rng.multinomial(600, [1 / 3] * 3)
        classifier = WithDistributions().fit(*draw(counts, seed))
        X, _ = draw(new_counts, 1000 + seed)
        values.append(adjust_to_prior(classifier, X).p_value_)
    assert stats.kstest(values, "uniform").pvalue > 0.01


@pytest.mark.parametrize(("n_classes", "n_new"), [(2, 5), (3, 10), (10, 10), (10, 50)])
def test_few_new_rows_are_rarely_a_shift(n_classes, n_new):
    rng = np.random.RandomState(0)
    logits = 2 * rng.randn(200, 300 + n_new, n_classes)
    values = [
        _p_value_of_means(p[:300], np.ones(300), p[300:]) for p in special.softmax(logits, axis=2)
    ]
    assert np.mean(np.array(values) < 0.01) <= 0.03
    assert np.mean(np.array(values) < 0.5) > 0.3


def test_p_value_of_a_shift(shifted):
    classifier = WithDistributions().fit(*draw([100, 100, 100], seed=0))
    assert adjust_to_prior(classifier, shifted[0]).p_value_ < 1e-6
    given = adjust_to_prior(classifier, shifted[0], [1, 1, 1])
    assert given.p_value_ == adjust_to_prior(classifier, shifted[0]).p_value_


def test_proportions_of_balanced_labels_are_equal():
    """The other rows of the training have no effect on a classifier of labeled rows."""
    X, y = draw([100, 100, 100], seed=5)
    linear = LogisticRegression().fit(X, y)
    X_new, y_new = draw([1600, 300, 100], seed=6)
    adjusted = adjust_to_prior(linear, X_new, training_prior=[1, 1, 1], shrinkage=0)
    np.testing.assert_allclose(adjusted.prior_, [0.8, 0.15, 0.05], atol=0.04)
    assert adjusted.score(X_new, y_new) > linear.score(X_new, y_new)


@pytest.mark.parametrize(
    "classifier",
    [SGANClassifier(max_epochs=5, device="cpu", random_state=0), LabelSpreading()],
    ids=str,
)
def test_proportions_of_the_training_are_stored(classifier):
    X, y = draw([400, 200, 200], seed=3)
    codes = np.unique(y, return_inverse=True)[1]
    few = mask_labels(codes, per_class=20, random_state=0)
    for fitted in (
        clone(classifier).fit(X, few),
        make_pipeline(StandardScaler(), clone(classifier)).fit(X, few),
    ):
        adjusted = adjust_to_prior(fitted, X)
        np.testing.assert_allclose(adjusted.training_prior_, [0.5, 0.25, 0.25], atol=0.08)
        np.testing.assert_array_equal(adjusted.classes_, [0, 1, 2])


def test_absent_class(linear):
    X, _ = draw([500, 500, 0], seed=4)
    adjusted = adjust_to_prior(linear, X, training_prior=[1, 1, 1], shrinkage=0)
    assert adjusted.prior_[2] < 0.01
    assert np.isfinite(adjusted.predict_proba(X)).all()


def test_absent_class_is_given(linear, shifted):
    adjusted = adjust_to_prior(linear, shifted[0], [1, 1, 0], training_prior=[1, 1, 1])
    assert set(adjusted.predict(shifted[0])) == {"a", "b"}
    assert (adjusted.predict_proba(shifted[0])[:, 2] == 0).all()


def test_certain_probabilities(shifted):
    X, y = draw([1000, 1000, 1000], seed=0)
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    X, y = shifted
    assert (forest.predict_proba(X) == 0).any()
    adjusted = adjust_to_prior(forest, X, training_prior=[1, 1, 1])
    assert np.isfinite(adjusted.predict_proba(X)).all()
    assert adjusted.score(X, y) > forest.score(X, y)


def test_estimator_conventions(linear, shifted):
    X, y = shifted
    adjusted = PriorAdjustedClassifier(FrozenEstimator(linear), training_prior=[1, 1, 1])
    with pytest.raises(NotFittedError):
        adjusted.predict(X)
    assert adjusted.fit(X) is adjusted
    copy = clone(adjusted)
    assert not hasattr(copy, "prior_")
    np.testing.assert_array_equal(copy.fit(X, y).prior_, adjusted.prior_)
    np.testing.assert_array_equal(
        adjust_to_prior(linear, X, training_prior=[1, 1, 1]).prior_, adjusted.prior_
    )
    scores = cross_val_score(adjusted, X, y, cv=3)
    assert scores.mean() > linear.score(X, y)


def test_missing_probabilities():
    class Missing(LogisticRegression):
        def predict_proba(self, X):
            probabilities = super().predict_proba(X)
            probabilities[:2] = np.nan
            return probabilities

    X, y = draw([50, 50, 50], seed=0)
    missing = Missing().fit(X, y)
    with pytest.raises(ValueError, match="The class probabilities of 2 of 150 rows in X are nan"):
        adjust_to_prior(missing, X, training_prior=[1, 1, 1])


def test_pandas_output_of_transformers(shifted):
    pd = pytest.importorskip("pandas")
    X, y = (pd.DataFrame(shifted[0], columns=["a", "b"]), shifted[1])
    with config_context(transform_output="pandas"):
        columns = ColumnTransformer([("s", StandardScaler(), ["a", "b"])])
        pipeline = make_pipeline(SimpleImputer(), columns, LogisticRegression()).fit(X, y)
        adjusted = adjust_to_prior(pipeline, X, training_prior=[1, 1, 1])
    assert list(adjusted.feature_names_in_) == ["a", "b"]


def test_slow_convergence(linear, shifted):
    adjusted = PriorAdjustedClassifier(linear, training_prior=[1, 1, 1], max_iter=2)
    with pytest.warns(ConvergenceWarning, match="not converged after max_iter=2"):
        adjusted.fit(shifted[0])
    assert adjusted.n_iter_ == 2


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"prior": [0.5, 0.5]},
            "'prior' parameter .* one nonnegative number for each of the 3",
        ),
        ({"prior": [1, 1, -1]}, "one nonnegative number"),
        ({"prior": [0, 0, 0]}, "one nonnegative number"),
        ({"prior": [1, 1, np.nan]}, "one nonnegative number"),
        ({"prior": ["a", "b", "c"]}, "one nonnegative number"),
        ({"prior": {"a": 1, "b": 1}}, r"a number for each of the classes \['a', 'b', 'c'\]"),
        ({"prior": "auto"}, "'prior' parameter of PriorAdjustedClassifier"),
        ({"training_prior": None}, "class proportions in the training of FrozenEstimator"),
        ({"training_prior": [1, 0, 1]}, "'training_prior' parameter .* one positive number"),
        ({"shrinkage": -1}, "'shrinkage' parameter of PriorAdjustedClassifier"),
        ({"tol": -1}, "'tol' parameter of PriorAdjustedClassifier"),
        ({"max_iter": 0}, "'max_iter' parameter of PriorAdjustedClassifier"),
    ],
    ids=str,
)
def test_invalid_parameters(linear, shifted, params, message):
    frozen = FrozenEstimator(linear)
    adjusted = PriorAdjustedClassifier(frozen, **{"training_prior": [1, 1, 1], **params})
    with pytest.raises(ValueError, match=message):
        adjusted.fit(shifted[0])


def test_invalid_classifiers(shifted):
    X, y = shifted
    with pytest.raises(TypeError, match="must be a classifier with predict_proba"):
        adjust_to_prior(LinearSVC().fit(X, y), X, training_prior=[1, 1, 1])
    with pytest.raises(NotFittedError):
        adjust_to_prior(LogisticRegression(), X, training_prior=[1, 1, 1])


class Certain(WithDistributions):
    """Classifier with many class probabilities of exactly one, more of them for the first class."""

    def predict_proba(self, X):
        margin = X[:, 0] * np.where(X[:, 0] > 0, 40, 8)
        return np.column_stack([p := special.expit(margin).astype(np.float32), 1 - p])


def test_certain_predictions_are_no_shift():
    rng = np.random.RandomState(0)
    X = rng.randn(2000, 1)
    classifier = Certain().fit(X[:1000], (X[:1000, 0] > 0).astype(int))
    assert (classifier.label_distributions_ == 1).mean() > 0.1
    assert adjust_to_prior(classifier, X[1000:]).p_value_ > 0.05


def test_labels_are_not_predictions():
    """Labels of other proportions than the rows do not count as a shift."""
    X, y = make_blobs([900, 100], centers=[[0, 0], [2, 0]], random_state=0)
    few = np.where((y == 1) | (np.arange(1000) % 30 == 0), y, -1)
    classifier = WithDistributions().fit(X[few >= 0], few[few >= 0])
    classifier.label_distributions_ = classifier.predict_proba(X)
    classifier.labeled_mask_ = np.zeros(len(X), dtype=bool)
    classifier.label_distributions_[few >= 0] = np.eye(2)[few[few >= 0]]
    X_new = X[few < 0]
    assert adjust_to_prior(classifier, X_new).p_value_ < 1e-3
    classifier.labeled_mask_ = few >= 0
    assert adjust_to_prior(classifier, X_new).p_value_ == pytest.approx(1)


def test_p_value_of_weighted_rows():
    """Rows of the weighted distribution are no shift, and the others do not count."""
    X, y = draw([300, 300, 300], seed=7)
    classifier = WithDistributions().fit(X, y)
    X_new, y_new = draw([900, 300, 300], seed=8)
    assert adjust_to_prior(classifier, X_new).p_value_ < 1e-3
    classifier._row_weights = np.where(y == "a", 3.0, 1.0)
    assert adjust_to_prior(classifier, X_new).p_value_ > 0.01
    classifier._row_weights = np.where(y == "c", 0.0, 1.0)
    assert adjust_to_prior(classifier, X_new).p_value_ < 1e-3
    assert adjust_to_prior(classifier, X_new[(y_new == "b") | (y_new == "a")][::2]).p_value_ < 1e-3
    two = np.append(np.flatnonzero(y_new == "a")[:300], np.flatnonzero(y_new == "b"))
    assert adjust_to_prior(classifier, X_new[two]).p_value_ > 0.01


def test_p_value_without_predictions():
    X, y = draw([40, 40, 40], seed=0)
    sgan = SGANClassifier(max_epochs=1, ensemble=None, unlabeled_value=None, random_state=0)
    assert adjust_to_prior(sgan.fit(X, y), X).p_value_ is None
    codes = np.unique(y, return_inverse=True)[1]
    spreading = LabelSpreading().fit(X, mask_labels(codes, per_class=20, random_state=0))
    assert adjust_to_prior(spreading, X).p_value_ is None


def test_equal_probabilities_have_no_p_value():
    X, y = draw([20, 20, 0], seed=0)
    classifier = WithDistributions(C=1e-12, fit_intercept=False).fit(np.zeros_like(X), y)
    assert adjust_to_prior(classifier, X * 0).p_value_ is None


def test_score_of_labeled_rows():
    X, y = draw([60, 60, 60], seed=0)
    few = np.where(np.arange(180) % 3 == 0, y, "?").astype(object)
    sgan = SGANClassifier(max_epochs=1, ensemble=None, unlabeled_value="?", random_state=0)
    adjusted = adjust_to_prior(sgan.fit(X, few), X, [1, 1, 1])
    known = few != "?"
    score = adjusted.score(X, few)
    assert score == np.mean(adjusted.predict(X[known]) == y[known])
    weights = np.where(y == "a", 1.0, 0.0)
    chosen = known & (y == "a")
    weighted = adjusted.score(X, few, sample_weight=weights)
    assert weighted == np.mean(adjusted.predict(X[chosen]) == "a")
