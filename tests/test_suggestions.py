"""Choice of the rows to label next, for any classifier."""

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.sparse import coo_matrix, csr_matrix
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_digits, load_wine, make_blobs
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.semi_supervised import LabelSpreading, SelfTrainingClassifier
from sklearn.svm import LinearSVC
from sklearn.tree import DecisionTreeClassifier

from sgan_sklearn import SGANClassifier
from sgan_sklearn.inspection import suggest_labels
from sgan_sklearn.model_selection import mask_labels

STRATEGIES = ["margin", "entropy", "disagreement", "typical"]
LINEAR = LogisticRegression(max_iter=1000)
CLASSIFIERS = {
    "SGANClassifier": SGANClassifier(max_epochs=1, ensemble=None, device="cpu"),
    "LabelSpreading": make_pipeline(StandardScaler(), LabelSpreading(kernel="knn")),
    "SelfTraining": make_pipeline(StandardScaler(), SelfTrainingClassifier(LINEAR)),
    "forest": RandomForestClassifier(20, random_state=0),
    "search": GridSearchCV(make_pipeline(StandardScaler(), LINEAR), {}, cv=2),
}
ON_ALL_ROWS = ("SGANClassifier", "LabelSpreading", "SelfTraining")


@pytest.fixture(scope="module")
def wine():
    X, y = load_wine(return_X_y=True)
    return X, mask_labels(y, per_class=6, random_state=0)


@pytest.fixture(scope="module", params=CLASSIFIERS)
def fitted(request, wine):
    X, y = wine
    used = slice(None) if request.param in ON_ALL_ROWS else y != -1
    return clone(CLASSIFIERS[request.param]).fit(X[used], y[used])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_suggests_distinct_unlabeled_rows(fitted, wine, strategy):
    X, y = wine
    indices = suggest_labels(fitted, X, 12, y=y, strategy=strategy, random_state=0)
    assert len(np.unique(indices)) == 12
    assert (y[indices] == -1).all()
    again = suggest_labels(fitted, X, 12, y=y, strategy=strategy, random_state=0)
    np.testing.assert_array_equal(indices, again)


def test_all_rows_may_be_suggested_at_once(fitted, wine):
    X, y = wine
    for strategy in STRATEGIES:
        indices = suggest_labels(fitted, X, (y == -1).sum(), y=y, strategy=strategy, random_state=0)
        np.testing.assert_array_equal(np.sort(indices), np.flatnonzero(y == -1))


def test_one_candidate_per_row_is_the_smallest_margin(wine):
    X, y = wine
    classifier = RandomForestClassifier(50, random_state=0).fit(X[y != -1], y[y != -1])
    ordered = np.sort(classifier.predict_proba(X), axis=1)
    margins = ordered[:, -1] - ordered[:, -2]
    indices = suggest_labels(classifier, X, 8, y=y, n_candidates=1)
    assert margins[indices].max() <= np.sort(margins[y == -1])[7]
    assert (np.diff(margins[indices]) > -1e-9).all()


def test_suggestions_differ_from_each_other():
    # Between the classes are ten groups of equal rows; the most uncertain rows are all in one.
    X, y = make_blobs(200, centers=[[-4, 0], [4, 0]], cluster_std=0.3, random_state=0)
    groups = np.repeat(np.c_[np.linspace(0, 0.5, 10), np.linspace(-5, 5, 10)], 10, axis=0)
    classifier = LogisticRegression().fit(X, y)
    rows = np.concatenate([X, groups])
    different = suggest_labels(classifier, rows, 10, n_candidates=10, random_state=0)
    assert len(np.unique(rows[different], axis=0)) == 10
    alike = suggest_labels(classifier, rows, 10, n_candidates=1, random_state=0)
    assert len(np.unique(rows[alike], axis=0)) == 1


