import pickle

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn import config_context
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, fbeta_score, get_scorer, log_loss, make_scorer
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.semi_supervised import LabelSpreading
from sklearn.svm import LinearSVC

from sgan_sklearn.metrics import labeled_scorer
from sgan_sklearn.model_selection import SemiSupervisedSplit, mask_labels


@pytest.fixture(scope="module")
def fitted():
    """Return a classifier, all rows, and few labels."""
    X, y = load_iris(return_X_y=True)
    few = mask_labels(y, n_labeled=40, random_state=0)
    return LogisticRegression(max_iter=1000).fit(X[::7], y[::7]), X, few


@pytest.mark.parametrize("name", ["accuracy", "roc_auc_ovr", "neg_log_loss", "f1_macro"])
def test_score_of_the_labeled_rows(fitted, name):
    model, X, few = fitted
    labeled = few != -1
    expected = get_scorer(name)(model, X[labeled], few[labeled])
    assert labeled_scorer(name)(model, X, few) == expected
    assert np.isfinite(expected)


def test_scorers_of_ones_own(fitted):
    model, X, few = fitted
    labeled = few != -1
    fbeta = make_scorer(fbeta_score, beta=2, average="macro")
    assert labeled_scorer(fbeta)(model, X, few) == fbeta(model, X[labeled], few[labeled])
    seen = []

    def count(estimator, X, y):
        seen.append((X, y))
        return 0.5

    assert labeled_scorer(count)(model, X, few) == 0.5
    np.testing.assert_array_equal(seen[0][0], X[labeled])
    np.testing.assert_array_equal(seen[0][1], few[labeled])


@pytest.mark.parametrize("scoring", [["accuracy", "f1_macro"], ("accuracy", "f1_macro")])
def test_several_scorers(fitted, scoring):
    scorers = labeled_scorer(scoring)
    assert list(scorers) == ["accuracy", "f1_macro"]
    named = labeled_scorer({"a": "accuracy", "b": make_scorer(accuracy_score)})
    assert named["a"](*fitted) == named["b"](*fitted) == scorers["accuracy"](*fitted)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix, np.ndarray.tolist])
def test_forms_of_the_rows(fitted, convert):
    model, X, few = fitted
    assert labeled_scorer("accuracy")(model, convert(X), few) == labeled_scorer("accuracy")(*fitted)


def test_text_labels_in_a_series():
    X, y = load_iris(return_X_y=True)
    y = np.array(["a", "b", "c"])[y]
    few = pd.Series(mask_labels(y, per_class=5, random_state=0), index=range(100, 250))
    model = LogisticRegression(max_iter=1000).fit(X[::7], y[::7])
    labeled = (few != -1).to_numpy()
    expected = accuracy_score(y[labeled], model.predict(X[labeled]))
    assert labeled_scorer("accuracy")(model, X, few) == expected
    assert np.isfinite(labeled_scorer("roc_auc_ovr")(model, X, few))


def test_sample_weights_go_with_their_rows(fitted):
    model, X, few = fitted
    X, few = np.tile(X, (2, 1)), np.tile(few, 2)  # more rows than the integers that Python keeps
    labeled = few != -1
    weights = np.random.RandomState(0).rand(len(few))
    score = labeled_scorer("neg_log_loss")(model, X, few, sample_weight=weights)
    probabilities = model.predict_proba(X[labeled])
    expected = -log_loss(few[labeled], probabilities, sample_weight=weights[labeled])
    assert score == pytest.approx(expected)


def test_other_arguments_are_not_changed(fitted):
    model, X, few = fitted
    arguments = {"number": 3, "classes": [0, 1, 2], "text": "x" * len(few)}
    seen = {}

    def scorer(estimator, X, y, **kwargs):
        seen.update(kwargs)
        return 0.5

    labeled_scorer(scorer)(model, X, few, **arguments)
    assert seen == arguments


