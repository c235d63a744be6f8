"""P-values of rows for being of a known class, with any classifier."""

import numpy as np
import pytest
from sklearn.datasets import load_wine, make_blobs
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import PredefinedSplit
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import LinearSVC

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
    assert values[y == -1].min() >= 1 / 25
    assert values[y == -1].max() <= 1
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


def test_all_rows_labeled_and_no_new_ones():
    X, y = load_wine(return_X_y=True)
    values = p_values(RandomForestClassifier(5), X, y, unlabeled_value=None)
    assert np.isnan(values).all()


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
        ({"score": lambda clf, X: np.full(len(X), np.nan)}, "values that are not finite"),
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