def test_equal_rows_are_suggested_once_each():
    X, y = make_blobs(40, centers=2, random_state=0)
    classifier = LogisticRegression().fit(X, y)
    for strategy in ("margin", "typical"):
        indices = suggest_labels(
            classifier, np.repeat(X[:2], 20, axis=0), 5, strategy=strategy, random_state=0
        )
        assert len(np.unique(indices)) == 5
        assert set(indices // 20) == {0, 1}


def test_equally_uncertain_rows_are_in_random_order():
    X, y = load_wine(return_X_y=True)  # sorted by class
    tree = DecisionTreeClassifier(random_state=0).fit(X, y)
    for n_candidates in (1, 5):
        indices = suggest_labels(tree, X, 20, n_candidates=n_candidates, random_state=0)
        assert set(y[indices]) == {0, 1, 2}


def test_rows_without_probabilities_are_the_most_uncertain():
    # No label reaches the rows of the third class, so that LabelSpreading divides by zero.
    X, true = make_blobs(300, centers=[[0, 0], [50, 0], [0, 50]], random_state=0)
    y = mask_labels(np.where(true < 2, true, -1), per_class=10, random_state=0)
    with np.errstate(all="ignore"):
        spreading = LabelSpreading(kernel="knn").fit(X, y)
        for strategy in ("margin", "entropy"):
            indices = suggest_labels(spreading, X, 10, y=y, strategy=strategy, random_state=0)
            assert (true[indices] == 2).all()


def test_random_state_may_be_an_instance(wine):
    X, y = wine
    rng = np.random.RandomState(0)
    first, second = (suggest_labels(None, X, 20, y=y, random_state=rng) for _ in range(2))
    assert set(first) != set(second)


def test_rows_of_other_kinds():
    polars = pytest.importorskip("polars")
    X, y = load_wine(return_X_y=True)
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    for rows in (X.tolist(), coo_matrix(X), csr_matrix(X)):
        for classifier in (forest, None):
            assert len(suggest_labels(classifier, rows, 3, random_state=0)) == 3
    frame = polars.DataFrame(X, schema=[f"x{i}" for i in range(13)])
    assert len(suggest_labels(None, frame, 3, random_state=0)) == 3


def test_one_row():
    X, y = load_wine(return_X_y=True)
    forest = RandomForestClassifier(5, random_state=0).fit(X, y)
    for classifier in (forest, None):
        assert suggest_labels(classifier, X[:1], 1).tolist() == [0]


def test_the_classifier_of_a_search_or_of_texts(wine):
    texts = ["a red car", "a blue car", "one green tree", "two green trees"] * 5
    is_tree = np.array(["tree" in text for text in texts]).astype(int)
    model = CalibratedClassifierCV(make_pipeline(TfidfVectorizer(), LinearSVC()), cv=2)
    chosen = suggest_labels(model.fit(texts, is_tree), texts, 3, random_state=0)
    assert len(set(chosen)) == 3
    assert ((chosen >= 0) & (chosen < len(texts))).all()


def test_disagreement_uses_the_fitted_preprocessing():
    # A category that no labeled row has.
    frame = pd.DataFrame({"x": np.arange(40.0), "kind": ["a", "b"] * 15 + ["c"] * 10})
    y = np.where(np.arange(40) < 8, np.arange(40) % 2, -1)
    encode = make_column_transformer((OneHotEncoder(), ["kind"]), remainder="passthrough")
    model = make_pipeline(encode, SelfTrainingClassifier(LINEAR)).fit(frame, y)
    indices = suggest_labels(model, frame, 5, y=y, strategy="disagreement", random_state=0)
    assert len(indices) == 5


def test_autocast_does_not_matter():
    images = load_digits().images[:300]
    y = mask_labels(load_digits().target[:300], per_class=3, random_state=0)
    sgan = SGANClassifier(max_epochs=1, device="cpu", random_state=0).fit(images, y)
    expected = suggest_labels(sgan, images, 5, y=y, random_state=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        np.testing.assert_array_equal(
            suggest_labels(sgan, images, 5, y=y, random_state=0), expected
        )


def test_without_a_classifier_each_cluster_has_a_row():
    X, y = make_blobs(400, centers=8, cluster_std=0.2, center_box=(-20, 20), random_state=3)
    assert len(np.unique(y[suggest_labels(None, X, 8, random_state=0)])) == 8


def test_typical_rows_are_in_clusters_without_labels():
    X, true = make_blobs(400, centers=8, cluster_std=0.2, center_box=(-20, 20), random_state=3)
    y = mask_labels(np.where(true < 5, true, -1), per_class=1, random_state=0)
    indices = suggest_labels(None, X, 3, y=y, random_state=0)
    assert set(true[indices]) == {5, 6, 7}


def test_typical_rows_are_within_clusters():
    rng = np.random.RandomState(0)
    X = np.concatenate([rng.randn(300, 2), rng.uniform(8, 40, (3, 2))])
    (index,) = suggest_labels(None, X, 1, random_state=0)
    assert np.linalg.norm(X[index]) < 1


def test_disagreement_is_largest_where_the_forest_and_the_classifier_differ():
    # A linear classifier cannot learn the corners of a square; the forest can.
    rng = np.random.RandomState(0)
    X = rng.uniform(-1, 1, (600, 2))
    y = (X[:, 0] * X[:, 1] > 0).astype(int)
    y[np.abs(X[:, 0]) > 0.8] = 0  # where both agree
    labeled = np.where(np.arange(600) < 300, y, -1)
    linear = LogisticRegression().fit(X[:300], y[:300])
    indices = suggest_labels(
        linear, X, 50, y=labeled, strategy="disagreement", n_candidates=1, random_state=0
    )
    differs = linear.predict(X[indices]) != y[indices]
    assert differs.mean() > 0.8


@pytest.mark.parametrize("strategy", ["margin", "typical"])
def test_images_sparse_rows_and_frames(strategy):
    X, y = load_digits(return_X_y=True, as_frame=True)
    few = mask_labels(y, per_class=3, random_state=0)
    images = X.to_numpy().reshape(-1, 8, 8)
    sgan = SGANClassifier(max_epochs=1, device="cpu", random_state=0).fit(images, few)
    assert len(suggest_labels(sgan, images, 5, y=few, strategy=strategy, random_state=0)) == 5
    frame = X.iloc[:300].assign(kind=np.where(y[:300] > 4, "a", "b"))
    frame["kind"] = frame["kind"].astype("category")
    sgan = SGANClassifier(max_epochs=1, ensemble=None, device="cpu").fit(frame, few[:300])
    assert len(suggest_labels(sgan, frame, 5, y=few[:300], strategy=strategy)) == 5
    texts = ["a red car", "a blue car", "one green tree", "two green trees"] * 5
    is_tree = np.array(["tree" in text for text in texts]).astype(int)
    model = make_pipeline(TfidfVectorizer(), LINEAR).fit(texts, is_tree)
    assert len(suggest_labels(model, texts, 3, strategy=strategy, random_state=0)) == 3


def test_missing_values_and_string_labels():
    X, y = load_wine(return_X_y=True)
    X[::7, 2] = np.nan
    names = np.array(["red", "white", "rose"], dtype=object)[y]
    names[30::2] = None
    sgan = SGANClassifier(unlabeled_value=np.nan, max_epochs=1, ensemble=None, device="cpu")
    sgan.fit(X, names)
    for strategy in STRATEGIES:
        indices = suggest_labels(
            sgan, X, 4, y=names, strategy=strategy, unlabeled_value=np.nan, random_state=0
        )
        assert all(name is None for name in names[indices])


def test_a_forest_may_know_other_classes(wine):
    X, y = wine
    classifier = LogisticRegression(max_iter=5000).fit(X[y > 0], y[y > 0])  # classes 1 and 2
    assert len(suggest_labels(classifier, X, 5, y=y, strategy="disagreement")) == 5


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_rows": 0}, "'n_rows' parameter of suggest_labels must be an int in the range"),
        (
            {"n_rows": 161},
            r"at most the number of unlabeled rows, 160 of 178 \(unlabeled_value=-1\)\. Got 161",
        ),
        ({"strategy": "random"}, "'strategy' parameter of suggest_labels must be a str among"),
        ({"n_candidates": 0}, "'n_candidates' parameter of suggest_labels must be an int"),
        ({"estimator": None, "strategy": "margin"}, "'margin' of suggest_labels needs a fitted"),
        ({"y": None, "strategy": "disagreement"}, "Pass their labels as y"),
        ({"y": ["a"] * 9 + ["-1"] * 169, "strategy": "disagreement"}, "unlabeled_value"),
        ({"y": [7] * 9 + [-1] * 169, "strategy": "disagreement"}, "none of the classes"),
        ({"y": [0, 1]}, "y has 2"),
        ({"random_state": "zero"}, "'random_state' parameter of suggest_labels must be"),
        ({"unlabeled_value": []}, "unlabeled_value"),
    ],
)
def test_wrong_values_are_refused(wine, params, message):
    X, y = wine
    forest = RandomForestClassifier(5, random_state=0).fit(X[y != -1], y[y != -1])
    params = {"estimator": forest, "n_rows": 5, "y": y, **params}
    estimator, n_rows = params.pop("estimator"), params.pop("n_rows")
    with pytest.raises(ValueError, match=message):
        suggest_labels(estimator, X, n_rows, **params)


def test_wrong_estimators_are_refused(wine):
    X, y = wine
    svc = LinearSVC().fit(StandardScaler().fit_transform(X), y)
    with pytest.raises(TypeError, match="must have predict_proba"):
        suggest_labels(svc, X, 5)
    assert len(suggest_labels(svc, X, 5, strategy="typical")) == 5
    with pytest.raises(TypeError, match="must be a classifier"):
        suggest_labels("forest", X, 5)
    with pytest.raises(NotFittedError):
        suggest_labels(RandomForestClassifier(), X, 5)
