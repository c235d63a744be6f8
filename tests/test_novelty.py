"""P-values of rows for being of a known class, with any classifier."""

import numpy as np
import pytest
from sklearn.datasets import load_wine, make_blobs
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit, RepeatedStratifiedKFold
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from sgan_sklearn import SGANClassifier
from sgan_sklearn.inspection import novelty_p_values
from sgan_sklearn.model_selection import mask_labels

CLASSIFIERS = {
    "SGANClassifier": SGANClassifier(max_epochs=1, ensemble=None, device="cpu"),
    "LabelSpreading": make_pipeline(StandardScaler(), LabelSpreading(kernel="knn")),
    "SelfTraining": make_pipeline(StandardScaler(), SelfTrainingClassifier(LogisticRegression())),
    "forest": RandomForestClassifier(20),
}


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return X, mask_labels(y, per_class=8, random_state=0)


@pytest.fixture(scope="module")
def blobs():
    """Return rows of three distant classes, and the class codes."""
    return make_blobs(900, centers=[[0, 0], [8, 0], [4, 8]], random_state=0)


def p_values(estimator, X, y, X_new=None, **params):
    return novelty_p_values(estimator, X, y, X_new, random_state=0, verbose=0, **params)


def distance(classifier, X):
    """Return the mean distance to the nearest neighbors."""
    return classifier.kneighbors(X)[0].mean(axis=1)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_unlabeled_rows_have_p_values(wine, name):
    X, y = wine
    values = p_values(CLASSIFIERS[name], X, y)
    np.testing.assert_array_equal(np.isnan(values), y != -1)
    assert len(np.unique(values[y == -1])) > 3
    np.testing.assert_array_equal(p_values(CLASSIFIERS[name], X, y), values)


def test_false_alarms_have_the_stated_rate_and_other_classes_are_found(blobs):
    X, true = blobs
    rates = []
    for seed in range(20):
        y = mask_labels(np.where(true < 2, true, -1), per_class=20, random_state=seed)
        values = p_values(KNeighborsClassifier(), X, y, score=distance)
        rates.append((values[(true < 2) & (y == -1)] <= 0.1).mean())
        assert (values[true == 2] <= 0.1).mean() > 0.95
    assert 0.03 < np.mean(rates) < 0.13


def noisy_score(classifier, X):
    """Return a score that is half noise, which differs from fit to fit."""
    return X[:, 0] + np.random.RandomState(classifier.random_state).randn(len(X))


@pytest.mark.parametrize("n_repeats", [1, 6])
def test_rate_of_false_alarms_with_noisy_scores(n_repeats):
    rates = []
    for seed in range(40):
        rng = np.random.RandomState(seed)
        X, true = rng.randn(600, 1), rng.randint(2, size=600)
        y = mask_labels(true, per_class=20, random_state=seed)
        cv = RepeatedStratifiedKFold(n_splits=5, n_repeats=n_repeats, random_state=seed)
        values = novelty_p_values(
            DecisionTreeClassifier(max_depth=1),
            X,
            y,
            cv=cv,
            score=noisy_score,
            random_state=seed,
            verbose=0,
        )
        rates.append((values[y == -1] <= 0.1).mean())
    assert 0.07 < np.mean(rates) < 0.13


def test_scored_unlabeled_rows_and_test_folds_are_both_seen_without_labels(wine):
    X, y = StandardScaler().fit_transform(wine[0]), wine[1]
    seen = []

    class Spreading(LabelSpreading):
        def fit(self, X, y):
            seen.append((len(y), (y == -1).sum()))
            return super().fit(X, y)

    spreading = Spreading(kernel="knn")
    p_values(spreading, X, y, cv=4)
    assert seen == [(178, 160)] * 4 + [(178, 154)]
    seen.clear()
    p_values(spreading, X, y, X[:5], cv=4)
    assert seen == [(172, 154)] * 4 + [(178, 154)]