def test_no_labeled_row_is_nan_with_one_warning(fitted):
    model, X, _ = fitted
    with pytest.warns(UserWarning, match="None of the 150 rows to score has a label") as record:
        score = labeled_scorer("accuracy")(model, X, np.full(150, -1))
    assert np.isnan(score)
    assert [warning.filename for warning in record] == [__file__]


def test_another_unlabeled_value(fitted):
    model, X, few = fitted
    other = np.where(few == -1, 99, few)
    assert labeled_scorer("accuracy", 99)(model, X, other) == labeled_scorer("accuracy")(*fitted)
    everything = labeled_scorer("accuracy", None)(model, X, few)
    assert everything < labeled_scorer("accuracy")(*fitted)


def test_cross_validation_with_unlabeled_test_rows():
    X, y = load_iris(return_X_y=True)
    few = mask_labels(y, per_class=15, random_state=0)
    model = LabelSpreading(kernel="knn", n_neighbors=7)
    plain = cross_validate(model, X, few)["test_score"]
    scores = cross_validate(
        model, X, few, scoring=labeled_scorer(["accuracy", "neg_log_loss", "roc_auc_ovr"])
    )
    assert plain.mean() < 0.5
    assert scores["test_accuracy"].mean() > 0.85
    assert np.isfinite(scores["test_neg_log_loss"]).all()
    assert scores["test_roc_auc_ovr"].mean() > 0.9


@pytest.mark.xdist_group("joblib")  # one pool of processes for all of these
def test_search_in_two_processes(fitted):
    _, X, few = fitted
    scorer = labeled_scorer("accuracy")
    assert pickle.loads(pickle.dumps(scorer))(*fitted) == scorer(*fitted)
    grid = {"n_neighbors": [3, 7]}
    search = GridSearchCV(LabelSpreading(kernel="knn"), grid, scoring=scorer, n_jobs=2, cv=3)
    assert search.fit(X, few).best_score_ > 0.8


def test_repr():
    assert repr(labeled_scorer("accuracy")) == (
        "labeled_scorer(make_scorer(accuracy_score, response_method='predict'), unlabeled_value=-1)"
    )


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["no_scorer"], "no_scorer"),
        ([3], "'scoring' parameter"),
        ([None], "'scoring' parameter"),
        ([accuracy_score], "make_scorer"),
        ([["accuracy", "no_scorer"]], "no_scorer"),
        (["accuracy", [3]], "'unlabeled_value' parameter"),
    ],
)
def test_wrong_scorers(args, message):
    with pytest.raises(ValueError, match=message):
        labeled_scorer(*args)


def test_scorer_that_needs_probabilities(fitted):
    _, X, few = fitted
    model = LinearSVC().fit(X[few != -1], few[few != -1])
    with pytest.raises(AttributeError, match="predict_proba"):
        labeled_scorer("neg_log_loss")(model, X, few)


def test_lengths_must_agree(fitted):
    model, X, few = fitted
    with pytest.raises(ValueError, match="y must hold one value for each row"):
        labeled_scorer("accuracy")(model, X[1:], few)


def test_a_function_under_metadata_routing():
    X, y = load_iris(return_X_y=True)
    few = mask_labels(y, per_class=8, random_state=0)

    def accuracy(model, X, y):
        return model.score(X, y)

    with config_context(enable_metadata_routing=True):
        scores = cross_validate(
            LabelSpreading(),
            X,
            few,
            cv=3,
            scoring=labeled_scorer(accuracy),
            params={},
            error_score="raise",
        )["test_score"]
    assert np.isfinite(scores).all()


@pytest.mark.parametrize("form", [sparse.coo_array, sparse.bsr_array, sparse.csr_array])
def test_sparse_rows_of_any_form(form):
    X, y = load_iris(return_X_y=True)
    few = mask_labels(y, per_class=8, random_state=0)
    model = LogisticRegression(max_iter=500).fit(X, y)
    expected = labeled_scorer("accuracy")(model, X, few)
    assert labeled_scorer("accuracy")(model, form(X), few) == expected
    assert len(list(SemiSupervisedSplit(2).split(form(X), few))) == 2