def test_entropy_finds_rows_between_the_classes(blobs):
    X, true = blobs
    y = mask_labels(np.where(true < 2, true, -1), per_class=20, random_state=0)
    values = p_values(LogisticRegression(), X, y, np.array([[4.0, 0.0], [8.0, 0.0]]))
    assert values[0] == 1 / 41
    assert values[1] > 0.1


def test_p_value_is_the_share_of_labeled_rows_with_larger_scores(wine):
    X, y = wine
    values = p_values(RandomForestClassifier(5), X, y, X[:5], score=lambda clf, X: X[:, 0])
    alcohol = X[y != -1, 0]
    expected = [(1 + (alcohol >= value).sum()) / (len(alcohol) + 1) for value in X[:5, 0]]
    np.testing.assert_allclose(values, expected)


def test_own_score_of_the_discriminator(wine):
    X, y = wine
    values = p_values(
        CLASSIFIERS["SGANClassifier"], X, y, X[:7], score=lambda clf, X: -clf.score_samples(X)
    )
    assert values.shape == (7,)


def test_rows_without_probabilities_have_the_largest_entropy():
    # No label reaches the rows of the third class, so that LabelSpreading divides by zero.
    X, true = make_blobs(300, centers=[[0, 0], [50, 0], [0, 50]], random_state=0)
    y = mask_labels(np.where(true < 2, true, -1), per_class=10, random_state=0)
    with np.errstate(all="ignore"):
        values = p_values(LabelSpreading(kernel="knn"), X, y)
    assert (values[true == 2] == 1 / 21).all()
    assert (values[(true < 2) & (y == -1)] > 0.1).all()


@pytest.mark.xdist_group("joblib")  # one pool of processes for all of these
def test_processes_do_not_change_the_result(wine):
    X, y = wine
    forest = RandomForestClassifier(5)
    values = p_values(forest, X, y, n_jobs=2)
    np.testing.assert_array_equal(values, p_values(forest, X, y))


def test_rows_in_no_test_fold_are_not_counted(wine):
    X, y = wine
    labeled = np.flatnonzero(y != -1)
    fold = np.where(np.arange(len(labeled)) % 6, -1, 0)  # four test rows
    values = p_values(RandomForestClassifier(5), X, y, X[:10], cv=PredefinedSplit(fold))
    assert set((values * 5).round(9)) <= {1, 2, 3, 4, 5}


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"score": "margin"}, "'score' parameter of novelty_p_values must be"),
        ({"score": lambda clf, X: X}, r"a finite number for each of the .* Got the shape"),
        ({"score": lambda clf, X: np.full(len(X), np.nan)}, "infinite or missing ones"),
        ({"score": lambda clf, X: ["1"] * len(X)}, "and the dtype <U1"),
        ({"y": np.where(np.arange(178) < 9, 0, -1)}, "needs labels of two classes or more"),
        ({"unlabeled_value": None}, "holds no unlabeled row"),
        ({"X_new": np.zeros((3, 5))}, r"'X_new' .* of the shape \(13,\)\. Got .* \(5,\)"),
        ({"X_new": np.zeros(13)}, r"Got rows of the shape \(\)"),
        ({"X_new": "rows"}, r"Got rows of the shape \(\)"),
        ({"cv": 20}, "asks for 20 folds, but the class 0 has only 8"),
        ({"y": np.full(178, -1)}, "y holds no labeled row"),
        ({"verbose": "yes"}, "'verbose' parameter of novelty_p_values must be"),
        ({"unlabeled_value": []}, "unlabeled_value"),
    ],
)
def test_wrong_values_are_refused(wine, params, message):
    X, y = wine
    params = {"y": y, **params}
    with pytest.raises(ValueError, match=message):
        novelty_p_values(RandomForestClassifier(5), X, params.pop("y"), **params)


def test_wrong_estimators_are_refused(wine):
    X, y = wine
    with pytest.raises(TypeError, match="novelty_p_values must have predict_proba"):
        novelty_p_values(LinearSVC(), X, y)
    assert len(p_values(LinearSVC(), X, y, score=lambda clf, X: X[:, 0])) == len(X)
    with pytest.raises(TypeError, match="must be a classifier"):
        novelty_p_values(StandardScaler(), X, y)
